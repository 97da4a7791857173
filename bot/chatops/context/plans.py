"""`desk.plans`: plans that wait for approval are listed, approved and rejected.

An approval only counts here. The gate runs the plan after the commit.
"""

from __future__ import annotations

from collections.abc import Sequence

from bot.actions import approval, approval_facts, approval_validity, lapsed_approvals
from bot.chatops.context.lookup import only_match
from bot.chatops.context.unit_of_work import UnitOfWork
from bot.chatops.next_steps import RunStep
from bot.chatops.registry import RequestParts
from bot.core.audit import Code
from bot.core.errors import Rejected
from bot.core.plan import PlanState, Proposal
from bot.core.request import Principal, Reply
from bot.store import plans as drawn_up

_LISTED = 20


class PlanService:
    """Implements `ports.PlanOperations` for one request."""

    def __init__(self, unit: UnitOfWork, shared: RequestParts) -> None:
        self._unit = unit
        self._verbs = shared.registry
        self._breaking = shared.break_glass
        self._rights = shared.break_glass.authorizer

    def find(self, handle: str) -> Proposal:
        """The plan whose handle begins so. Raises `Rejected` where there is not exactly one."""
        found = drawn_up.find_plans(self._unit.tx.sql, handle)
        return only_match(found, f"plan {handle}", "`approvals` lists those that wait.")

    def list_waiting(self) -> Sequence[Proposal]:
        return drawn_up.waiting_plans(self._unit.tx.sql, self._unit.tx.now, _LISTED)

    def approve(self, handle: str, typed: str = "") -> Reply:
        """Count the asker's approval; the last one that is needed lets the plan run."""
        unit, proposal = self._unit, self.find(handle)
        tx, request = unit.tx, unit.request
        identity = self._rights.linking.identity_of(tx, request)
        verdict = approval_facts.review_approvals(
            self._rights, tx, proposal, self._verbs.action(proposal.verb).risk, unit.outside
        )
        now = approval_facts.approver_state(self._rights, tx, proposal, identity, unit.outside)
        approval_validity.check_yes(proposal, identity, now, verdict, human=request.by.human)
        approval.check_confirmed_name(proposal, typed)
        again = approval_validity.describe_lapses(proposal, verdict)
        unit.add_written(lapsed_approvals.write(tx, proposal, verdict, request, self._breaking.subscriptions))
        if verdict.stopped is not None:
            drawn_up.set_state(tx, proposal.handle, PlanState.STOPPED)
            raise Rejected(again, code=approval.NOT_ALLOWED, status=403)
        drawn_up.add_approval(tx, proposal.handle, identity)
        unit.record(Code.APPROVED, f"{request.by.display_name} says yes to {proposal.command}", run=proposal.handle)
        missing = verdict.missing - 1
        if missing:
            message = f"Approved; {missing} more must say `{approval.approve_command(proposal)}`. {again}".rstrip()
            return Reply(text=message, shared=True)
        if not drawn_up.set_state(tx, proposal.handle, PlanState.APPROVED):
            raise Rejected(
                f"Plan {proposal.short_handle} was taken up a moment ago. Nothing more was done.", code="plan_used"
            )
        asker = self._rights.person(tx, proposal.requester) or Principal(id=proposal.requester)
        unit.after = RunStep(proposal=proposal, requester=asker, decision=verdict.decision, outside=unit.outside)
        return Reply(text="Running.")

    def reject(self, handle: str) -> Reply:
        unit, proposal = self._unit, self.find(handle)
        approval.check_open(proposal, unit.tx.now)
        drawn_up.set_state(unit.tx, proposal.handle, PlanState.DROPPED)
        unit.record(
            Code.NOT_APPROVED, f"{unit.request.by.display_name} says no to {proposal.command}", run=proposal.handle
        )
        message = f"Plan {proposal.short_handle} is dropped: {proposal.command}. Nothing was done."
        return Reply(text=message, shared=True, plan_closed=True)
