"""`context.on_call`: who is on call for a service or by a rota, at any time, and overrides of rotas."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable, Sequence
from datetime import timedelta
from zoneinfo import ZoneInfo

from bot.chatops.context.unit_of_work import UnitOfWork
from bot.chatops.registry import RequestParts
from bot.core.command import OnCallReport, OverrideReport, ServiceOnCall
from bot.core.errors import Rejected
from bot.core.rota import MadeOverride, Override
from bot.lib.similar_words import offer, similar
from bot.oncall.asked_time import asked_time
from bot.oncall.describe import spell_local, spell_people
from bot.oncall.duties import Duties
from bot.store import account_messages, rota_overrides

#: How far ahead gaps are looked for.
_AHEAD = timedelta(days=30)
_UTC = ZoneInfo("UTC")


class OnCallService:
    """Implements `core.command.OnCallOperations` for one request."""

    def __init__(self, unit: UnitOfWork, shared: RequestParts) -> None:
        self._unit = unit
        self._linking = shared.break_glass.authorizer.linking
        self._names = shared.cards.names
        self._now = unit.tx.now
        self._duties = shared.duties or Duties({}, {}, lambda: unit.tx.now)

    def look_up(self, name: str, at: str) -> OnCallReport:
        duties = self._duties
        named = duties.services.get(name)
        rotas = named.rotas if named else (name,) if name in duties.rotas else ()
        if named is None and not rotas:
            near = offer(similar(name, [*duties.services, *duties.rotas]))
            message = f"Nobody is on call for {name}: no service of that name says who is, and there is no such rota."
            raise Rejected(f"{message} Nothing was done.{near} `oncall` lists all.", code="no_on_call", status=409)
        zone = duties.rotas[rotas[0]].zone if rotas else _UTC
        moment = asked_time(at, zone, self._now) if at else self._now
        views = tuple(duties.view(rota, moment, ahead=_AHEAD) for rota in rotas)
        services = (ServiceOnCall(name=name, always=named.people, rotas=named.rotas),) if named else ()
        return OnCallReport(at=moment, services=services, rotas=views, overrides=self._overrides_of(rotas))

    def look_up_all(self, at: str, limit: int) -> OnCallReport:
        duties = self._duties
        moment = asked_time(at, _UTC, self._now) if at else self._now
        services = [
            ServiceOnCall(name=name, always=one.people, rotas=one.rotas)
            for name, one in sorted(duties.services.items())
        ]
        views = [duties.view(rota, moment, ahead=_AHEAD, far=False) for rota in sorted(duties.rotas)[:limit]]
        left_out = max(0, len(services) - limit) + max(0, len(duties.rotas) - limit)
        shown = [one.rota for one in views]
        return OnCallReport(
            at=moment,
            services=tuple(services[:limit]),
            rotas=tuple(views),
            left_out=left_out,
            overrides=self._overrides_of(shown),
        )

    def override(self, rota: str, person: str, duration: timedelta, *, instead_of: str, start: str) -> OverrideReport:
        written = self._duties.rotas.get(rota)
        if written is None:
            near = offer(similar(rota, self._duties.rotas))
            raise Rejected(f"There is no rota {rota}. Nothing was done.{near}", code="no_rota", status=404)
        begin = asked_time(start, written.zone, self._now) if start else self._now
        if begin < self._now:
            told = f"{spell_local(begin, written.zone)} is over, and who was on call then is not changed afterwards."
            raise Rejected(f"{told} Nothing was done.", code="past", status=409)
        override = Override(
            start=begin, end=begin + duration, people=(person,), person=instead_of, by=self._unit.request.by.id
        )
        spans = list(self._duties.duty_spans(rota, override.start, override.end))
        there = tuple(dict.fromkeys(who for span in spans for who in span.people))
        self._refuse_idle(rota, override, there, alone=all(span.people == (person,) for span in spans))
        made = MadeOverride(id=secrets.token_hex(4), rota=rota, override=override, made_at=self._now)
        rota_overrides.put(self._unit.tx, made)
        replaced = tuple(who for who in ((instead_of,) if instead_of else there) if who != person)
        self._tell(made, written.zone, (person, *replaced))
        return OverrideReport(id=made.id, override=override, zone=written.zone, replaced=replaced)

    def remove_override(self, beginning: str) -> MadeOverride:
        made = rota_overrides.find(self._unit.tx.sql, beginning)
        by = self._unit.request.by.id
        if made.override.end <= self._now or not rota_overrides.end(self._unit.tx, made.id, by):
            raise Rejected(f"Override {made.id} is over. Nothing was done.", code="over", status=409)
        ended = f"Override {made.id} of rota {made.rota} counts no longer: {self._name(by)} has ended it."
        self._notify((*made.override.people, made.override.person), ended)
        return made

    def _refuse_idle(self, rota: str, override: Override, there: Sequence[str], *, alone: bool) -> None:
        """Raises `Rejected`: nobody would notice the override, so something else was meant."""
        who, place = self._name(override.people[0]), override.person
        if place and place not in there:
            named = f" On call then: {spell_people(there, self._name)}."
            message = f"{self._name(place)} is not on call for rota {rota} in that time.{named} Nothing was done."
            raise Rejected(message, code="not_on_call", status=409)
        if alone or place == override.people[0]:
            raise Rejected(
                f"{who} is on call for rota {rota} then already. Nothing was done.", code="on_call", status=409
            )

    def _overrides_of(self, rotas: Collection[str]) -> tuple[MadeOverride, ...]:
        found = rota_overrides.listed(self._unit.tx.sql, self._now)
        return tuple(one for one in found if one.rota in rotas and one.override.end > self._now)

    def _tell(self, made: MadeOverride, zone: ZoneInfo, people: Sequence[str]) -> None:
        who, one = self._name(made.override.people[0]), made.override
        when = f"from {spell_local(one.start, zone)} to {spell_local(one.end, zone)}"
        place = f" in the place of {spell_people(people[1:], self._name)}" if people[1:] else ""
        said = f"{self._name(one.by)} has put {who} on call for rota {made.rota} {when}{place}."
        self._notify(people, f"{said} `remove-override {made.id}` ends it.")

    def _notify(self, people: Iterable[str], text: str) -> None:
        """Everybody whom it concerns, but who has asked for it: they have the answer."""
        for person in dict.fromkeys(people):
            if person and person != self._unit.request.by.id:
                for account in self._linking.accounts_of(self._unit.tx.sql, person):
                    account_messages.enqueue(self._unit.tx, account, text)

    def _name(self, person: str) -> str:
        return self._names.get(person, person)
