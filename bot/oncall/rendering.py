"""Who is on call by a rota: at an instant, in a time, and when too few are. Pure.

The order of what counts: of the layers those with the greatest priority that have somebody; `add` beside them;
`replace` over both; in a fixed period nothing of these, but its own shifts. What people changed in a chat (`changes`,
in the order in which they made it) is over all of that: they saw who was on call, and said otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, time, timedelta
from enum import IntEnum
from itertools import pairwise
from typing import NamedTuple

from bot.core.rota import GapRule, Layer, Override, Rota, RotaGap, Shift, ShiftSource, Together
from bot.lib.time_windows import first_instant
from bot.oncall.spans import LayerSpan, Span, merged, split, within
from bot.oncall.turns import hours, turns

#: The priority of a layer on its holidays.
_ON_HOLIDAYS = 10**9


class Duty(NamedTuple):
    """People who are on call together, with the reason, at some instant."""

    people: Together
    source: ShiftSource
    layer: str = ""
    instead_of: Together = ()
    by: str = ""
    shadow: bool = False


class DutySpan(NamedTuple):
    """A time in which nothing changes."""

    start: datetime
    end: datetime
    duties: tuple[Duty, ...]
    vacant: tuple[str, ...] = ()  #: layers whose turn is nobody's
    away: Together = ()  #: who would be on call by a layer, and is on leave

    @property
    def people(self) -> Together:
        """Who counts as on call, each once."""
        return tuple(dict.fromkeys(one for duty in self.duties if not duty.shadow for one in duty.people))


def render(rota: Rota, since: datetime, until: datetime, changes: Sequence[Override] = ()) -> tuple[Shift, ...]:
    """All shifts that overlap that time, cut at its edges, by their starts. Those of one time overlap."""
    return tuple(shifts_of(duty_spans(rota, since, until, changes)))


def gaps(rota: Rota, since: datetime, until: datetime, changes: Sequence[Override] = ()) -> tuple[RotaGap, ...]:
    """When fewer people are on call than `at_least`; nothing where the rota allows that."""
    return () if rota.gaps is GapRule.ALLOWED else tuple(gaps_of(rota, duty_spans(rota, since, until, changes)))


def gaps_of(rota: Rota, found: Iterable[DutySpan]) -> Iterator[RotaGap]:
    """As `gaps`, from spans that follow each other."""
    last: RotaGap | None = None
    for one in found:
        have = len(one.people)
        if have >= rota.at_least:
            continue
        vacant, away = one.vacant, tuple(sorted(one.away))
        gap = RotaGap(start=one.start, end=one.end, have=have, need=rota.at_least, vacant=vacant, away=away)
        if last is not None and last.end == gap.start and replace(gap, start=last.start, end=last.end) == last:
            last = replace(last, end=gap.end)
            continue
        if last is not None:
            yield last
        last = gap
    if last is not None:
        yield last


def shifts_of(found: Iterable[DutySpan]) -> list[Shift]:
    """The shifts that those spans, which follow each other, make up."""
    shifts: list[Shift] = []
    running: dict[Duty, datetime] = {}
    end = None
    for one in found:
        over = [duty for duty in running if end != one.start or duty not in one.duties]
        shifts += [_shift(duty, running.pop(duty), end or one.start) for duty in over]
        for duty in one.duties:
            running.setdefault(duty, one.start)
        end = one.end
    shifts += [_shift(duty, start, end) for duty, start in running.items() if end is not None]
    return sorted(shifts, key=lambda shift: (shift.start, shift.shadow))


def duty_spans(rota: Rota, since: datetime, until: datetime, changes: Sequence[Override] = ()) -> Iterator[DutySpan]:
    """That time from beginning to end, cut where anything changes."""
    parts = sorted(_parts(rota, since, until, changes), key=lambda one: one.start)
    cuts = sorted({since, until, *(at for one in parts for at in (one.start, one.end) if since < at < until)})
    active: list[_Part] = []
    coming = 0
    for start, end in pairwise(cuts):
        active = [one for one in active if one.end > start]
        while coming < len(parts) and parts[coming].start <= start:
            if parts[coming].end > start:
                active.append(parts[coming])
            coming += 1
        active.sort(key=lambda one: one.order)
        yield _resolved(start, end, active)


def layer_spans(rota: Rota, layer: Layer, since: datetime, until: datetime) -> Iterator[LayerSpan]:
    """What the layer alone gives, before leave and overrides: its turns within its hours. In order, no two at once."""
    found = turns(layer, rota.zone, since, until)
    if layer.only:
        found = within(found, hours(layer.only, rota.zone, since, until))
    if rota.holidays is not None and rota.holidays.layer == layer.name:
        found = within(found, _holidays(rota, since, until))
    return found


class _Stage(IntEnum):
    """In which order the parts of an instant are applied."""

    FIXED_PERIOD = 0
    FIXED_SHIFT = 1
    LAYER = 2
    ADD = 3
    REPLACE = 4
    CHANGE = 5


class _Part(NamedTuple):
    """Anything that is in effect for a time."""

    start: datetime
    end: datetime
    order: tuple[_Stage, int]
    layer: Layer | None = None
    rank: int = 0
    span: LayerSpan | None = None
    override: Override | None = None
    people: Together = ()


def _parts(rota: Rota, since: datetime, until: datetime, changes: Sequence[Override]) -> Iterator[_Part]:
    for number, layer in enumerate(rota.layers):
        on_holidays = rota.holidays is not None and rota.holidays.layer == layer.name
        rank = _ON_HOLIDAYS if on_holidays else layer.priority
        order = (_Stage.LAYER, number)
        for span in _overridden(rota, layer, layer_spans(rota, layer, since, until), changes):
            yield _Part(span.start, span.end, order, layer=layer, rank=rank, span=span)
    for number, period in enumerate(rota.fixed):
        yield _Part(period.start, period.end, (_Stage.FIXED_PERIOD, number))
        for shift in period.shifts:
            yield _Part(shift.start, shift.end, (_Stage.FIXED_SHIFT, number), people=shift.people)
    for number, addition in enumerate(rota.add):
        yield _Part(addition.start, addition.end, (_Stage.ADD, number), people=addition.people)
    for stage, overrides in ((_Stage.REPLACE, rota.replace), (_Stage.CHANGE, changes)):
        for number, one in enumerate(overrides):
            if not one.layer:
                yield _Part(one.start, one.end, (stage, number), override=one)


def _overridden(
    rota: Rota, layer: Layer, spans: Iterable[LayerSpan], changes: Sequence[Override]
) -> Iterable[LayerSpan]:
    """The spans of a layer without those who are on leave, and with the overrides of that layer."""
    named = {one for member in layer.members for one in member}
    for leave in rota.leave:
        if leave.person in named:
            spans = [
                _gone(one, leave.person) if inside else one for one, inside in split(spans, leave.start, leave.end)
            ]
    for override in (*rota.replace, *changes):
        if override.layer == layer.name:
            cut = split(spans, override.start, override.end)
            spans = [_taken_over(one, override) if inside else one for one, inside in cut]
    return spans


def _gone(span: LayerSpan, person: str) -> LayerSpan:
    if person not in span.people:
        return span
    return span._replace(people=tuple(one for one in span.people if one != person), away=(*span.away, person))


def _taken_over(span: LayerSpan, override: Override) -> LayerSpan:
    usual = span.instead_of if span.override else (*span.people, *span.away)
    return span._replace(people=override.people, away=(), override=override, instead_of=usual)


def _holidays(rota: Rota, since: datetime, until: datetime) -> list[Span]:
    assert rota.holidays is not None
    first, last = since.astimezone(rota.zone).year - 1, until.astimezone(rota.zone).year
    days = (day for year in range(first, last + 1) for day in rota.holidays.dates(year))
    midnights = ((datetime.combine(day, time()), datetime.combine(day + timedelta(days=1), time())) for day in days)
    return merged(
        Span(start, end)
        for one, next_one in midnights
        if (start := first_instant(one, rota.zone)) < (end := first_instant(next_one, rota.zone))
    )


def _resolved(start: datetime, end: datetime, active: Sequence[_Part]) -> DutySpan:
    """Who is on call while exactly these parts are in effect, which are in the order of their stages."""
    fixed = bool(active) and active[0].order[0] is _Stage.FIXED_PERIOD
    parts = [one for one in active if not (fixed and _Stage.LAYER <= one.order[0] <= _Stage.REPLACE)]
    layers = [(one, one.layer, one.span) for one in parts if one.layer is not None and one.span is not None]
    top = max((one.rank for one, layer, span in layers if span.people and not layer.shadow), default=0)
    duties = [_of_layer(one, layer, span) for one, layer, span in layers if span.people and _counts(one, layer, top)]
    for one in parts:
        if one.order[0] is _Stage.FIXED_SHIFT and fixed:
            duties.append(Duty(one.people, ShiftSource.FIXED))
        elif one.order[0] is _Stage.ADD:
            duties.append(Duty(one.people, ShiftSource.ADD))
        elif one.override is not None:
            duties = _put(duties, one.override)
    missing = [(layer.name, span.away) for _, layer, span in layers if not layer.shadow and not span.people]
    away = (person for _, layer, span in layers if not layer.shadow for person in span.away)
    vacant = tuple(name for name, people in missing if not people)
    return DutySpan(start, end, tuple(dict.fromkeys(duties)), vacant, tuple(dict.fromkeys(away)))


def _counts(part: _Part, layer: Layer, top: int) -> bool:
    return layer.shadow or part.rank == top


def _of_layer(part: _Part, layer: Layer, span: LayerSpan) -> Duty:
    if span.override is not None:
        source = ShiftSource.CHANGE if span.override.by else ShiftSource.REPLACE
        return Duty(span.people, source, layer.name, span.instead_of, span.override.by, layer.shadow)
    source = ShiftSource.HOLIDAY if part.rank == _ON_HOLIDAYS else ShiftSource.LAYER
    return Duty(span.people, source, layer.name, shadow=layer.shadow)


def _put(duties: list[Duty], override: Override) -> list[Duty]:
    """Those on call once the override is in effect. Shadows stay: they take nobody's place."""
    source = ShiftSource.CHANGE if override.by else ShiftSource.REPLACE
    shadows = [one for one in duties if one.shadow]
    counting = [one for one in duties if not one.shadow]
    if not override.person:
        usual = tuple(dict.fromkeys(person for one in counting for person in one.people))
        put = Duty(override.people, source, instead_of=usual, by=override.by)
        return [*([put] if override.people else []), *shadows]
    found: list[Duty] = []
    for one in counting:
        if override.person not in one.people and one.instead_of != (override.person,):
            found.append(one)
            continue
        put = Duty(override.people, source, one.layer, (override.person,), override.by)
        rest = tuple(person for person in one.people if person != override.person)
        if rest and one.instead_of != (override.person,):
            found.append(one._replace(people=rest))
        found += [put] if override.people else []
    return [*found, *shadows]


def _shift(duty: Duty, start: datetime, end: datetime) -> Shift:
    return Shift(
        start=start,
        end=end,
        people=duty.people,
        source=duty.source,
        layer=duty.layer,
        instead_of=duty.instead_of,
        by=duty.by,
        shadow=duty.shadow,
    )
