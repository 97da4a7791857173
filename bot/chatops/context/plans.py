"""`context.plans`: plans that wait for approval are listed, approved and rejected.

An approval is only counted here. The dispatcher runs the plan after the commit.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from bot.actions import approval, approval_facts, approval_validity, plan_writer
from bot.chatops.context.lookup import only_match
from bot.chatops.context.unit_of_work import UnitOfWork
from bot.chatops.next_steps import RunStep
from bot.chatops.registry import RequestParts
from bot.core.audit import Code
from bot.core.errors import Rejected
from bot.core.plan import PlanState, Proposal
from bot.core.request import Principal, Reply
from bot.store import plans as plan_rows

_LISTED = 20


class PlanService:
    """Implements `core.command.PlanOperations` for one request."""

    def __init__(self, unit: UnitOfWork, shared: RequestParts) -> None:
        self._unit = unit
        self._registry = shared.registry
        self._break_glass = shared.break_glass
        self._authorizer = shared.break_glass.authorizer

    def find(self, handle: str) -> Proposal:
        """The plan whose handle begins with `handle`. Raises `Rejected` unless exactly one does."""
        found = plan_rows.find_plans(self._unit.tx.sql, handle)
        return only_match(found, f"plan {handle}", "`approvals` lists those that wait.")

    def list_waiting(self) -> Sequence[Proposal]:
        return plan_rows.waiting_plans(self._unit.tx.sql, self._unit.tx.now, _LISTED)

    def approve(self, handle: str, typed: str = "") -> Reply:
        """Count the asker's approval; the last one that is needed lets the plan run."""
        unit, proposal = self._unit, self.find(handle)
        tx, request = unit.tx, unit.request
        identity = self._authorizer.linking.identity_of(tx, request)
        verdict = approval_facts.review_approvals(
            self._authorizer, tx, proposal, self._registry.action(proposal.verb).risk, unit.account_problems
        )
        now = approval_facts.approver_state(self._authorizer, tx, proposal, identity, unit.account_problems)
        who_else = partial(
            approval_facts.describe_approvers, self._authorizer, tx.sql, tx.now, proposal, verdict.missing
        )
        approval_validity.check_yes(proposal, identity, now, verdict, human=request.by.human, who_else=who_else)
        approval.check_confirmed_name(proposal, typed)
        lapses = approval_validity.describe_lapses(proposal, verdict)
        unit.add_written(plan_writer.write_lapses(tx, proposal, verdict, request, self._break_glass.subscriptions))
        if verdict.stopped is not None:
            plan_rows.set_state(tx, proposal.handle, PlanState.STOPPED)
            raise Rejected(lapses, code=approval.NOT_ALLOWED, status=403)
        plan_rows.add_approval(tx, proposal.handle, identity)
        unit.record(Code.APPROVED, f"{request.by.display_name} approved {proposal.command}", run=proposal.handle)
        if verdict.missing > 1:
            return Reply(text=approval_validity.describe_progress(proposal, identity, verdict), shared=True)
        if not plan_rows.set_state(tx, proposal.handle, PlanState.APPROVED):
            message = f"Plan {proposal.short_handle} was approved or dropped a moment ago. Nothing more was done."
            raise Rejected(message, code="plan_used")
        requester = self._authorizer.person(tx, proposal.requester) or Principal(id=proposal.requester)
        unit.next_step = RunStep(
            proposal=proposal, requester=requester, decision=verdict.decision, account_problems=unit.account_problems
        )
        return Reply(text="Running.")

    def reject(self, handle: str) -> Reply:
        unit, proposal = self._unit, self.find(handle)
        approval.check_open(proposal, unit.tx.now)
        plan_rows.set_state(unit.tx, proposal.handle, PlanState.DROPPED)
        by = unit.request.by.display_name
        unit.record(Code.NOT_APPROVED, f"{by} dropped {proposal.command}", run=proposal.handle)
        message = f"{by} dropped plan {proposal.short_handle}: {proposal.command}. Nothing was done."
        return Reply(text=message, shared=True, plan_closed=True)
