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
from bot.plans import Drawn
from bot.ports import Rejected
from bot.steps import Approved
from bot.store import drawn as drawn_up
from bot.verbs import Parts

_LISTED = 20


class PlanService:
    """Implements `ports.PlanOperations` for one request."""

    def __init__(self, unit: UnitOfWork, shared: Parts) -> None:
        self._unit = unit
        self._verbs = shared.verbs
        self._breaking = shared.breaking
        self._rights = shared.breaking.rights

    def find(self, handle: str) -> Drawn:
        """The plan whose handle begins so. Raises `Rejected` where there is not exactly one."""
        found = drawn_up.plans_like(self._unit.tx.sql, handle)
        return only_match(found, f"plan {handle}", "`approvals` lists those that wait.")

    def list_waiting(self) -> Sequence[Drawn]:
        return drawn_up.waiting(self._unit.tx.sql, self._unit.tx.now, _LISTED)

    def approve(self, handle: str, typed: str = "") -> Reply:
        """Count the asker's approval; the last one that is needed lets the plan run."""
        unit, drawn = self._unit, self.find(handle)
        tx, ask = unit.tx, unit.ask
        voice = self._rights.linking.voice(tx, ask)
        verdict = approval_facts.weigh(self._rights, tx, drawn, self._verbs.action(drawn.verb).risk, unit.outside)
        now = approval_facts.said_yes(self._rights, tx, drawn, voice, unit.outside)
        yeses.check_yes(drawn, voice, now, verdict, human=ask.by.human)
        plans.check_named(drawn, typed)
        again = yeses.told(drawn, verdict)
        unit.add_written(lapses.write(tx, drawn, verdict, ask, self._breaking.mouths))
        if verdict.stopped is not None:
            drawn_up.mark(tx, drawn.handle, plans.State.STOPPED)
            raise Rejected(again, code=plans.STOPS, status=403)
        drawn_up.approve(tx, drawn.handle, voice)
        unit.record(Code.APPROVED, f"{ask.by.called} says yes to {drawn.words}", run=drawn.handle)
        missing = verdict.missing - 1
        if missing:
            said = f"Approved; {missing} more must say `{plans.yes_to(drawn)}`. {again}".rstrip()
            return Reply(said=said, shared=True)
        if not drawn_up.mark(tx, drawn.handle, plans.State.APPROVED):
            raise Rejected(f"Plan {drawn.short} was taken up a moment ago. Nothing more was done.", code="plan_used")
        asker = self._rights.person(tx, drawn.by) or Principal(id=drawn.by)
        unit.after = Approved(drawn=drawn, asker=asker, decision=verdict.decision, outside=unit.outside)
        return Reply(said="Running.")

    def reject(self, handle: str) -> Reply:
        unit, drawn = self._unit, self.find(handle)
        plans.check_open(drawn, unit.tx.now)
        drawn_up.mark(unit.tx, drawn.handle, plans.State.DROPPED)
        unit.record(Code.NOT_APPROVED, f"{unit.ask.by.called} says no to {drawn.words}", run=drawn.handle)
        said = f"Plan {drawn.short} is dropped: {drawn.words}. Nothing was done."
        return Reply(said=said, shared=True, over=True)
