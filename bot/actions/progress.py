"""How slow runs go and how they ended, told where they were asked for.

What they say on the way may be lost; their end is a row until it is told, at least once, or nobody can be told there.
The story of an incident tells its own runs' ends, so those are not told twice.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from time import monotonic

from bot.core.channel import Messenger
from bot.core.errors import Undelivered
from bot.core.plan import HANDLE_LENGTH
from bot.core.run_state import describe_end, run_state
from bot.store import run_reports, runs
from bot.store.engine import Store
from bot.store.runs import INTENDED, Run

logger = logging.getLogger(__name__)

#: How often what a run says of itself is shown, in seconds: a chat takes one message a second from us for everything.
EVERY_S = 5.0
#: After so long an end that was not told is tried again, and by then another process may do it.
_AGAIN = timedelta(seconds=30)
#: An end that nobody took for so long is no news any more; `runs` has it.
_STALE = timedelta(hours=1)


@dataclass
class RunReports:
    """`messengers`: the channels that can say a line of their own, by name."""

    store: Store
    messengers: Mapping[str, Messenger]
    _last: dict[str, float] = field(default_factory=dict)

    def progress(self, run: Run, words: str, message: str, lease: timedelta) -> None:
        """What a run says of itself: kept, with its lease renewed, and shown unless it has just been.

        Raises:
            Unavailable: it is not kept, and the run may be looked at by another process.
        """
        if monotonic() - self._last.get(run.id, -EVERY_S) < EVERY_S:
            return
        self._last[run.id] = monotonic()
        with self.store.begin() as tx:
            if not runs.report_progress(tx, run, message, lease):
                return
            telling = run_reports.of(tx.sql, run)
        if telling is not None:
            self._show(telling, run, f"{words}: {message}")

    def forget(self, run: Run) -> None:
        self._last.pop(run.id, None)

    def send_results(self) -> None:
        """What has ended and nobody was told of yet."""
        with self.store.begin() as tx:
            due = run_reports.claim(tx, _AGAIN)
        for telling, run in due:
            if self._told(telling, run):
                with self.store.begin() as tx:
                    run_reports.delete(tx, run)

    def _show(self, telling: run_reports.RunReport, run: Run, message: str) -> None:
        channel = self.messengers.get(telling.channel)
        if channel is None:
            return
        try:
            shown = channel.post(message, telling.thread, instead_of=telling.message_ref)
        except Undelivered as trouble:
            logger.info("how a run goes is not shown", extra={"run": run.id, "why": trouble.message})
            return
        if shown != telling.message_ref:
            with self.store.begin() as tx:
                run_reports.show(tx, run, shown)

    def _told(self, telling: run_reports.RunReport, run: Run) -> bool:
        """False: to be tried again."""
        channel = self.messengers.get(telling.channel)
        if channel is None:
            return True
        assert run.state != INTENDED, "only what has ended is due"
        state = run_state(run.state, unwell=run.degraded)
        way_back = f" `undo {run.id[:HANDLE_LENGTH]}` undoes it." if run.state == "done" and run.undo else ""
        try:
            channel.post(f"{describe_end(state, run.message)}{way_back}", telling.thread)
        except Undelivered as trouble:
            late = run.ended_at is not None and self.store.now() - run.ended_at > _STALE
            logger.warning("the end of a run is not told", extra={"run": run.id, "why": trouble.message})
            return trouble.permanent or late
        return True
