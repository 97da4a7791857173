"""What the watch over a run keeps in that run's row, so that it can be gone on with where its process dies.

The promise: what the watch needs is stored before the write, and its deadline when it begins; whoever watches on has
the first deadline, and not the whole time anew. A watch that is cut off again and again is for a person to go on with.
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

#: So often a watch over one run is begun: where the process dies each time, a person is to look.
WATCHES = 5
#: What a run is told whose process was frozen for longer than its lease.
HELD_UP_MESSAGE = "Run {run} was held up so long that it was given up. Nothing was changed."


@dataclass(frozen=True, kw_only=True)
class ProgressKeeper:
    """`lease`: for so long a run that says something of itself is this process's."""

    store: Store
    reports: RunReports
    lease: timedelta

    def tools_for(self, run: Run, proposal: Proposal, tools: Tools, *, slow: bool) -> Tools:
        """With what the action says of this run on its way kept, and shown where that lasts."""
        if slow:
            tools = replace(tools, report_progress=partial(self._hear, run, proposal))
        return replace(tools, remember=partial(self._note, run), deadline=partial(self._deadline, run))

    def _note(self, run: Run, noted: Mapping[str, str]) -> None:
        """Right before the write, so that what was judged meanwhile writes nothing any more."""
        failpoint("watch.noting")
        try:
            with self.store.begin() as tx:
                ours = runs.save_notes(tx, run, noted)
        except Unavailable as trouble:
            message = f"What the watch over it needs cannot be stored ({trouble}). Nothing was changed."
            raise Rejected(message, code="store_down", status=503) from None
        failpoint("watch.noted")
        if not ours:
            raise Rejected(HELD_UP_MESSAGE.format(run=run.id[:HANDLE_LENGTH]), code="given_up", status=409)

    def _deadline(self, run: Run, until: datetime) -> datetime | None:
        try:
            with self.store.begin() as tx:
                kept = runs.begin_watch(tx, run, until)
        except Unavailable as trouble:
            logger.warning("the deadline of a watch is not kept", extra={"run": run.id, "why": str(trouble)})
            return until
        failpoint("watch.begun")
        return None if kept.watches > WATCHES else kept.watch_until or until

    def _hear(self, run: Run, proposal: Proposal, message: str) -> None:
        failpoint("watch.going")
        try:
            self.reports.progress(run, proposal.command, message, self.lease)
        except Unavailable as trouble:
            logger.warning("how a run goes is not kept", extra={"run": run.id, "why": str(trouble)})
        except Exception:
            # The edge of the path: that it cannot be told how it goes must not end what goes on.
            logger.exception("how a run goes is not told", extra={"run": run.id})
