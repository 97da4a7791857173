"""Periodic work on plans and runs: expire plans, probe abandoned runs, hold checks, undo on time.

Every deadline is in a row, so a tick that two replicas make, or that a process left half done when it died, is
harmless: an undo is a run of its own, and if there is one already it is not begun again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from bot.access import account_linking
from bot.access.break_glass import BreakGlass
from bot.actions.audit_entries import scheduler_entry
from bot.actions.intent import LEASE
from bot.actions.progress import RunReports
from bot.actions.runner import Runner
from bot.core import run_state
from bot.core.action import MetricsStore, RaiseAlert
from bot.core.audit import Code
from bot.core.incident import OnCommit
from bot.core.plan import HANDLE_LENGTH, PlanState, Result
from bot.core.request import SCHEDULER, Reply
from bot.lib.text import spell_duration
from bot.store import audit_log, plans, run_states, runs
from bot.store.engine import Store
from bot.store.runs import INTENDED, Run
from bot.store.transaction import Tx

logger = logging.getLogger(__name__)

#: After this many failed undos, which changed nothing, a person is paged.
_TRIES = 3
#: How often the check of a run is evaluated while it is held.
CHECK_EVERY = timedelta(seconds=30)


@dataclass(frozen=True, kw_only=True)
class Upkeep:
    """`tick` is called by the scheduler. `undo` begins the undo of a run, for a reason: see
    `Dispatcher.undo_automatically`.
    """

    store: Store
    undo: Callable[[Run, str], Reply]
    runner: Runner
    reports: RunReports
    metrics: MetricsStore | None
    raise_alert: RaiseAlert
    break_glass: BreakGlass
    on_commit: OnCommit

    def tick(self) -> None:
        self._expire_break_glass()
        self._expire_plans()
        self._stop_forgotten_plans()
        self.runner.recover()
        self.reports.send_results()
        account_linking.send_account_messages(self.store, self.reports.messengers)
        self._undo_due_runs()
        self._check_held_runs()

    def _expire_break_glass(self) -> None:
        with self.store.begin() as tx:
            written = self.break_glass.expire(tx)
        if written:
            self.on_commit(written)

    def _expire_plans(self) -> None:
        with self.store.begin() as tx:
            for proposal in plans.expired_plans(tx):
                plans.set_state(tx, proposal.handle, PlanState.EXPIRED)
                lifetime = spell_duration(proposal.expires_at - proposal.at)
                message = f"not approved within {lifetime}: {proposal.command}"
                audit_log.append(tx, [scheduler_entry(Code.EXPIRED, message, proposal)])

    def _stop_forgotten_plans(self) -> None:
        """Plans without an intent after the last approval: nothing was done, and people may believe it was."""
        with self.store.begin() as tx:
            found = plans.approved_without_run(tx, LEASE)
        for proposal in found:
            message = (
                f"{proposal.command}: approved but not begun, because the bot or its database was down. Nothing was "
                "done."
            )
            if proposal.requester != SCHEDULER.id:  # its undo stays due, and is begun again
                self.raise_alert("PlanNotRun", proposal.handle, message)
            with self.store.begin() as tx:
                if plans.set_stopped(tx, proposal.handle, PlanState.STOPPED):
                    audit_log.append(tx, [scheduler_entry(Code.FAILED, message, proposal)])

    def _undo_due_runs(self) -> None:
        with self.store.begin() as tx:
            due = runs.due_to_revert(tx)
        for run in due:
            self._undo(run, "its time is over")

    def _check_held_runs(self) -> None:
        with self.store.begin() as tx:
            found = [run for run in runs.due_to_check(tx) if not _is_undone(tx, run)]
            due = [(run, runs.plan_of_run(tx.sql, run).plan.check) for run in found]
        for run, check in due:
            holds = None if self.metrics is None else self.metrics.holds(check)
            if holds is False:
                self._undo(run, f"its check does not hold: {check}")
            else:
                self._hold(run, check, asked=holds is not None)

    def _hold(self, run: Run, check: str, *, asked: bool) -> None:
        over = run.check_until is not None and self.store.now() >= run.check_until
        if over and not asked:
            reason = f"Its check ({check}) could not be evaluated."
            self.raise_alert("RunNotChecked", run.id, f"{run.message} {reason}")
            self.runner.mark_degraded(run, reason)
        with self.store.begin() as tx:
            runs.set_next_check(tx, run, None if over else tx.now + CHECK_EVERY)

    def _undo(self, run: Run, reason: str) -> None:
        """Undo it, once. If that is impossible, page a person before the deadlines are cleared.

        A failed undo, be it a person's or that of a process that died, changed nothing, so another one is begun.
        """
        with self.store.begin() as tx:
            undo, tries = runs.undone_by(tx.sql, run), runs.count_undo_runs(tx.sql, run)
            if undo is not None and undo.state == INTENDED:
                return
            if undo is not None and undo.state != Result.FAILED:
                runs.clear_deadlines(tx, run)
                return
        reply = self.undo(run, reason) if tries < _TRIES else Reply(text=undo.message if undo else "", ok=False)
        logger.info("the undo of a run is due", extra={"run": run.id, "why": reason, "begun": reply.ok})
        if not reply.ok and self._is_still_due(run) and not self._is_undone(run):
            message = f"Run {run.id[:HANDLE_LENGTH]} could not be undone ({reason}). {reply.text}"
            self.raise_alert("RunNotUndone", run.id, message)
            self.runner.mark_degraded(run, message)
            with self.store.begin() as tx:
                runs.clear_deadlines(tx, run)

    def _is_still_due(self, run: Run) -> bool:
        """False: somebody keeps it, as the undo has found out meanwhile."""
        with self.store.begin() as tx:
            return runs.claim_due(tx, run)

    def _is_undone(self, run: Run) -> bool:
        """Whether its undo was done, whether or not the target is healthy."""
        with self.store.begin() as tx:
            undo = runs.undone_by(tx.sql, run)
        return undo is not None and undo.state == Result.DONE


def _is_undone(tx: Tx, run: Run) -> bool:
    """Or being undone. A change that is gone needs no check, and no page that the check could not be evaluated."""
    state = run_states.state_now(tx.sql, run)
    if state is run_state.State.UNDONE:
        runs.clear_deadlines(tx, run)
    return state in (run_state.State.UNDONE, run_state.State.UNDOING)
