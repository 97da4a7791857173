"""One request inside its transaction: parsed, authorised, run as a command, and put on record.

A command changes only the bot's own rows, so its intent and its outcome are in the same commit. An action is not run
here: the handler decides whether it may be planned, or that its plan has been approved, and the gate goes on from there
after the commit.
"""

from __future__ import annotations

import secrets
from typing import Any

from bot.access.conditions import Impact
from bot.access.identity import LINK_FIRST, OPEN_TO_NOBODY, without_code
from bot.access.policy import INCIDENT_PREFIX
from bot.actions import approval
from bot.chatops import incident_reference, parser
from bot.chatops.context.request_context import OF_OWN_RUNS, RequestContext
from bot.chatops.context.unit_of_work import UnitOfWork
from bot.chatops.next_steps import PlanStep
from bot.chatops.registry import RequestParts
from bot.chatops.tokens import unknown_verb
from bot.core.access import Decision, Permission
from bot.core.action import Action
from bot.core.audit import Code
from bot.core.command import Command
from bot.core.errors import Rejected
from bot.core.request import Reply, split_verb
from bot.store import runs

_DENIED = "denied"
#: After these no other press of the same button can count.
_OVER = approval.CLOSED | {incident_reference.ANOTHER_INCIDENT}


class RequestHandler:
    """Serves one request. Afterwards `unit` holds what was written, and what the gate does after the commit."""

    def __init__(self, unit: UnitOfWork, shared: RequestParts) -> None:
        self._unit = unit
        self._tx = unit.tx
        self._ask = unit.request
        self._verbs = shared.registry
        self._breaking = shared.break_glass
        self._rights = shared.break_glass.authorizer
        self._desk = RequestContext(unit, shared)

    def handle(self) -> Reply:
        """Answer the request. Its result, a refusal included, is on record in this transaction."""
        verb, rest = split_verb(self._ask.text)
        if not self._ask.by.id and verb not in OPEN_TO_NOBODY:
            self._unit.record(Code.DENIED, LINK_FIRST)
            return Reply(text=LINK_FIRST, ok=False)
        try:
            if verb in self._verbs.actions:
                return self._permit_action(self._verbs.actions[verb], rest)
            if verb not in self._verbs.commands:
                raise unknown_verb(verb, self._verbs.all)
            return self._run_command(self._verbs.commands[verb], rest)
        except Rejected as refused:
            stops = refused.code == approval.NOT_ALLOWED
            self._unit.record(Code.DENIED if stops or refused.code == _DENIED else Code.REJECTED, refused.message)
            return Reply(text=refused.message, ok=False, plan_closed=refused.code in _OVER, shared=stops)

    def _run_command(self, command: Command[Any], rest: str) -> Reply:
        unit = self._unit
        args = self._read(command, rest)
        wanted = self._permission_for(command.verb, args)
        weight = Impact.READ if command.read_only else Impact.INCIDENT
        decision = self._rights.decide(self._tx, self._ask, wanted, unit.about, weight)
        if not decision.allowed:
            return self._deny(decision, wanted.target)
        reply = command.run(self._ask, args, self._desk)
        if command.read_only or not reply.ok:
            code = Code.ANSWERED if reply.ok else Code.REJECTED
            unit.record(code, reply.storable_text.partition("\n")[0], decision, target=wanted.target)
        elif unit.after is None:
            run = secrets.token_hex(16)
            unit.record(Code.INTENT, without_code(self._ask.text), decision, run=run, target=wanted.target)
            unit.record(Code.DONE, reply.storable_text, decision, run=run, target=wanted.target)
            if decision.break_glass:
                unit.add_written(self._breaking.report_use(self._tx, self._ask, unit.about.id if unit.about else None))
        return reply

    def _permit_action(self, action: Action[Any], rest: str) -> Reply:
        args = self._read(action, rest)
        target = action.target(args)
        weight = Impact.READ if action.read_only else Impact.ACTION
        decision = self._rights.decide_action(self._tx, self._ask, action.verb, target, weight)
        if not decision.allowed:
            return self._deny(decision, target)
        self._unit.after = PlanStep(action=action, args=args, request=self._ask, decision=decision)
        return Reply(text="Looking.")

    def _read(self, command: Command[Any] | Action[Any], rest: str) -> object:
        known = self._breaking.known_names(self._tx, command.verb, self._rights.known_names(self._ask))
        args = parser.parse(command.args, rest, self._ask.incident_id, command.usage, known=known)
        return incident_reference.check_incident_numbers(args, self._ask, self._tx.incident)

    def _deny(self, decision: Decision, target: str = "") -> Reply:
        self._unit.record(Code.DENIED, decision.reason, decision, target=target)
        return Reply(text=denied(decision), ok=False)

    def _permission_for(self, verb: str, args: object) -> Permission:
        """The permission to check: on the service of the incident that is named, or on the plan's or run's target."""
        number = getattr(args, "incident", None)
        if isinstance(number, int):
            if self._rights.ever_allowed(self._ask.by, verb):  # to others it is not said which numbers there are
                self._desk.incidents.get(number)
            self._unit.about = self._tx.incident(number)
            return Permission(verb=verb, target=f"{INCIDENT_PREFIX}{number}")
        if verb in ("yes", "no"):
            proposal = self._desk.plans.find(str(getattr(args, "handle", "")))
            own = proposal.requester == self._ask.by.id  # whether their yes counts is the plan's to say
            return Permission(verb=proposal.verb if own else verb, target=proposal.plan.target)
        if verb in (*OF_OWN_RUNS, "settle"):
            run = self._desk.runs.find(str(getattr(args, "run", "")))
            own = verb != "settle" and run.by == self._ask.by.id  # who may do it may let it stay, and plan its undo
            return Permission(verb=runs.plan_of_run(self._tx.sql, run).verb if own else verb, target=run.target)
        return Permission(verb=verb, target=str(getattr(args, "service", "")))


def denied(decision: Decision) -> str:
    """What the asker hears."""
    done = "" if "Nothing was done" in decision.reason else " Nothing was done."
    return f"Denied: {decision.reason}{done}"
