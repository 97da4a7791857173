"""Who is on call for a service: people of the settings, and whoever is on call by a rota at that moment.

The trap: an answer that is kept is wrong a minute later. So an answer is kept with the time for which it holds, until
something changes by a rota itself, and no longer; and until people change something.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from bot.core.rota import GapRule, Override, Rota, RotaGap, Rotas, RotaView, Shift, ShiftSource
from bot.oncall.rendering import Duty, DutySpan, duty_spans, gaps_of, shifts_of

#: How far a shift is followed to both sides, in steps: most end within days.
_REACHES = (timedelta(days=9), timedelta(days=70), timedelta(days=400))
#: An answer is kept for no longer than this.
_KEPT = timedelta(days=1)

#: What people changed in chats, by rota, in the order in which they did; the same object until there is another change.
Changes = Callable[[], Mapping[str, Sequence[Override]]]
_NO_CHANGES: Mapping[str, Sequence[Override]] = {}


def no_changes() -> Mapping[str, Sequence[Override]]:
    """Nobody has changed anything."""
    return _NO_CHANGES


@dataclass(frozen=True, slots=True)
class OnCallFor:
    """Whom a service names: people, who are on call all the time, and rotas."""

    people: tuple[str, ...] = ()
    rotas: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Kept:
    """Who is on call from `start` on and before `end`, if nobody changes anything."""

    start: datetime
    end: datetime
    changes: Mapping[str, Sequence[Override]]
    ordered: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    by_service: Mapping[str, frozenset[str]] = field(default_factory=dict)
    by_person: Mapping[str, frozenset[str]] = field(default_factory=dict)


class Duties:
    """Implements `core.rota.OnCallNow`. `now`: the clock. Safe to be called by several threads."""

    def __init__(
        self,
        services: Mapping[str, OnCallFor],
        rotas: Rotas,
        now: Callable[[], datetime],
        changes: Changes = no_changes,
    ) -> None:
        self.rotas = rotas
        self.services = {name: one for name, one in services.items() if one.people or one.rotas}
        self._now = now
        self._changes = changes
        self._kept: _Kept | None = None

    def people(self, service: str) -> frozenset[str]:
        return self._at_present().by_service.get(service, frozenset())

    def ordered(self, service: str) -> tuple[str, ...]:
        """As `people`, in the order in which they are written."""
        return self._at_present().ordered.get(service, ())

    def services_of(self, person: str) -> frozenset[str]:
        return self._at_present().by_person.get(person, frozenset())

    def by_service(self) -> Mapping[str, frozenset[str]]:
        return self._at_present().by_service

    def duty_spans(self, rota: str, since: datetime, until: datetime) -> Iterator[DutySpan]:
        """That time from beginning to end, cut where anything changes; with the people of the rotas that fill gaps."""
        yield from self._filled(self.rotas[rota], since, until, self._changes())

    def shifts(self, rota: str, since: datetime, until: datetime) -> tuple[Shift, ...]:
        """All shifts that overlap that time, cut at its edges, by their starts."""
        return tuple(shifts_of(self.duty_spans(rota, since, until)))

    def gaps(self, rota: str, since: datetime, until: datetime) -> tuple[RotaGap, ...]:
        """When fewer people are on call than promised; nothing of a rota whose settings allow it."""
        allowed = self.rotas[rota].gaps is GapRule.ALLOWED
        return () if allowed else tuple(gaps_of(self.rotas[rota], self.duty_spans(rota, since, until)))

    def view(self, rota: str, at: datetime, *, ahead: timedelta, far: bool = True) -> RotaView:
        """Who is on call at that instant, what comes next, and the gaps of so much time from then on.

        `far`: follow shifts for more than a year; otherwise for days.
        """
        for reach in _REACHES if far else _REACHES[:1]:
            spans = list(self.duty_spans(rota, at - reach, at + reach))
            found = shifts_of(spans)
            shifts = tuple(one for one in found if one.start <= at < one.end)
            until = _next_change(spans, at)
            coming = () if until is None else tuple(one for one in found if one.start <= until < one.end)
            cut = any(one.start == at - reach for one in shifts) or any(
                one.end == at + reach for one in (*shifts, *coming)
            )
            if until is not None and not cut:
                break
        return RotaView(
            rota=rota,
            zone=self.rotas[rota].zone,
            shifts=shifts,
            followed_to=at + reach,
            until=until,
            coming=coming,
            gaps=self.gaps(rota, at, at + ahead),
        )

    def _at_present(self) -> _Kept:
        at, changes, kept = self._now(), self._changes(), self._kept
        if kept is None or kept.changes is not changes or not kept.start <= at < kept.end:
            kept = self._kept = self._read(at, changes)
        return kept

    def _read(self, at: datetime, changes: Mapping[str, Sequence[Override]]) -> _Kept:
        named = {rota for service in self.services.values() for rota in service.rotas}
        spans = {rota: next(self._filled(self.rotas[rota], at, at + _KEPT, changes)) for rota in named}
        ordered = {
            name: tuple(dict.fromkeys((*one.people, *(who for rota in one.rotas for who in spans[rota].people))))
            for name, one in self.services.items()
        }
        by_person: dict[str, set[str]] = defaultdict(set)
        for name, people in ordered.items():
            for one in people:
                by_person[one].add(name)
        return _Kept(
            start=at,
            end=min((one.end for one in spans.values()), default=at + _KEPT),
            changes=changes,
            ordered=ordered,
            by_service={name: frozenset(people) for name, people in ordered.items()},
            by_person={person: frozenset(services) for person, services in by_person.items()},
        )

    def _filled(
        self, rota: Rota, since: datetime, until: datetime, changes: Mapping[str, Sequence[Override]]
    ) -> Iterator[DutySpan]:
        for one in duty_spans(rota, since, until, changes.get(rota.name, ())):
            if not rota.gaps_to or len(one.people) >= rota.at_least:
                yield one
                continue
            for other in self._filled(self.rotas[rota.gaps_to], one.start, one.end, changes):
                helping = (
                    Duty(duty.people, ShiftSource.OTHER_ROTA, rota.gaps_to) for duty in other.duties if not duty.shadow
                )
                duties = tuple(dict.fromkeys((*one.duties, *helping)))
                yield one._replace(start=other.start, end=other.end, duties=duties)


def _next_change(spans: Sequence[DutySpan], at: datetime) -> datetime | None:
    """When other people are on call than at that instant."""
    present = next(number for number, one in enumerate(spans) if one.start <= at < one.end)
    changed = (one.start for one in spans[present + 1 :] if one.people != spans[present].people)
    return next(changed, None)
