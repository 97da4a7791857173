"""The callbacks that an action gets for its run: progress, notes and a deadline, each stored in the run's row.

The promise: after a crash another process can go on. The notes are stored before the write, and the deadline when the
wait for the target begins; a process that takes over has the first deadline, not the whole time again. A run whose
wait is cut off too often is left to a person.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from bot.actions.progress import RunReports
from bot.core.action import Tools
from bot.core.errors import Rejected
from bot.core.plan import HANDLE_LENGTH, Proposal
from bot.lib.failpoints import failpoint
from bot.store import runs
from bot.store.engine import Store, Unavailable
from bot.store.runs import Run

logger = logging.getLogger(__name__)

#: How often the wait of one run is begun at most; a run whose process dies each time needs a person.
MAX_WATCHES = 5
#: For a run whose process was frozen for longer than its lease.
HELD_UP_MESSAGE = "Run {run} was held up so long that it was given up. Nothing was changed."


@dataclass(frozen=True, kw_only=True)
class RunCallbacks:
    """`lease`: how long a run stays with this process after it reports progress."""

    store: Store
    reports: RunReports
    lease: timedelta

    def tools_for(self, run: Run, proposal: Proposal, tools: Tools, *, slow: bool) -> Tools:
        """The tools with this run's callbacks; only a slow run reports progress."""
        if slow:
            tools = replace(tools, report_progress=partial(self._report_progress, run, proposal))
        return replace(tools, remember=partial(self._remember, run), deadline=partial(self._deadline, run))

    def _remember(self, run: Run, notes: Mapping[str, str]) -> None:
        """Called right before the write: a run that was given up meanwhile must not write."""
        failpoint("watch.noting")
        try:
            with self.store.begin() as tx:
                ours = runs.save_notes(tx, run, notes)
        except Unavailable as trouble:
            message = f"The bot cannot store what it needs to follow this change ({trouble}). Nothing was changed."
            raise Rejected(message, code="store_down", status=503) from None
        failpoint("watch.noted")
        if not ours:
            raise Rejected(HELD_UP_MESSAGE.format(run=run.id[:HANDLE_LENGTH]), code="given_up", status=409)

    def _deadline(self, run: Run, until: datetime) -> datetime | None:
        try:
            with self.store.begin() as tx:
                kept = runs.begin_watch(tx, run, until)
        except Unavailable as trouble:
            logger.warning("the deadline of a run is not stored", extra={"run": run.id, "why": str(trouble)})
            return until
        failpoint("watch.begun")
        return None if kept.watches > MAX_WATCHES else kept.watch_until or until

    def _report_progress(self, run: Run, proposal: Proposal, message: str) -> None:
        failpoint("watch.going")
        try:
            self.reports.progress(run, proposal.command, message, self.lease)
        except Unavailable as trouble:
            logger.warning("the progress of a run is not stored", extra={"run": run.id, "why": str(trouble)})
        except Exception:
            # The edge of the path: a progress message that fails must not end the run.
            logger.exception("the progress of a run is not reported", extra={"run": run.id})
