"""Rotas: who is on call when, as it is written and as it comes out. People are the ids of the settings' `people`.

The promise: what is written says when a turn begins, in local time, and never how many seconds it lasts. A shift ends
where the next one begins; a length in seconds would be an hour off after each clock change. Instants (`datetime`) are
in UTC; `at`, `begin`, `end`, `anchor` and weekdays (0 is Monday) are local to the zone of the rota.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import Protocol
from zoneinfo import ZoneInfo

#: People who are on call together, in the order in which they are written; () is nobody: a vacant turn.
Together = tuple[str, ...]


class TurnUnit(StrEnum):
    """What the length of a turn is counted in."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


@dataclass(frozen=True, kw_only=True, slots=True)
class Turn:
    """When the next of a layer's members takes over."""

    unit: TurnUnit
    every: int = 1
    at: time = time()  #: when turns begin; of hours, when the first one does
    #: Of weeks, the weekdays on which turns begin; of months, the day, of which a shorter month has its last instead.
    on: tuple[int, ...] = ()
    elapsed: bool = False  #: hours are counted as they pass, and not on the clock of the wall
    per_member: int = 1  #: how many turns each member has before the next one's


@dataclass(frozen=True, kw_only=True, slots=True)
class WeeklyHours:
    """Hours of some days. An `end` that is no later than `begin` is on the next day. Both in minutes after midnight."""

    days: frozenset[int]  #: the days on which they begin
    begin: int
    end: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Layer:
    """People who take turns. Of several layers, those with the greatest priority that have somebody are on call."""

    name: str
    members: tuple[Together, ...]
    priority: int = 0
    turn: Turn | None = None  #: None: `members[0]` is on call all the time
    anchor: date | None = None  #: the day on which the first turn of `members[0]` begins; nothing is before it
    since: datetime | None = None  #: from when on it applies; what was before it stays as it was
    until: datetime | None = None
    only: tuple[WeeklyHours, ...] = ()  #: (): all hours
    counts_excluded_days: bool = True  #: False: a turn without any hour of `only` is no turn, and passes to nobody
    shadow: bool = False  #: its people hear of everything and never count as on call


@dataclass(frozen=True, kw_only=True, slots=True)
class Override:
    """Somebody is on call in the place of others: of a person, of a layer, or (neither is said) of everyone."""

    start: datetime
    end: datetime
    people: Together
    person: str = ""
    layer: str = ""
    by: str = ""  #: who made it in a chat; "" for one of the settings


@dataclass(frozen=True, kw_only=True, slots=True)
class MadeOverride:
    """An override that a person made in a chat. One that was ended has its `end` then."""

    id: str  #: eight hex digits
    rota: str
    override: Override
    made_at: datetime
    ended_by: str = ""  #: who ended it before its time


@dataclass(frozen=True, kw_only=True, slots=True)
class Addition:
    """Somebody is on call besides whoever else is."""

    start: datetime
    end: datetime
    people: Together


@dataclass(frozen=True, kw_only=True, slots=True)
class FixedPeriod:
    """A time that is written shift by shift. Within it nothing else of the settings counts."""

    start: datetime
    end: datetime
    shifts: tuple[Addition, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Leave:
    """A time in which no layer has that person on call. Where they are named for a time themselves, they are."""

    person: str
    start: datetime
    end: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class HolidayRule:
    """On public holidays, from midnight to midnight, the layer goes before all others. On other days it is off."""

    calendar: str  #: a country, or one with its subdivision: DE, DE-BE
    layer: str
    dates: Callable[[int], frozenset[date]] = field(compare=False)  #: the holidays of a year


class GapRule(StrEnum):
    """What it means when fewer people than promised are on call."""

    FORBIDDEN = "forbidden"  #: people are warned of it
    ALLOWED = "allowed"


@dataclass(frozen=True, kw_only=True, slots=True)
class Handoff:
    """What is told when one person takes over from another, and where."""

    channel: str = ""
    user_group: str = ""
    remind: tuple[timedelta, ...] = ()  #: how long before a shift its people are reminded
    report: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Rota:
    """Everything that is written of one rota. `render` (`bot/oncall/rendering.py`) says what comes out."""

    name: str
    zone: ZoneInfo
    layers: tuple[Layer, ...]
    gaps: GapRule = GapRule.FORBIDDEN
    gaps_to: str = ""  #: the rota whose people are on call in a gap of this one
    at_least: int = 1  #: how many different people must be on call at every instant
    replace: tuple[Override, ...] = ()  #: of several for one time, the last one counts
    add: tuple[Addition, ...] = ()
    fixed: tuple[FixedPeriod, ...] = ()
    leave: tuple[Leave, ...] = ()
    holidays: HolidayRule | None = None
    handoff: Handoff | None = None


class ShiftSource(StrEnum):
    """Why somebody is on call."""

    LAYER = "layer"
    HOLIDAY = "holiday"
    REPLACE = "replace"  #: the settings put them in the place of others
    ADD = "add"
    FIXED = "fixed"
    CHANGE = "change"  #: a person put them in the place of others, in a chat
    OTHER_ROTA = "other rota"  #: this one has nobody


@dataclass(frozen=True, kw_only=True, slots=True)
class Shift:
    """People who are on call together, from `start` on and before `end`, with the reason."""

    start: datetime
    end: datetime
    people: Together
    source: ShiftSource
    layer: str = ""  #: the layer, or where the source is another rota, that one
    instead_of: Together = ()  #: who would be on call without it
    by: str = ""  #: who made the change
    shadow: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class RotaGap:
    """A time in which fewer people are on call than promised."""

    start: datetime
    end: datetime
    have: int
    need: int
    vacant: tuple[str, ...] = ()  #: the layers whose turn is nobody's
    away: tuple[str, ...] = ()  #: who would be on call, and is on leave


#: Rotas by name.
Rotas = Mapping[str, Rota]


@dataclass(frozen=True, kw_only=True, slots=True)
class RotaView:
    """Who is on call by a rota at an instant, and what comes next."""

    rota: str
    zone: ZoneInfo
    shifts: tuple[Shift, ...]  #: of that instant, each as long as it is, as far as it was followed
    followed_to: datetime  #: a shift that ends here may go on
    until: datetime | None  #: when other people are on call; None: not before `followed_to`
    coming: tuple[Shift, ...]  #: those that are on call from then on
    gaps: tuple[RotaGap, ...]  #: of the next days, as many as were asked for


class OnCallNow(Protocol):
    """Who is on call for which service, asked anew each time, because it changes with the hours."""

    def people(self, service: str) -> frozenset[str]: ...
    def services_of(self, person: str) -> frozenset[str]:
        """The services that the person is on call for."""
        ...

    def by_service(self) -> Mapping[str, frozenset[str]]:
        """The people on call, for each service that names somebody."""
        ...
