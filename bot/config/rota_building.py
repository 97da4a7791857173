"""Rotas, built from their settings; and every fault that only shows when a rota is built.

One way for both: the check of a settings file builds each rota and reports what that finds, so that what the check
accepts can be built, and is built the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from functools import partial

from bot.config.consistency import FoundFault
from bot.config.faults import Loc, nearest
from bot.config.rotas import (
    EVERYONE,
    FixedPeriodSettings,
    HandoffSettings,
    HoursSettings,
    LayerSettings,
    ReplaceSettings,
    RotaSettings,
    TurnSettings,
)
from bot.core.rota import (
    Addition,
    FixedPeriod,
    GapRule,
    Handoff,
    HolidayRule,
    Layer,
    Leave,
    Override,
    Rota,
    Turn,
    TurnUnit,
    WeeklyHours,
)
from bot.lib import public_holidays, time_windows
from bot.oncall.local_time import MINUTES_OF_A_DAY, instant_on, is_date, parse_entered
from bot.oncall.turns import day_of_month

#: Weekdays as they are written; the first is 0.
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_HOURS_OF_A_DAY = 24
#: Stands for a time that could not be read, which is a fault.
_UNKNOWN = datetime.min.replace(tzinfo=UTC)


def build_rotas(sections: Mapping[str, RotaSettings]) -> dict[str, Rota]:
    """The rotas of settings that were checked."""
    return {name: RotaBuilder(name, section).built() for name, section in sections.items()}


@dataclass
class RotaBuilder:
    """Builds one rota. `faults`: what was found wrong so far, with the place within the rota's section."""

    name: str
    section: RotaSettings
    faults: list[FoundFault] = field(default_factory=list)

    def built(self) -> Rota:
        """The rota. Of use only if no fault was found."""
        given = self.section
        self._zone = time_windows.zone(given.zone)
        return Rota(
            name=self.name,
            zone=self._zone,
            layers=tuple(self._layer(("layers", number), one) for number, one in enumerate(given.layers)),
            gaps=GapRule.ALLOWED if given.gaps == GapRule.ALLOWED else GapRule.FORBIDDEN,
            gaps_to=given.gaps_to,
            at_least=given.at_least,
            replace=tuple(self._override(("replace", number), one) for number, one in enumerate(given.replace)),
            add=tuple(
                Addition(start=start, end=end, people=one.who)
                for number, one in enumerate(given.add)
                for start, end in [self._period(("add", number), one.since, one.until)]
            ),
            fixed=self._fixed(),
            leave=tuple(self._leave()),
            holidays=self._holidays(),
            handoff=_handoff(given.handoff),
        )

    def _layer(self, loc: Loc, given: LayerSettings) -> Layer:
        turn = None if given.turn is None else self._turn((*loc, "turn"), given.turn)
        anchor = self._anchor(loc, given)
        at = turn.at if turn else time()
        since = self._instant((*loc, "from"), given.since, at=at)
        until = self._instant((*loc, "until"), given.until, at=at)
        first = since or (anchor and time_windows.first_instant(datetime.combine(anchor, at), self._zone))
        if since and anchor and since < time_windows.first_instant(datetime.combine(anchor, at), self._zone):
            self._found((*loc, "from"), "is before the first turn, which begins at the anchor; move the anchor back")
        if until and first and until <= first:
            self._found((*loc, "until"), "is not after its begin, so the layer never applies; correct one of them")
        return Layer(
            name=given.name,
            members=given.members,
            priority=given.priority,
            turn=turn,
            anchor=anchor,
            since=since,
            until=until,
            only=tuple(self._hours((*loc, "only", number), one) for number, one in enumerate(given.only)),
            counts_excluded_days=given.counts_excluded_days,
            shadow=given.shadow,
        )

    def _turn(self, loc: Loc, given: TurnSettings) -> Turn:
        divides = _HOURS_OF_A_DAY % given.every == 0
        hours = given.unit is TurnUnit.HOUR
        if given.clock is not None and not hours:
            self._found(
                (*loc, "clock"), "means nothing here: only turns of hours can be counted as they pass; remove it"
            )
        elif given.clock == "wall" and not divides:
            self._found((*loc, "clock"), "cannot be wall: 24 is no multiple of `every`; remove it, or write elapsed")
        on = given.on or ()
        if on and given.unit in (TurnUnit.HOUR, TurnUnit.DAY):
            self._found((*loc, "on"), f"means nothing for turns of {given.unit}s; remove it")
        elif any(isinstance(one, int) for one in on) is not (given.unit is TurnUnit.MONTH) and on:
            kind = "a day of the month, 1 to 31" if given.unit is TurnUnit.MONTH else "a weekday, or a list of them"
            self._found((*loc, "on"), f"must be {kind}, for turns of {given.unit}s")
        return Turn(
            unit=given.unit,
            every=given.every,
            at=time.fromisoformat(given.at),
            on=tuple(one if isinstance(one, int) else DAYS.index(one) for one in on),
            elapsed=hours and (given.clock == "elapsed" or not divides),
            per_member=given.shifts_per_member,
        )

    def _anchor(self, loc: Loc, given: LayerSettings) -> date | None:
        if given.turn is None:
            if len(given.members) > 1:
                message = (
                    "take no turns; give the layer a `turn`, or write them as one list if they are on call together"
                )
                self._found((*loc, "members"), message)
            if given.anchor is not None:
                self._found((*loc, "anchor"), "means nothing without `turn`; write `from` for when the layer begins")
            return None
        if given.anchor is None:
            self._found(loc, "has no `anchor`; write the day on which the first turn of the first member begins")
            return None
        try:
            anchor = date.fromisoformat(given.anchor)
        except ValueError:
            self._found((*loc, "anchor"), "must be a date, such as 2026-11-02")
            return None
        if fault := _not_a_first_day(anchor, given.turn):
            self._found((*loc, "anchor"), fault)
        return anchor

    def _hours(self, loc: Loc, given: HoursSettings) -> WeeklyHours:
        if given.begin == given.end:
            self._found((*loc, "to"), 'is the same as `from`; write from "00:00" to "24:00" for whole days')
        return WeeklyHours(
            days=time_windows.parse_days(given.days), begin=_minutes(given.begin), end=_minutes(given.end)
        )

    def _override(self, loc: Loc, given: ReplaceSettings) -> Override:
        start, end = self._period(loc, given.since, given.until)
        kind, _, rest = given.instead_of.partition(" ")
        layer = rest if kind == "layer" else ""
        names = {one.name for one in self.section.layers}
        if layer and layer not in names:
            self._found((*loc, "instead_of"), f"names no layer of this rota; {nearest(layer, names)}")
        person = "" if layer or given.instead_of == EVERYONE else given.instead_of
        return Override(start=start, end=end, people=given.put, person=person, layer=layer)

    def _fixed(self) -> tuple[FixedPeriod, ...]:
        periods: list[FixedPeriod] = []
        for number, one in enumerate(self.section.fixed):
            loc: Loc = ("fixed", number)
            period = self._fixed_period(loc, one)
            for other, earlier in enumerate(periods):
                if period.start < earlier.end and earlier.start < period.end:
                    self._found((*loc, "from"), f"overlaps fixed[{other}]; only one can say who is on call")
            periods.append(period)
        return tuple(periods)

    def _fixed_period(self, loc: Loc, given: FixedPeriodSettings) -> FixedPeriod:
        start, end = self._period(loc, given.since, given.until)
        shifts = []
        for number, one in enumerate(given.shifts):
            at: Loc = (*loc, "shifts", number)
            begins, ends = self._period(at, one.since, one.until)
            if _UNKNOWN not in (start, end, begins, ends) and not start <= begins < ends <= end:
                self._found(at, "is not within its fixed period; move it, or make the period longer")
            shifts.append(Addition(start=begins, end=ends, people=one.who))
        return FixedPeriod(start=start, end=end, shifts=tuple(shifts))

    def _leave(self) -> Iterator[Leave]:
        for person, times in self.section.leave.items():
            for number, one in enumerate(times):
                start, end = self._period(("leave", person, number), one.since, one.until)
                yield Leave(person=person, start=start, end=end)

    def _holidays(self) -> HolidayRule | None:
        given = self.section.holidays
        if given is None:
            return None
        names = {one.name for one in self.section.layers}
        if given.use not in names:
            self._found(("holidays", "use"), f"names no layer of this rota; {nearest(given.use, names)}")
        if fault := public_holidays.calendar_fault(given.calendar):
            self._found(("holidays", "calendar"), fault)
        dates = partial(public_holidays.holidays_of, given.calendar)
        return HolidayRule(calendar=given.calendar, layer=given.use, dates=dates)

    def _period(self, loc: Loc, since: str, until: str) -> tuple[datetime, datetime]:
        """Both `_UNKNOWN` where one of them has a fault."""
        if is_date(until):
            message = "needs a time of day, so that it is clear whether that day is meant; 24:00 is the end of it"
            self._found((*loc, "to"), message)
            return _UNKNOWN, _UNKNOWN
        start, end = self._instant((*loc, "from"), since), self._instant((*loc, "to"), until)
        if start is None or end is None:
            return _UNKNOWN, _UNKNOWN
        if end <= start:
            self._found((*loc, "to"), "is not after `from`; correct one of them")
        return start, end

    def _instant(self, loc: Loc, written: str | None, *, at: time | None = None) -> datetime | None:
        """`at`: the time that a date alone means; by default its midnight."""
        if written is None:
            return None
        try:
            if at is not None and is_date(written):
                return instant_on(date.fromisoformat(written), at.hour * 60 + at.minute, self._zone)
            return parse_entered(written, self._zone)
        except ValueError as unclear:
            self._found(loc, str(unclear) if str(unclear).startswith("must") else f"is no instant: {unclear}")
            return None

    def _found(self, loc: Loc, message: str) -> None:
        self.faults.append((loc, message))


def _not_a_first_day(anchor: date, turn: TurnSettings) -> str:
    """What is wrong with an anchor on which no turn begins; "" if one does."""
    on = turn.on or ()
    weekdays = [one for one in on if isinstance(one, str)]
    if turn.unit is TurnUnit.WEEK and weekdays and DAYS[anchor.weekday()] not in weekdays:
        return f"is a {DAYS[anchor.weekday()].title()}, and turns begin on {weekdays[0].title()}; write such a day"
    days = [one for one in on if isinstance(one, int)]
    if turn.unit is TurnUnit.MONTH and days and day_of_month(anchor.year, anchor.month, days[0]) != anchor:
        return f"is not day {days[0]} of its month, on which turns begin; write such a day"
    return ""


def _handoff(given: HandoffSettings | None) -> Handoff | None:
    if given is None:
        return None
    return Handoff(
        channel=given.channel or "", user_group=given.user_group or "", remind=given.remind, report=given.report
    )


def _minutes(clock: str) -> int:
    return MINUTES_OF_A_DAY if clock == "24:00" else int(clock[:2]) * 60 + int(clock[3:])
