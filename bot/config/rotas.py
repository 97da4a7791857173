"""The settings section of rotas: who takes turns, and when. What one key alone shows to be wrong is found here.

What depends on the zone, on people or on other keys is found when a rota is built (`bot/config/rota_building.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema
from pydantic.json_schema import JsonSchemaValue

from bot.core.rota import GapRule, TurnUnit
from bot.lib import time_windows
from bot.lib.settings_fields import Mistake, Section, Span, ZoneName

#: What commands accept as a name.
_NAME = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?(?:[./][a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?)*")
_CLOCK = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")
_TO_ROTA = re.compile(r"rota (\S+)")
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_LONGEST_MONTH = 31
EVERYONE = "everyone"
#: Begins the name of a rota where people can be named too: "rota orders-primary".
ROTA = "rota "
_MEMBER = "must be the id of a person, {vacant: true}, or a list of people who are on call together"


def _rota_name(written: str) -> str:
    if not _NAME.fullmatch(written):
        raise ValueError("must be small letters, digits, - and /, such as orders-primary, so that commands can name it")
    return written


def _clock(written: str) -> str:
    if not _CLOCK.fullmatch(written):
        raise ValueError('must be a time of day in quotes, such as "10:00"')
    return written


def _clock_of_end(written: str) -> str:
    return written if written == "24:00" else _clock(written)


def _weekdays(written: str) -> str:
    try:
        time_windows.parse_days(written.lower())
    except ValueError:
        raise ValueError("must be days, such as mon-fri or sat,sun") from None
    return written.lower()


def _member(given: object) -> object:
    if isinstance(given, dict) and given == {"vacant": True}:
        return ()
    try:
        return _people(given)
    except ValueError:
        raise ValueError(_MEMBER) from None


def _people(given: object) -> object:
    listed = [given] if isinstance(given, str) else given
    if isinstance(listed, list) and listed and all(isinstance(one, str) for one in listed):
        return tuple(listed)
    raise ValueError("must be the id of a person, or a list of them")


def _turn_days(given: object) -> object:
    written = given if isinstance(given, list) else [given]
    days = [one.lower() if isinstance(one, str) else one for one in written]
    whole = [one for one in days if isinstance(one, int) and not isinstance(one, bool) and 1 <= one <= _LONGEST_MONTH]
    if days and (all(one in _DAYS for one in days) or (len(days) == 1 and whole)):
        return tuple(days)
    raise ValueError("must be a weekday such as monday, a list of them, or a day of the month, 1 to 31")


def _gaps(given: object) -> object:
    if given in (GapRule.FORBIDDEN.value, GapRule.ALLOWED.value):
        return given
    to = given.get("to") if isinstance(given, dict) and len(given) == 1 else None
    if isinstance(to, str) and _TO_ROTA.fullmatch(to):
        return to
    raise ValueError("must be forbidden, allowed, or {to: rota NAME}")


_IDS: JsonSchemaValue = {"type": "array", "items": {"type": "string"}, "minItems": 1}
_VACANT: JsonSchemaValue = {
    "type": "object",
    "properties": {"vacant": {"const": True}},
    "required": ["vacant"],
    "additionalProperties": False,
}
_TO: JsonSchemaValue = {
    "type": "object",
    "properties": {"to": {"type": "string", "pattern": "^rota \\S+$"}},
    "required": ["to"],
    "additionalProperties": False,
}
_WEEKDAY: JsonSchemaValue = {"enum": list(_DAYS)}
_ON: JsonSchemaValue = {
    "anyOf": [_WEEKDAY, {"type": "array", "items": _WEEKDAY}, {"type": "integer", "minimum": 1, "maximum": 31}]
}

RotaName = Annotated[str, AfterValidator(_rota_name)]
Clock = Annotated[str, AfterValidator(_clock)]
ClockOfEnd = Annotated[str, AfterValidator(_clock_of_end)]
Weekdays = Annotated[str, AfterValidator(_weekdays)]
Member = Annotated[
    tuple[str, ...], BeforeValidator(_member), WithJsonSchema({"anyOf": [{"type": "string"}, _VACANT, _IDS]})
]
People = Annotated[tuple[str, ...], BeforeValidator(_people), WithJsonSchema({"anyOf": [{"type": "string"}, _IDS]})]
TurnDays = Annotated[tuple[str | int, ...], BeforeValidator(_turn_days), WithJsonSchema(_ON)]
Gaps = Annotated[str, BeforeValidator(_gaps), WithJsonSchema({"anyOf": [{"enum": ["forbidden", "allowed"]}, _TO]})]

_FROM = "The first instant, in the rota's zone: 2026-12-24 18:00; a date is its midnight."
_TO_END = "The end, which is outside of it: 2026-12-27 10:00; 24:00 is the end of a day."


class TurnSettings(Section):
    """How long a turn is, and when the next one begins: on the clock of the wall in the rota's zone."""

    every: int = Field(1, ge=1, le=366, description="How many hours, days, weeks or months a turn has.")
    unit: TurnUnit = Field(description="hour, day, week or month.")
    at: Clock = Field("00:00", description="When turns begin; of hours, when the first one does.")
    on: TurnDays | None = Field(
        None,
        description="The weekday, or weekdays, or the day of the month on which turns begin; by default the anchor's.",
    )
    clock: Literal["wall", "elapsed"] | None = Field(
        None, description="For hours: wall begins at the same times each day, which is usual where 24 is a multiple."
    )
    shifts_per_member: int = Field(1, ge=1, le=366, description="How many turns each member has in a row.")


class HoursSettings(Section):
    """Hours of a week. With an end that is no later than the begin, it is on the next day."""

    days: Weekdays = Field("mon-sun", description="The days on which they begin: mon-fri; sat,sun.")
    begin: Clock = Field(alias="from", description="When they begin.")
    end: ClockOfEnd = Field(alias="to", description="When they end.")


class LayerSettings(Section):
    """People who take turns, in this order, from the anchor on."""

    name: str = Field(min_length=1)
    priority: int = Field(0, description="The layers of the greatest priority that have somebody are on call.")
    members: tuple[Member, ...] = Field(min_length=1, description="Ids of people; a list is on call together.")
    turn: TurnSettings | None = None
    anchor: str | None = Field(None, description="The day on which the first turn of the first member begins.")
    since: str | None = Field(
        None, alias="from", description="From when on it applies, by default the anchor; of a date, when turns begin."
    )
    until: str | None = Field(None, description="When it ends, with nothing of the past changed.")
    only: tuple[HoursSettings, ...] = Field((), description="Hours outside of which it has nobody; by default none.")
    counts_excluded_days: bool = Field(
        default=True, description="false: a turn without any hour of `only` passes to nobody, and is not counted."
    )
    shadow: bool = Field(default=False, description="Its people are told, and never count as on call.")


class ReplaceSettings(Section):
    """Somebody is on call in the place of others for a time."""

    since: str = Field(alias="from", description=_FROM)
    until: str = Field(alias="to", description=_TO_END)
    put: People = Field(description="Who is on call.")
    instead_of: str = Field(EVERYONE, min_length=1, description="The id of a person, layer NAME, or everyone.")


class AddSettings(Section):
    """Somebody is on call besides the others for a time."""

    since: str = Field(alias="from", description=_FROM)
    until: str = Field(alias="to", description=_TO_END)
    who: People


class FixedShiftSettings(Section):
    """One shift of a fixed period."""

    since: str = Field(alias="from", description=_FROM)
    until: str = Field(alias="to", description=_TO_END)
    who: People


class FixedPeriodSettings(Section):
    """A time that is written shift by shift; nothing else of the rota counts within it."""

    since: str = Field(alias="from", description=_FROM)
    until: str = Field(alias="to", description=_TO_END)
    shifts: tuple[FixedShiftSettings, ...] = ()


class LeaveSettings(Section):
    """A time in which a person is away."""

    since: str = Field(alias="from", description=_FROM)
    until: str = Field(alias="to", description=_TO_END)


class HolidaysSettings(Section):
    """A layer that goes before all others on public holidays."""

    calendar: str = Field(min_length=1, description="A country's code, or with its part: DE, DE-BE, US-NY.")
    use: str = Field(min_length=1, description="The name of the layer.")


class HandoffSettings(Section):
    """What is told when one person takes over from another."""

    channel: str | None = Field(None, min_length=1, description="Where it is told.")
    user_group: str | None = Field(None, min_length=1, description="The group that is kept equal to who is on call.")
    remind: tuple[Span, ...] = Field((), description="How long before a shift its people are reminded.")
    report: bool = Field(default=False, description="Tell what is still open.")

    @classmethod
    def doubts(cls, given: Mapping[str, object]) -> Iterator[Mistake]:  # noqa: ARG003 (whatever is given)
        yield (), "is read and does nothing yet: this version tells nobody of a handoff"


class RotaSettings(Section):
    """One rota: layers of people who take turns, and what is different for a time."""

    zone: ZoneName = Field(description="IANA's name, such as Europe/Berlin. All times of the rota are local to it.")
    gaps: Gaps = Field(
        "forbidden", description="forbidden, allowed, or {to: rota NAME}, whose people are on call then."
    )
    at_least: int = Field(1, ge=1, le=100, description="How many people must be on call at every instant.")
    handoff: HandoffSettings | None = None
    layers: tuple[LayerSettings, ...] = Field(min_length=1)
    replace: tuple[ReplaceSettings, ...] = Field((), description="Of several for one time, the last one counts.")
    add: tuple[AddSettings, ...] = ()
    fixed: tuple[FixedPeriodSettings, ...] = ()
    leave: Mapping[str, tuple[LeaveSettings, ...]] = Field(
        default_factory=dict, description="id of a person -> when they are away; no layer has them on call then."
    )
    holidays: HolidaysSettings | None = None

    @property
    def gaps_to(self) -> str:
        """The rota whose people are on call in a gap; "" for none."""
        found = _TO_ROTA.fullmatch(self.gaps)
        return found[1] if found else ""
