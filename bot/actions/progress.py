"""Messages about slow runs, in the thread of their request: their progress, and their result.

Progress may be lost. A result is a row until it is delivered at least once, or cannot be delivered there. A run that
belongs to an incident has its result on the incident's timeline, so it is not sent a second time here.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from time import monotonic

from bot.actions.outcome import describe_result
from bot.core.channel import Messenger
from bot.core.errors import Undelivered
from bot.core.plan import Proposal
from bot.core.run_state import State, run_state
from bot.store import run_reports, runs
from bot.store.engine import Store
from bot.store.runs import INTENDED, Run

logger = logging.getLogger(__name__)

#: Seconds between two progress messages of a run: a chat takes about one message a second from the whole bot.
EVERY_S = 5.0
#: A result that was not delivered is tried again after this long, perhaps by another process.
_RETRY_AFTER = timedelta(seconds=30)
#: A result that could not be delivered for this long is given up; `runs` has it.
_STALE = timedelta(hours=1)


@dataclass
class RunReports:
    """`messengers`: by name, the channels that can post a plain message."""

    store: Store
    messengers: Mapping[str, Messenger]
    _last: dict[str, float] = field(default_factory=dict)

    def progress(self, run: Run, command: str, message: str, lease: timedelta) -> None:
        """Store the progress and renew the run's lease; post it unless another was posted a moment ago.

        Raises:
            Unavailable: it is not stored, and another process may take the run over.
        """
        if monotonic() - self._last.get(run.id, -EVERY_S) < EVERY_S:
            return
        self._last[run.id] = monotonic()
        with self.store.begin() as tx:
            if not runs.report_progress(tx, run, message, lease):
                return
            report = run_reports.of(tx.sql, run)
        if report is not None:
            self._show(report, run, f"{command}: {message}")

    def forget(self, run: Run) -> None:
        self._last.pop(run.id, None)

    def send_results(self) -> None:
        """Post the results that are due."""
        with self.store.begin() as tx:
            due = [(report, run, runs.plan_of_run(tx.sql, run)) for report, run in run_reports.claim(tx, _RETRY_AFTER)]
        for report, run, proposal in due:
            if self._send_result(report, run, proposal):
                with self.store.begin() as tx:
                    run_reports.delete(tx, run)

    def _show(self, report: run_reports.RunReport, run: Run, message: str) -> None:
        channel = self.messengers.get(report.channel)
        if channel is None:
            return
        try:
            shown = channel.post(message, report.thread, instead_of=report.message_ref)
        except Undelivered as trouble:
            logger.info("the progress of a run is not shown", extra={"run": run.id, "why": trouble.message})
            return
        if shown != report.message_ref:
            with self.store.begin() as tx:
                run_reports.show(tx, run, shown)

    def _send_result(self, report: run_reports.RunReport, run: Run, proposal: Proposal) -> bool:
        """False: to be tried again."""
        channel = self.messengers.get(report.channel)
        if channel is None:
            return True
        assert run.state != INTENDED, "only what has ended is due"
        took = timedelta(0) if run.ended_at is None else run.ended_at - run.began_at
        state = run_state(run.state, unwell=run.degraded)
        can_undo = state in (State.DONE, State.DEGRADED) and bool(run.undo)
        try:
            channel.post(
                describe_result(run, proposal, state, run.message, can_undo=can_undo, took=took), report.thread
            )
        except Undelivered as trouble:
            late = run.ended_at is not None and self.store.now() - run.ended_at > _STALE
            logger.warning("the result of a run is not delivered", extra={"run": run.id, "why": trouble.message})
            return trouble.permanent or late
        return True
