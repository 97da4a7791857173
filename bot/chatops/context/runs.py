"""`context.runs`: runs are listed and undone, a timed undo is cancelled, and an unknown result is recorded by a person.

An undo is only checked here. The dispatcher plans it after the commit, as any other action.
"""

from __future__ import annotations

from collections.abc import Sequence

from bot.chatops.context.lookup import only_match
from bot.chatops.context.unit_of_work import UnitOfWork
from bot.chatops.next_steps import UndoStep
from bot.core.errors import Rejected
from bot.core.plan import HANDLE_LENGTH, Result
from bot.core.request import Reply
from bot.core.run_state import RunStatus, State, person_named
from bot.incidents.service import IncidentService
from bot.store import run_states, runs
from bot.store.runs import Run

_LISTED = 10


class RunService:
    """Implements `core.command.RunOperations` for one request."""

    def __init__(self, unit: UnitOfWork, incidents: IncidentService) -> None:
        """`incidents`: the result of a run is reported there."""
        self._unit = unit
        self._tx = unit.tx
        self._incidents = incidents

    def find(self, run_id: str) -> Run:
        """The run whose id begins with `run_id`. Raises `Rejected` unless exactly one does."""
        found = runs.find_runs(self._tx.sql, run_id)
        return only_match(found, f"run {run_id}", "`runs` lists the last ones.")

    def list_recent(self) -> Sequence[RunStatus]:
        return run_states.last(self._tx.sql, _LISTED)

    def undo(self, run_id: str) -> Reply:
        run = self.find(run_id)
        now = run_states.of_run(self._tx.sql, run)
        if not now.can_undo:
            reason = "it left no undo command" if now.state in (State.DONE, State.DEGRADED) else _describe_state(now)
            raise Rejected(f"Run {now.short_id} cannot be undone: {reason}. Nothing was done.", code="no_undo")
        self._unit.next_step = UndoStep(run=run)
        return Reply(text="Looking.")

    def cancel_timed_undo(self, run_id: str) -> Reply:
        run = self.find(run_id)
        now = run_states.of_run(self._tx.sql, run)
        if now.state in (State.UNDONE, State.UNDOING):
            message = f"Run {now.short_id} cannot be kept: {_describe_state(now)}. Nothing was done."
            raise Rejected(message, code="nothing_to_keep", status=409)
        if not runs.cancel_revert(self._tx, run):
            message = f"Run {run.id[:HANDLE_LENGTH]} has no timed undo. Nothing was done."
            raise Rejected(message, code="nothing_to_keep", status=409)
        message = f"The timed undo of run {now.short_id} is cancelled: its change stays."
        return Reply(text=f"{message} `undo {now.short_id}` undoes it.")

    def record_result(self, run_id: str, ended: str, reason: str) -> Reply:
        run, by = self.find(run_id), self._unit.request.by
        if not runs.settle(self._tx, run, Result(ended), f"{by.display_name}: {reason}"):
            now = run_states.of_run(self._tx.sql, run)
            message = f"Run {now.short_id} is {now.state}, not unknown. Nothing was done."
            raise Rejected(message, code="settled", status=409)
        proposal = runs.plan_of_run(self._tx.sql, run)
        incident = self._tx.incident(proposal.incident_id) if proposal.incident_id else None
        if incident is not None:
            message = f"{by.display_name}: {proposal.command}: {ended}. {reason}"
            self._incidents.report_action(incident, message, done=ended == Result.DONE)
        return Reply(text=f"Run {run.id[:HANDLE_LENGTH]} is recorded as {ended}. {run.target} takes new actions again.")


def _describe_state(now: RunStatus) -> str:
    by = f" by {person_named(now.undone_for)}, run {now.undone_by[:HANDLE_LENGTH]}" if now.undone_by else ""
    return f"it is {now.state}{by}"
