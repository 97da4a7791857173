"""What time does to plans and runs: they expire, are looked at, checked, and undone when their time is over.

Every deadline is in a row, so a tick that two replicas make, or that a dead process left half done, is harmless: an
undo is a run of its own, and where there is one already it is not begun again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from bot.access import account_linking
from bot.access.break_glass import BreakGlass
from bot.actions.intent import LEASE
from bot.actions.progress import RunReports
from bot.actions.runner import Runner
from bot.core import run_state
from bot.core.action import MetricsStore, RaiseAlert
from bot.core.audit import AuditEntry, Code
from bot.core.incident import OnCommit
from bot.core.plan import HANDLE_LENGTH, PlanState, Proposal, Result
from bot.core.request import SCHEDULER, Reply
from bot.store import audit_log, run_states, runs
from bot.store import plans as drawn_up
from bot.store.engine import Store
from bot.store.runs import INTENDED, Run
from bot.store.transaction import Tx

logger = logging.getLogger(__name__)

#: So many undos that failed, and changed nothing, are enough.
_TRIES = 3
#: How often a check is asked while it is held.
CHECK_EVERY = timedelta(seconds=30)


@dataclass(frozen=True, kw_only=True)
class Upkeep:
    """`tick` is one tick of the watch. `reverse`: begins the undo of a run, for a reason; as
    `Gate.undo_automatically`.
    """

    store: Store
    reverse: Callable[[Run, str], Reply]
    runner: Runner
    reports: RunReports
    metrics: MetricsStore | None
    raise_alert: RaiseAlert
    break_glass: BreakGlass
    on_commit: OnCommit

    def tick(self) -> None:
        self._mend()
        self._expire()
        self._stop_what_was_forgotten()
        self.runner.recover()
        self.reports.send_results()
        account_linking.send_account_messages(self.store, self.reports.messengers)
        self._undo_what_ends()
        self._check_what_is_held()

    def _mend(self) -> None:
        with self.store.begin() as tx:
            written = self.break_glass.expire(tx)
        if written:
            self.on_commit(written)

    def _expire(self) -> None:
        with self.store.begin() as tx:
            for proposal in drawn_up.expired_plans(tx):
                drawn_up.set_state(tx, proposal.handle, PlanState.EXPIRED)
                message = (
                    f"nobody said yes within "
                    f"{(proposal.expires_at - proposal.at) // timedelta(minutes=1)} min: {proposal.command}"
                )
                audit_log.append(tx, [_entry(Code.EXPIRED, message, proposal)])

    def _stop_what_was_forgotten(self) -> None:
        """Plans whose intent was not written after the last yes: nothing was done, and people may believe it was."""
        with self.store.begin() as tx:
            found = drawn_up.approved_without_run(tx, LEASE)
        for proposal in found:
            message = (
                f"{proposal.command}: approved, and never begun: the bot or its database was down. Nothing was done."
            )
            if proposal.requester != SCHEDULER.id:  # who comes back to it by itself
                self.raise_alert("PlanNotRun", proposal.handle, message)
            with self.store.begin() as tx:
                if drawn_up.set_stopped(tx, proposal.handle, PlanState.STOPPED):
                    audit_log.append(tx, [_entry(Code.FAILED, message, proposal)])

    def _undo_what_ends(self) -> None:
        with self.store.begin() as tx:
            due = runs.due_to_revert(tx)
        for run in due:
            self._reverse(run, "its time is over")

    def _check_what_is_held(self) -> None:
        with self.store.begin() as tx:
            found = [run for run in runs.due_to_check(tx) if not _is_undone(tx, run)]
            due = [(run, runs.plan_of_run(tx.sql, run).plan.check) for run in found]
        for run, check in due:
            holds = None if self.metrics is None else self.metrics.holds(check)
            if holds is False:
                self._reverse(run, f"its check does not hold: {check}")
            else:
                self._hold_on(run, check, asked=holds is not None)

    def _hold_on(self, run: Run, check: str, *, asked: bool) -> None:
        over = run.check_until is not None and self.store.now() >= run.check_until
        if over and not asked:
            reason = f"Whether all is well could not be asked: {check}"
            self.raise_alert("RunNotChecked", run.id, f"{run.message} {reason}")
            self.runner.mark_degraded(run, reason)
        with self.store.begin() as tx:
            runs.set_next_check(tx, run, None if over else tx.now + CHECK_EVERY)

    def _reverse(self, run: Run, reason: str) -> None:
        """Undo it, once; a person hears of an undo that cannot be, before it is at rest and nobody comes back to it.

        An undo that failed changed nothing, a person's earlier one or that of a process that died, so it is made again.
        """
        with self.store.begin() as tx:
            undo, tries = runs.undone_by(tx.sql, run), runs.count_undo_runs(tx.sql, run)
            if undo is not None and undo.state == INTENDED:
                return
            if undo is not None and undo.state != Result.FAILED:
                runs.clear_deadlines(tx, run)
                return
        reply = self.reverse(run, reason) if tries < _TRIES else Reply(text=undo.message if undo else "", ok=False)
        logger.info("a run is undone", extra={"run": run.id, "why": reason, "begun": reply.ok})
        if not reply.ok and self._ends_still(run) and not self._is_undone(run):
            message = f"Run {run.id[:HANDLE_LENGTH]} was to be undone, {reason}. {reply.text}"
            self.raise_alert("RunNotUndone", run.id, message)
            self.runner.mark_degraded(run, message)
            with self.store.begin() as tx:
                runs.clear_deadlines(tx, run)

    def _ends_still(self, run: Run) -> bool:
        """False: somebody keeps it, which the undo has found out on its way."""
        with self.store.begin() as tx:
            return runs.claim_due(tx, run)

    def _is_undone(self, run: Run) -> bool:
        """Whether its undo was done, be the target well or not."""
        with self.store.begin() as tx:
            undo = runs.undone_by(tx.sql, run)
        return undo is not None and undo.state == Result.DONE


def _is_undone(tx: Tx, run: Run) -> bool:
    """Or about to be. What is not there any more needs no check, and nobody a page that it could not be asked."""
    state = run_states.state_now(tx.sql, run)
    if state is run_state.State.UNDONE:
        runs.clear_deadlines(tx, run)
    return state in (run_state.State.UNDONE, run_state.State.UNDOING)


def _entry(code: Code, message: str, proposal: Proposal) -> AuditEntry:
    return AuditEntry(
        code=code,
        by="watch",
        message=message,
        run=proposal.handle,
        verb=proposal.verb,
        target=proposal.plan.target,
        channel=proposal.channel,
        incident_id=proposal.incident_id,
    )
