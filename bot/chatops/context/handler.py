"""One request inside its transaction: parsed, authorized, run as a command, and recorded.

A command changes only the bot's own rows, so its intent and its outcome are in the same commit. An action is not run
here: the handler decides whether it may be planned, or whether its plan is approved, and the dispatcher continues after
the commit.
"""

from __future__ import annotations

import re
import secrets
from typing import Any

from bot.access.conditions import Impact
from bot.access.identity import LINK_FIRST, OPEN_TO_NOBODY, without_code
from bot.access.policy import INCIDENT_PREFIX
from bot.actions import approval
from bot.chatops import incident_reference, parser
from bot.chatops.action_target import target_of
from bot.chatops.context.request_context import OWN_RUN_VERBS, RequestContext
from bot.chatops.context.unit_of_work import UnitOfWork
from bot.chatops.next_steps import PlanStep
from bot.chatops.registry import PAGE, RequestParts, with_services_seen
from bot.chatops.tokens import unknown_verb
from bot.core.access import Decision, Permission
from bot.core.action import Action
from bot.core.audit import Code
from bot.core.command import Command
from bot.core.errors import Rejected
from bot.core.request import Reply, split_verb
from bot.store import runs, views

_DENIED = "denied"
_IS_DENIED = re.compile(r'^("[^"]*") is denied')
#: After these no other press of the same button can succeed.
_CLOSED = approval.CLOSED | {incident_reference.ANOTHER_INCIDENT}


class RequestHandler:
    """Serves one request. Afterwards `unit` holds the changes, and the step that follows the commit."""

    def __init__(self, unit: UnitOfWork, shared: RequestParts) -> None:
        self._unit = unit
        self._tx = unit.tx
        self._request = unit.request
        self._registry = shared.registry
        self._break_glass = shared.break_glass
        self._authorizer = shared.break_glass.authorizer
        self._context = RequestContext(unit, shared)

    def handle(self) -> Reply:
        """Answer the request. Its result, a refusal included, is recorded in this transaction."""
        verb, rest = split_verb(self._request.text)
        if not self._request.by.id and verb not in OPEN_TO_NOBODY:
            self._unit.record(Code.DENIED, LINK_FIRST)
            return Reply(text=LINK_FIRST, ok=False)
        try:
            if verb in self._registry.actions:
                return self._permit_action(self._registry.actions[verb], rest)
            if verb not in self._registry.commands:
                raise unknown_verb(verb, self._registry.usable)
            return self._run_command(self._registry.commands[verb], rest)
        except Rejected as refused:
            stops = refused.code == approval.NOT_ALLOWED
            self._unit.record(Code.DENIED if stops or refused.code == _DENIED else Code.REJECTED, refused.message)
            return Reply(text=refused.message, ok=False, plan_closed=refused.code in _CLOSED, shared=stops)

    def _run_command(self, command: Command[Any], rest: str) -> Reply:
        unit = self._unit
        args = self._parse(command, rest)
        permission = self._permission_for(command.verb, args)
        impact = Impact.READ if command.read_only else Impact.INCIDENT
        decision = self._authorizer.decide(self._tx, self._request, permission, unit.about, impact)
        if not decision.allowed:
            return self._deny(decision, permission.target)
        reply = command.run(self._request, args, self._context)
        if command.read_only or not reply.ok:
            code = Code.ANSWERED if reply.ok else Code.REJECTED
            unit.record(code, reply.storable_text.partition("\n")[0], decision, target=permission.target)
        elif unit.next_step is None:
            run = secrets.token_hex(16)
            unit.record(Code.INTENT, without_code(self._request.text), decision, run=run, target=permission.target)
            unit.record(Code.DONE, reply.storable_text, decision, run=run, target=permission.target)
            if decision.break_glass:
                unit.add_written(
                    self._break_glass.report_use(self._tx, self._request, unit.about.id if unit.about else None)
                )
        return reply

    def _permit_action(self, action: Action[Any], rest: str) -> Reply:
        args = self._parse(action, rest)
        target = target_of(self._tx.sql, action, args) if self._may_know_runs(action.verb) else action.target(args)
        impact = Impact.READ if action.read_only else Impact.ACTION
        decision = self._authorizer.decide_action(self._tx, self._request, action.verb, target, impact)
        if not decision.allowed:
            return self._deny(decision, target)
        self._unit.next_step = PlanStep(
            action=action, args=args, request=self._request, decision=decision, target=target
        )
        return Reply(text="Looking.")

    def _may_know_runs(self, verb: str) -> bool:
        """Whether the answer may reveal which runs exist."""
        by = self._request.by
        glass = self._authorizer.find_break_glass(self._tx.sql, by.id, self._tx.now)
        return self._authorizer.ever_allowed(by, verb) or glass is not None

    def _parse(self, command: Command[Any] | Action[Any], rest: str) -> object:
        known = self._break_glass.known_names(self._tx, command.verb, self._authorizer.known_names(self._request))
        if command.verb == PAGE:
            known = with_services_seen(known, views.services_of_alerts(self._tx.sql))
        args = parser.parse(command.args, rest, self._request.incident_id, command.usage, known=known)
        return incident_reference.check_incident_numbers(args, self._request, self._tx.incident)

    def _deny(self, decision: Decision, target: str = "") -> Reply:
        self._unit.record(Code.DENIED, decision.reason, decision, target=target)
        return Reply(text=denied(decision), ok=False)

    def _permission_for(self, verb: str, args: object) -> Permission:
        """The permission to check: on the service of the incident that is named, or on the plan's or run's target."""
        number = getattr(args, "incident", None)
        if isinstance(number, int):
            if self._authorizer.ever_allowed(self._request.by, verb):  # else it would reveal which numbers exist
                self._context.incidents.get(number)
            self._unit.about = self._tx.incident(number)
            return Permission(verb=verb, target=f"{INCIDENT_PREFIX}{number}")
        if verb in ("yes", "no"):
            proposal = self._context.plans.find(str(getattr(args, "handle", "")))
            own = proposal.requester == self._request.by.id  # whether their approval counts is decided with the plan
            return Permission(verb=proposal.verb if own else verb, target=proposal.plan.target)
        if verb in (*OWN_RUN_VERBS, "settle"):
            run = self._context.runs.find(str(getattr(args, "run", "")))
            own = verb != "settle" and run.by == self._request.by.id  # who may do it may also keep it or undo it
            proposal = runs.plan_of_run(self._tx.sql, run)
            return Permission(verb=proposal.verb if own else verb, target=proposal.plan.target)
        return Permission(verb=verb, target=str(getattr(args, "service", "")))


def denied(decision: Decision) -> str:
    """The refusal as the requester reads it. "Denied" stands once: in front, not also after the command."""
    reason = _IS_DENIED.sub(r"\1", decision.reason)
    suffix = "" if "Nothing was done" in reason else " Nothing was done."
    return f"Denied: {reason}{suffix}"
