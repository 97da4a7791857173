"""May they? The facts that a decision depends on, gathered in the ask's own transaction, and the decision.

The decision itself is pure: `access.decide`. A second opinion (OPA) is asked outside of any transaction, by the gate,
and can only deny.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

from bot.access import break_glass_rules, decision
from bot.access.account_linking import AccountLinking
from bot.access.conditions import Context, Impact
from bot.access.policy import ALWAYS_ALLOWED, INCIDENT_PREFIX, Policy
from bot.core.access import BreakGlassUse, Decision, Permission, canonical_account
from bot.core.command import KnownNames
from bot.core.incident import Incident
from bot.core.request import Principal, Request
from bot.store import break_glass as glasses
from bot.store.sql import Sql
from bot.store.transaction import Tx


class ExternalPolicy(Protocol):
    """Somebody outside who may deny what our own rules allow."""

    def denial(self, document: Mapping[str, object]) -> str:
        """Why not, in full sentences; "" when nothing is against it. `document` is `access.policy_input`'s.

        Without an answer it objects, and it never raises.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Authorizer:
    """Whoever asks, asks here."""

    policy: Policy
    linking: AccountLinking  #: who is who, now
    environments: Mapping[str, str | None] = field(default_factory=dict)  #: of each service of the catalog
    pagers: frozenset[str] = frozenset()  #: the channels that wake people by name
    external_policy: ExternalPolicy | None = None
    name_lookup: Callable[[Request], KnownNames] = lambda _: {}
    find_break_glass: Callable[[Sql, str, datetime], BreakGlassUse | None] = glasses.active

    def person(self, tx: Tx, person: str) -> Principal | None:
        """By id, as they are now; None when nobody has it any more."""
        return self.linking.principal_of(tx.sql, person)

    def decide(
        self, tx: Tx, request: Request, wanted: Permission, incident: Incident | None, impact: Impact
    ) -> Decision:
        return decision.decide(request.by, wanted, self.policy, self._around(tx, request, wanted, incident, impact))

    def decide_action(
        self, tx: Tx, request: Request, verb: str, target: str, impact: Impact = Impact.ACTION
    ) -> Decision:
        """For an action; the incident in whose thread it was said counts."""
        incident = tx.incident(request.incident_id) if request.incident_id else None
        return self.decide(tx, request, Permission(verb=verb, target=target), incident, impact)

    def decide_undo(self, tx: Tx, request: Request, verb: str, target: str, reason: str) -> Decision:
        """As `decide_action`; but what the approved plan itself announced (`why`), the watch may do at its time."""
        if reason and not request.by.human:
            return Decision(allowed=True, reason=f"The approved plan says so: {reason}.", rule="the plan")
        return self.decide_action(tx, request, verb, target)

    def still_allowed(self, tx: Tx, request: Request, verb: str, target: str) -> bool:
        """Whether whoever asked a question some time ago may ask it now, and the account is still theirs."""
        who, held = (
            self.person(tx, request.by.id),
            self.linking.holder_of(tx.sql, canonical_account(request.channel, request.account)),
        )
        if who is None or held is None or held.person != who.id:
            return False
        return self.decide_action(tx, replace(request, by=who), verb, target, Impact.READ).allowed

    def break_glass_holder(self, tx: Tx, use: BreakGlassUse) -> str | None:
        """Whose the account is now with which the glass was broken."""
        held = self.linking.holder_of(tx.sql, canonical_account(use.channel, use.account))
        return None if held is None else held.person

    def _glass_until(self, tx: Tx, person: str) -> datetime | None:
        """Until when that person's glass is broken; what somebody of that id broke before them is not theirs."""
        broken = self.find_break_glass(tx.sql, person, tx.now)
        if broken is None:
            return None
        listed = self.person(tx, person) is not None
        return (
            broken.until
            if break_glass_rules.is_same_person(broken, self.break_glass_holder(tx, broken), listed=listed)
            else None
        )

    def external_denial(self, tx: Tx, request: Request, verb: str, target: str) -> Callable[[], str]:
        """What asks for the second opinion; to be called when the transaction has ended."""
        wanted = Permission(verb=verb, target=target)
        incident = tx.incident(request.incident_id) if request.incident_id else None
        around = self._around(tx, request, wanted, incident, Impact.ACTION)
        document = decision.policy_input(request.by, wanted, self.policy, around)
        return lambda: "" if self.external_policy is None else self.external_policy.denial(document)

    def ever_allowed(self, who: Principal, verb: str) -> bool:
        """Whether there is any target and hour for which this person could be allowed that verb."""
        return verb in ALWAYS_ALLOWED or self.policy.rules_of(who.roles, verb).allows_something()

    def known_names(self, request: Request) -> KnownNames:
        """The names that may be said, for the grammar."""
        return self.name_lookup(request)

    def _around(
        self, tx: Tx, request: Request, wanted: Permission, incident: Incident | None, impact: Impact
    ) -> Context:
        service = wanted.target if wanted.target in self.environments else None
        if (
            service is None
            and incident is not None
            and (not wanted.target or wanted.target.startswith(INCIDENT_PREFIX))
        ):
            service = incident.service  # What is named is never judged by the thread in which it was said.
        return Context(
            now=tx.now,
            impact=impact,
            service=service,
            environment=self.environments.get(service or ""),
            severity=incident.severity if incident else None,
            on_call_for=self.policy.on_call_for(request.by.id),
            open_on=frozenset({service} if service and tx.has_unresolved_incident(service) else ()),
            paged=request.channel in self.pagers,
            break_glass_until=self._glass_until(tx, request.by.id),
        )
