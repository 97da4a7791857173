"""Who is on call for a service: people of the settings, and whoever is on call by a rota at that moment.

The trap: an answer that is kept is wrong a minute later. So an answer of a rota is kept with the time for which it
holds, until something changes by the rota itself, and no longer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.core.rota import GapRule, Override, Rota, RotaGap, Rotas, RotaView, Shift, ShiftSource
from bot.oncall.rendering import Duty, DutySpan, duty_spans, gaps_of, shifts_of

#: How far a shift is followed to both sides, in steps: most end within days.
_REACHES = (timedelta(days=9), timedelta(days=70), timedelta(days=400))
#: An answer is kept for no longer than this.
_KEPT = timedelta(days=1)

#: What people changed in chats, of the rota with that name, in the order in which they did.
Changes = Callable[[str], Sequence[Override]]


@dataclass(frozen=True, slots=True)
class OnCallFor:
    """Whom a service names: people, who are on call all the time, and rotas."""

    people: tuple[str, ...] = ()
    rotas: tuple[str, ...] = ()


class Duties:
    """Implements `core.rota.OnCallNow`. `now`: the clock. Safe to be called by several threads."""

    def __init__(
        self,
        services: Mapping[str, OnCallFor],
        rotas: Rotas,
        now: Callable[[], datetime],
        changes: Changes = lambda _: (),
    ) -> None:
        self.rotas = rotas
        self.services = {name: one for name, one in services.items() if one.people or one.rotas}
        self._now = now
        self._changes = changes
        self._kept: dict[str, tuple[Sequence[Override], DutySpan]] = {}

    def people(self, service: str) -> frozenset[str]:
        named = self.services.get(service)
        return frozenset() if named is None else self._people(named, self._now())

    def ordered(self, service: str) -> tuple[str, ...]:
        """As `people`, in the order in which they are written."""
        named = self.services.get(service, OnCallFor())
        at = self._now()
        by_rotas = (one for rota in named.rotas for one in self.at(rota, at).people)
        return tuple(dict.fromkeys((*named.people, *by_rotas)))

    def services_of(self, person: str) -> frozenset[str]:
        at = self._now()
        return frozenset(name for name, named in self.services.items() if person in self._people(named, at))

    def by_service(self) -> Mapping[str, frozenset[str]]:
        at = self._now()
        return {name: self._people(named, at) for name, named in self.services.items()}

    def at(self, rota: str, at: datetime) -> DutySpan:
        """Who is on call by the rota at that instant. Only its `end` says anything about other instants."""
        changes = self._changes(rota)
        kept = self._kept.get(rota)
        if kept is None or kept[0] != changes or not kept[1].start <= at < kept[1].end:
            kept = self._kept[rota] = changes, next(self.duty_spans(rota, at, at + _KEPT))
        return kept[1]

    def duty_spans(self, rota: str, since: datetime, until: datetime) -> Iterator[DutySpan]:
        """That time from beginning to end, cut where anything changes; with the people of the rotas that fill gaps."""
        yield from self._filled(self.rotas[rota], since, until)

    def shifts(self, rota: str, since: datetime, until: datetime) -> tuple[Shift, ...]:
        """All shifts that overlap that time, cut at its edges, by their starts."""
        return tuple(shifts_of(self.duty_spans(rota, since, until)))

    def gaps(self, rota: str, since: datetime, until: datetime) -> tuple[RotaGap, ...]:
        """When fewer people are on call than promised; nothing of a rota whose settings allow it."""
        allowed = self.rotas[rota].gaps is GapRule.ALLOWED
        return () if allowed else tuple(gaps_of(self.rotas[rota], self.duty_spans(rota, since, until)))

    def view(self, rota: str, at: datetime, *, ahead: timedelta) -> RotaView:
        """Who is on call at that instant, what comes next, and the gaps of so much time from then on."""
        for reach in _REACHES:
            found = self.shifts(rota, at - reach, at + reach)
            shifts = tuple(one for one in found if one.start <= at < one.end)
            until = self._next_change(rota, at, at + reach)
            open_ended = until is None or any(one.end == at + reach or one.start == at - reach for one in shifts)
            if not open_ended:
                break
        coming = () if until is None else tuple(one for one in found if one.start <= until < one.end)
        gaps = self.gaps(rota, at, at + ahead)
        return RotaView(rota=rota, zone=self.rotas[rota].zone, shifts=shifts, until=until, coming=coming, gaps=gaps)

    def _next_change(self, rota: str, at: datetime, until: datetime) -> datetime | None:
        """When other people are on call than at that instant."""
        first: DutySpan | None = None
        for one in self.duty_spans(rota, at, until):
            if first is None:
                first = one
            elif one.people != first.people:
                return one.start
        return None

    def _people(self, named: OnCallFor, at: datetime) -> frozenset[str]:
        return frozenset(named.people).union(*(self.at(rota, at).people for rota in named.rotas))

    def _filled(self, rota: Rota, since: datetime, until: datetime) -> Iterator[DutySpan]:
        for one in duty_spans(rota, since, until, self._changes(rota.name)):
            if not rota.gaps_to or len(one.people) >= rota.at_least:
                yield one
                continue
            for other in self._filled(self.rotas[rota.gaps_to], one.start, one.end):
                helping = (
                    Duty(duty.people, ShiftSource.OTHER_ROTA, rota.gaps_to) for duty in other.duties if not duty.shadow
                )
                duties = tuple(dict.fromkeys((*one.duties, *helping)))
                yield one._replace(start=other.start, end=other.end, duties=duties)
