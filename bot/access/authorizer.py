"""Decides whether a request is allowed: gathers the facts in the request's own transaction, then decides.

The decision itself is pure: `decision.decide`. An external policy (OPA) is asked outside of any transaction, by the
dispatcher, and can only deny.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
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
from bot.store import break_glass
from bot.store.sql import Sql
from bot.store.transaction import Tx, has_unresolved_incident


class ExternalPolicy(Protocol):
    """A policy outside of the bot that may deny what the bot's own rules allow."""

    def denial(self, document: Mapping[str, object]) -> str:
        """Why it is denied, in full sentences; "" if it is not. `document` comes from `decision.policy_input`.

        It denies if it gets no answer, and never raises.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Authorizer:
    """Every check of a right goes through here."""

    policy: Policy
    linking: AccountLinking  #: who has which account, now
    environments: Mapping[str, str | None] = field(default_factory=dict)  #: by service of the catalog
    stores: Mapping[str, str] = field(default_factory=dict)  #: the service of each store of backups; "" for none
    pagers: frozenset[str] = frozenset()  #: the channels that page people by name
    external_policy: ExternalPolicy | None = None
    name_lookup: Callable[[Request], KnownNames] = lambda _: {}
    #: The key of the settings by which the scheduler begins that verb on that target; "" where none does.
    scheduled_rule: Callable[[str, str], str] = lambda _verb, _target: ""
    find_break_glass: Callable[[Sql, str, datetime], BreakGlassUse | None] = break_glass.active

    def person(self, tx: Tx, person: str) -> Principal | None:
        """The person with that id, as they are now; None if nobody has it any more."""
        return self.linking.principal_of(tx.sql, person)

    def decide(
        self, tx: Tx, request: Request, wanted: Permission, incident: Incident | None, impact: Impact
    ) -> Decision:
        return decision.decide(request.by, wanted, self.policy, self._context(tx, request, wanted, incident, impact))

    def decide_action(
        self, tx: Tx, request: Request, verb: str, target: str, impact: Impact = Impact.ACTION
    ) -> Decision:
        """For an action; the incident in whose thread it was requested counts."""
        incident = tx.incident(request.incident_id) if request.incident_id else None
        return self.decide(tx, request, Permission(verb=verb, target=target), incident, impact)

    def able_others(
        self, sql: Sql, who: Principal, wanted: Permission, *, now: datetime, besides: Collection[str], most: int
    ) -> decision.Able:
        """Who else may use a verb that works on incidents or plans, apart from `who` and `besides`: at most `most`.

        Of their roles only those of the settings count; a role that groups give is named instead.
        """
        service = self._service(wanted.target)
        context = Context(
            now=now,
            impact=Impact.INCIDENT,
            service=service,
            environment=self.environments.get(service or ""),
            open_on=frozenset({service} if service and has_unresolved_incident(sql, service) else ()),
        )
        able = decision.able_others(who, wanted, self.policy, context, most=most + len(besides))
        people = tuple(one for one in able if one.id not in besides)[:most]
        granted = decision.allowing_roles(self.linking.roles_of_groups, wanted, self.policy, context)
        return decision.Able(people=people, roles=granted)

    def decide_undo(self, tx: Tx, request: Request, verb: str, target: str, reason: str) -> Decision:
        """As `decide_action`; but the scheduler may make the undo that the approved plan announced (`reason`)."""
        if reason and not request.by.human:
            return Decision(allowed=True, reason=f"The approved plan announced it: {reason}.", rule="the plan")
        return self.decide_action(tx, request, verb, target)

    def decide_scheduled(self, tx: Tx, request: Request, verb: str, target: str, reason: str) -> Decision:
        """What the scheduler may begin by itself: what the settings schedule, outside of freezes. `reason`: why now."""
        rule = self.scheduled_rule(verb, target)
        if not rule or request.by.human:
            message = f'"{verb} {target}" is denied: the settings do not schedule it.'
            return Decision(allowed=False, reason=message)
        wanted = Permission(verb=verb, target=target)
        frozen = decision.freeze_refusal(wanted, self.policy, self._context(tx, request, wanted, None, Impact.ACTION))
        if frozen:
            return Decision(allowed=False, reason=frozen, rule=rule)
        return Decision(allowed=True, reason=f"The settings schedule it ({rule}): {reason}.", rule=rule)

    def still_allowed(self, tx: Tx, request: Request, verb: str, target: str) -> bool:
        """Whether the sender of an earlier read may make it now, and still has the account."""
        who, held = (
            self.person(tx, request.by.id),
            self.linking.holder_of(tx.sql, canonical_account(request.channel, request.account)),
        )
        if who is None or held is None or held.person != who.id:
            return False
        return self.decide_action(tx, replace(request, by=who), verb, target, Impact.READ).allowed

    def break_glass_holder(self, tx: Tx, use: BreakGlassUse) -> str | None:
        """Who has now the account from which break-glass was activated."""
        held = self.linking.holder_of(tx.sql, canonical_account(use.channel, use.account))
        return None if held is None else held.person

    def _break_glass_until(self, tx: Tx, person: str) -> datetime | None:
        """Until when break-glass is active for that person; a use by somebody who had the id before does not count."""
        use = self.find_break_glass(tx.sql, person, tx.now)
        if use is None:
            return None
        listed = self.person(tx, person) is not None
        same = break_glass_rules.is_same_person(use, self.break_glass_holder(tx, use), listed=listed)
        return use.until if same else None

    def external_denial(self, tx: Tx, request: Request, verb: str, target: str) -> Callable[[], str]:
        """A function that asks the external policy; to be called after the transaction has ended."""
        wanted = Permission(verb=verb, target=target)
        incident = tx.incident(request.incident_id) if request.incident_id else None
        context = self._context(tx, request, wanted, incident, Impact.ACTION)
        document = decision.policy_input(request.by, wanted, self.policy, context)
        return lambda: "" if self.external_policy is None else self.external_policy.denial(document)

    def ever_allowed(self, who: Principal, verb: str) -> bool:
        """Whether this person could be allowed that verb on some target at some time."""
        return verb in ALWAYS_ALLOWED or self.policy.rules_of(who.roles, verb).allows_something()

    def known_names(self, request: Request) -> KnownNames:
        """The names that a command may use, for the parser."""
        return self.name_lookup(request)

    def _service(self, target: str) -> str | None:
        """The service of the catalog that the target is, or whose store it is."""
        named = self.stores.get(target) or target
        return named if named in self.environments else None

    def _context(
        self, tx: Tx, request: Request, wanted: Permission, incident: Incident | None, impact: Impact
    ) -> Context:
        service = self._service(wanted.target)
        if (
            service is None
            and incident is not None
            and (not wanted.target or wanted.target.startswith(INCIDENT_PREFIX))
        ):
            service = incident.service  # A named target is never judged by the thread of the request.
        return Context(
            now=tx.now,
            impact=impact,
            service=service,
            environment=self.environments.get(service or ""),
            severity=incident.severity if incident else None,
            on_call_for=self.policy.on_call_for(request.by.id),
            open_on=frozenset({service} if service and tx.has_unresolved_incident(service) else ()),
            paged=request.channel in self.pagers,
            break_glass_until=self._break_glass_until(tx, request.by.id),
        )
