"""`desk.plans`: plans that wait for approval are listed, approved and rejected.

An approval only counts here. The gate runs the plan after the commit.
"""

from __future__ import annotations

from collections.abc import Sequence

from bot import approval_facts, lapses, plans, yeses
from bot.acts import Code
from bot.desk.lookup import only_match
from bot.desk.unit_of_work import UnitOfWork
from bot.model import Principal, Reply
from bot.plans import Proposal
from bot.ports import Rejected
from bot.steps import RunStep
from bot.store import drawn as drawn_up
from bot.verbs import RequestParts

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
        unit, drawn = self._unit, self.find(handle)
        tx, ask = unit.tx, unit.request
        voice = self._rights.linking.identity_of(tx, ask)
        verdict = approval_facts.review_approvals(
            self._rights, tx, drawn, self._verbs.action(drawn.verb).risk, unit.outside
        )
        now = approval_facts.approver_state(self._rights, tx, drawn, voice, unit.outside)
        yeses.check_yes(drawn, voice, now, verdict, human=ask.by.human)
        plans.check_confirmed_name(drawn, typed)
        again = yeses.describe_lapses(drawn, verdict)
        unit.add_written(lapses.write(tx, drawn, verdict, ask, self._breaking.subscriptions))
        if verdict.stopped is not None:
            drawn_up.set_state(tx, drawn.handle, plans.State.STOPPED)
            raise Rejected(again, code=plans.NOT_ALLOWED, status=403)
        drawn_up.add_approval(tx, drawn.handle, voice)
        unit.record(Code.APPROVED, f"{ask.by.display_name} says yes to {drawn.command}", run=drawn.handle)
        missing = verdict.missing - 1
        if missing:
            said = f"Approved; {missing} more must say `{plans.approve_command(drawn)}`. {again}".rstrip()
            return Reply(text=said, shared=True)
        if not drawn_up.set_state(tx, drawn.handle, plans.State.APPROVED):
            raise Rejected(
                f"Plan {drawn.short_handle} was taken up a moment ago. Nothing more was done.", code="plan_used"
            )
        asker = self._rights.person(tx, drawn.requester) or Principal(id=drawn.requester)
        unit.after = RunStep(proposal=drawn, requester=asker, decision=verdict.decision, outside=unit.outside)
        return Reply(text="Running.")

    def reject(self, handle: str) -> Reply:
        unit, drawn = self._unit, self.find(handle)
        plans.check_open(drawn, unit.tx.now)
        drawn_up.set_state(unit.tx, drawn.handle, plans.State.DROPPED)
        unit.record(Code.NOT_APPROVED, f"{unit.request.by.display_name} says no to {drawn.command}", run=drawn.handle)
        said = f"Plan {drawn.short_handle} is dropped: {drawn.command}. Nothing was done."
        return Reply(text=said, shared=True, plan_closed=True)
