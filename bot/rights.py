"""May they? The facts that a decision depends on, gathered in the ask's own transaction, and the decision.

The decision itself is pure: `access.decide`. A second opinion (OPA) is asked outside of any transaction, by the gate,
and can only deny.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

from bot import access, glass
from bot.acts import Decision, Permission
from bot.book import FREE, INCIDENT, Book
from bot.circumstances import Around, Weight
from bot.glass import Broken
from bot.linking import Linking
from bot.model import Ask, Incident, Principal
from bot.people import as_settled
from bot.sentence import Known
from bot.store import glass as glasses
from bot.store.sql import Sql
from bot.store.tx import Tx


class Opinion(Protocol):
    """Somebody outside who may deny what our own rules allow."""

    def objection(self, document: Mapping[str, object]) -> str:
        """Why not, in full sentences; "" when nothing is against it. `document` is `access.document`'s.

        Without an answer it objects, and it never raises.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Rights:
    """Whoever asks, asks here."""

    book: Book
    linking: Linking  #: who is who, now
    environments: Mapping[str, str | None] = field(default_factory=dict)  #: of each service of the catalog
    pagers: frozenset[str] = frozenset()  #: the channels that wake people by name
    opinion: Opinion | None = None
    names: Callable[[Ask], Known] = lambda _: {}
    glass: Callable[[Sql, str, datetime], Broken | None] = glasses.standing

    def person(self, tx: Tx, person: str) -> Principal | None:
        """By id, as they are now; None when nobody has it any more."""
        return self.linking.now(tx.sql, person)

    def may(self, tx: Tx, ask: Ask, wanted: Permission, incident: Incident | None, weight: Weight) -> Decision:
        return access.decide(ask.by, wanted, self.book, self._around(tx, ask, wanted, incident, weight))

    def may_act(self, tx: Tx, ask: Ask, verb: str, target: str, weight: Weight = Weight.ACTION) -> Decision:
        """For an action; the incident in whose thread it was said counts."""
        incident = tx.incident(ask.incident_id) if ask.incident_id else None
        return self.may(tx, ask, Permission(verb=verb, target=target), incident, weight)

    def may_undo(self, tx: Tx, ask: Ask, verb: str, target: str, why: str) -> Decision:
        """As `may_act`; but what the approved plan itself announced (`why`), the watch may do at its time."""
        if why and not ask.by.human:
            return Decision(allowed=True, reason=f"The approved plan says so: {why}.", rule="the plan")
        return self.may_act(tx, ask, verb, target)

    def may_still(self, tx: Tx, ask: Ask, verb: str, target: str) -> bool:
        """Whether whoever asked a question some time ago may ask it now, and the account is still theirs."""
        who, held = self.person(tx, ask.by.id), self.linking.held(tx.sql, as_settled(ask.place, ask.account))
        if who is None or held is None or held.person != who.id:
            return False
        return self.may_act(tx, replace(ask, by=who), verb, target, Weight.QUESTION).allowed

    def breaker_now(self, tx: Tx, broken: Broken) -> str | None:
        """Whose the account is now with which the glass was broken."""
        held = self.linking.held(tx.sql, as_settled(broken.place, broken.account))
        return None if held is None else held.person

    def _glass_until(self, tx: Tx, person: str) -> datetime | None:
        """Until when that person's glass is broken; what somebody of that id broke before them is not theirs."""
        broken = self.glass(tx.sql, person, tx.now)
        if broken is None:
            return None
        listed = self.person(tx, person) is not None
        return broken.until if glass.belongs(broken, self.breaker_now(tx, broken), listed=listed) else None

    def objection(self, tx: Tx, ask: Ask, verb: str, target: str) -> Callable[[], str]:
        """What asks for the second opinion; to be called when the transaction has ended."""
        wanted = Permission(verb=verb, target=target)
        incident = tx.incident(ask.incident_id) if ask.incident_id else None
        around = self._around(tx, ask, wanted, incident, Weight.ACTION)
        document = access.document(ask.by, wanted, self.book, around)
        return lambda: "" if self.opinion is None else self.opinion.objection(document)

    def ever(self, who: Principal, verb: str) -> bool:
        """Whether there is any target and hour for which this person could be allowed that verb."""
        return verb in FREE or self.book.held(who.roles, verb).allows_something()

    def known(self, ask: Ask) -> Known:
        """The names that may be said, for the grammar."""
        return self.names(ask)

    def _around(self, tx: Tx, ask: Ask, wanted: Permission, incident: Incident | None, weight: Weight) -> Around:
        service = wanted.target if wanted.target in self.environments else None
        if service is None and incident is not None and (not wanted.target or wanted.target.startswith(INCIDENT)):
            service = incident.service  # What is named is never judged by the thread in which it was said.
        return Around(
            now=tx.now,
            weight=weight,
            service=service,
            environment=self.environments.get(service or ""),
            severity=incident.severity if incident else None,
            on_call_for=self.book.on_call_for(ask.by.id),
            open_on=frozenset({service} if service and tx.troubled(service) else ()),
            paged=ask.place in self.pagers,
            glass_until=self._glass_until(tx, ask.by.id),
        )
