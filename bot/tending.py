"""What time does to plans and runs: they expire, are looked at, checked, and undone when their time is over.

Every deadline is in a row, so a tick that two replicas make, or that a dead process left half done, is harmless: an
undo is a run of its own, and where there is one already it is not begun again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from bot import issuers, states
from bot.acting import Gauge
from bot.acts import AuditEntry, Code, Ended
from bot.breaking import Breaking
from bot.ending import Alarm
from bot.intents import LEASE
from bot.model import Reply
from bot.plans import SHOWN, WATCH, Drawn, State
from bot.reports import Reports
from bot.runs import Runs
from bot.store import drawn as drawn_up
from bot.store import ledger, ran, standing
from bot.store.engine import Store
from bot.store.ran import INTENDED, Run
from bot.store.tx import Tx
from bot.story import Told

logger = logging.getLogger(__name__)

#: So many undos that failed, and changed nothing, are enough.
_TRIES = 3
#: How often a check is asked while it is held.
CHECK_EVERY = timedelta(seconds=30)


@dataclass(frozen=True, kw_only=True)
class Tending:
    """`tend` is one tick of the watch. `reverse`: begins the undo of a run, for a reason; as `Gate.reverse`."""

    store: Store
    reverse: Callable[[Run, str], Reply]
    runs: Runs
    reports: Reports
    gauge: Gauge | None
    alarm: Alarm
    breaking: Breaking
    told: Told

    def tend(self) -> None:
        self._mend()
        self._expire()
        self._stop_what_was_forgotten()
        self.runs.recover()
        self.reports.tell_ends()
        issuers.tell(self.store, self.reports.speaks)
        self._undo_what_ends()
        self._check_what_is_held()

    def _mend(self) -> None:
        with self.store.begin() as tx:
            written = self.breaking.mend(tx)
        if written:
            self.told(written)

    def _expire(self) -> None:
        with self.store.begin() as tx:
            for drawn in drawn_up.overdue(tx):
                drawn_up.mark(tx, drawn.handle, State.EXPIRED)
                said = f"nobody said yes within {(drawn.until - drawn.at) // timedelta(minutes=1)} min: {drawn.words}"
                ledger.record(tx, [_entry(Code.EXPIRED, said, drawn)])

    def _stop_what_was_forgotten(self) -> None:
        """Plans whose intent was not written after the last yes: nothing was done, and people may believe it was."""
        with self.store.begin() as tx:
            found = drawn_up.forgotten(tx, LEASE)
        for drawn in found:
            said = f"{drawn.words}: approved, and never begun: the bot or its database was down. Nothing was done."
            if drawn.by != WATCH.id:  # who comes back to it by itself
                self.alarm("PlanNotRun", drawn.handle, said)
            with self.store.begin() as tx:
                if drawn_up.stop(tx, drawn.handle, State.STOPPED):
                    ledger.record(tx, [_entry(Code.FAILED, said, drawn)])

    def _undo_what_ends(self) -> None:
        with self.store.begin() as tx:
            due = ran.to_revert(tx)
        for run in due:
            self._reverse(run, "its time is over")

    def _check_what_is_held(self) -> None:
        with self.store.begin() as tx:
            found = [run for run in ran.to_check(tx) if not _is_undone(tx, run)]
            due = [(run, ran.plan_of_run(tx.sql, run).plan.check) for run in found]
        for run, check in due:
            holds = None if self.gauge is None else self.gauge.holds(check)
            if holds is False:
                self._reverse(run, f"its check does not hold: {check}")
            else:
                self._hold_on(run, check, asked=holds is not None)

    def _hold_on(self, run: Run, check: str, *, asked: bool) -> None:
        over = run.check_until is not None and self.store.now() >= run.check_until
        if over and not asked:
            why = f"Whether all is well could not be asked: {check}"
            self.alarm("RunNotChecked", run.id, f"{run.said} {why}")
            self.runs.not_well(run, why)
        with self.store.begin() as tx:
            ran.check_again(tx, run, None if over else tx.now + CHECK_EVERY)

    def _reverse(self, run: Run, why: str) -> None:
        """Undo it, once; a person hears of an undo that cannot be, before it is at rest and nobody comes back to it.

        An undo that failed changed nothing, a person's earlier one or that of a process that died, so it is made again.
        """
        with self.store.begin() as tx:
            undo, tries = ran.undone_by(tx.sql, run), ran.tries_to_undo(tx.sql, run)
            if undo is not None and undo.state == INTENDED:
                return
            if undo is not None and undo.state != Ended.FAILED:
                ran.at_rest(tx, run)
                return
        reply = self.reverse(run, why) if tries < _TRIES else Reply(said=undo.said if undo else "", ok=False)
        logger.info("a run is undone", extra={"run": run.id, "why": why, "begun": reply.ok})
        if not reply.ok and self._ends_still(run) and not self._is_undone(run):
            said = f"Run {run.id[:SHOWN]} was to be undone, {why}. {reply.said}"
            self.alarm("RunNotUndone", run.id, said)
            self.runs.not_well(run, said)
            with self.store.begin() as tx:
                ran.at_rest(tx, run)

    def _ends_still(self, run: Run) -> bool:
        """False: somebody keeps it, which the undo has found out on its way."""
        with self.store.begin() as tx:
            return ran.ends_now(tx, run)

    def _is_undone(self, run: Run) -> bool:
        """Whether its undo was done, be the target well or not."""
        with self.store.begin() as tx:
            undo = ran.undone_by(tx.sql, run)
        return undo is not None and undo.state == Ended.DONE


def _is_undone(tx: Tx, run: Run) -> bool:
    """Or about to be. What is not there any more needs no check, and nobody a page that it could not be asked."""
    state = standing.state_now(tx.sql, run)
    if state is states.State.UNDONE:
        ran.at_rest(tx, run)
    return state in (states.State.UNDONE, states.State.UNDOING)


def _entry(code: Code, said: str, drawn: Drawn) -> AuditEntry:
    return AuditEntry(
        code=code,
        by="watch",
        said=said,
        run=drawn.handle,
        verb=drawn.verb,
        target=drawn.plan.target,
        place=drawn.place,
        incident_id=drawn.incident_id,
    )
