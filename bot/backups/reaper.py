"""Removes what drills left behind, and tells what it cannot remove.

The promise: it lists, then removes by ownership alone, and never a copy of a restore that a person asked for. A copy
whose run this bot's rows do not know may be another bot's: it is told after a day, and left alone.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial

from bot.alerts import internal
from bot.backups.broken_engine import ask
from bot.backups.drill import EXPIRES_AFTER
from bot.backups.ownership import disowned, owned
from bot.core.alert import Alert, AlertBatch
from bot.core.backup import (
    BackupRecords,
    BackupStore,
    Copy,
    Drill,
    DrillResult,
    Restorer,
    RestoreRecord,
    RestoreState,
)
from bot.core.errors import OutcomeUnknown, Rejected

logger = logging.getLogger(__name__)

EVERY_S = 600  #: Seconds between two looks.
#: A copy that no row knows is told after this.
_STRANGE_AFTER = timedelta(days=1)
_ROWS = 50


@dataclass(frozen=True, kw_only=True)
class Reaper:
    """`look_after` is called for each store, one call of a store at a time."""

    records: BackupRecords
    now: Callable[[], datetime]
    take: Callable[[AlertBatch], object]
    firing: Callable[[str], Sequence[Alert]]
    _seen_ahead: dict[str, datetime] = field(default_factory=dict)

    def look_after(self, store: BackupStore) -> None:
        if not isinstance(store.engine, Restorer):
            return
        drills = {one.run: one for one in self.records.list_drills(store.name, _ROWS)}
        for drill in drills.values():
            self._close_overdue(store, drill)
        try:
            copies = [one for one in store.engine.copies() if one.drill]
        except Rejected as down:
            logger.warning("copies of drills are not listed", extra={"store": store.name, "why": down.message})
            return
        left: list[str] = []
        for run in dict.fromkeys(one.run for one in copies):
            left += self._reap(store, store.engine, drills.get(run), [one for one in copies if one.run == run])
        self._note_gone(store, drills.values(), {one.run for one in copies})
        self._tell(store, left)

    def _close_overdue(self, store: BackupStore, drill: Drill) -> None:
        """A drill whose process is gone, and whose run was given up, must not look as if it went on for ever."""
        began_at = drill.began_at
        if drill.result is DrillResult.RUNNING and began_at > self.now():
            # Begun under a clock that was ahead: its time counts from when this process has first seen it.
            began_at = min(began_at, self._seen_ahead.setdefault(drill.run, self.now()))
        over = began_at + store.drill.at_most + EXPIRES_AFTER
        if drill.result is DrillResult.RUNNING and self.now() >= over:
            message = "It has not ended in its time, and nothing was heard of it since."
            self.records.put_drill(replace(drill, result=DrillResult.FAILED, message=message, finished_at=self.now()))

    def _reap(self, store: BackupStore, engine: Restorer, drill: Drill | None, copies: Sequence[Copy]) -> list[str]:
        """Remove the copies of one run, if it is over; returns what is left that should not be."""
        record = self._record(copies[0].run)
        if record is None or not record.task.drill:
            return [f"{one.name} (not of a drill that is known here)" for one in copies if self._is_old(one)]
        if record.task.store != store.name:
            return []  # of another store on the same engine
        ended = drill is None or drill.finished_at is not None
        expired = record.task.expires_at is not None and record.task.expires_at <= self.now()
        if not ended and not expired:
            return []
        run, began_at = record.task.run, record.began_at
        left = [f"{one.name} (not marked as made by its run)" for one in disowned(copies, run, began_at)]
        for one in owned(copies, run, began_at):
            try:
                ask(partial(engine.remove, one))
            except (Rejected, OutcomeUnknown) as trouble:
                left.append(f"{one.name} ({trouble.message})")
            else:
                logger.info("a copy that a drill left is removed", extra={"store": store.name, "copy": one.name})
        return left

    def _note_gone(self, store: BackupStore, drills: Iterable[Drill], present: set[str]) -> None:
        """The rows of drills whose leftovers are gone say so."""
        for drill in drills:
            if drill.leftovers and drill.run not in present:
                self.records.put_drill(replace(drill, leftovers=()))
        for record in self.records.list_restores(store.name):
            ended = record.task.drill and record.finished_at is not None
            if ended and record.task.run not in present:
                self.records.put_restore(replace(record, state=RestoreState.REMOVED))

    def _record(self, run: str) -> RestoreRecord | None:
        try:
            return self.records.get_restore(run)
        except Rejected:
            return None

    def _is_old(self, copy: Copy) -> bool:
        return copy.created_at is not None and self.now() - copy.created_at > _STRANGE_AFTER

    def _tell(self, store: BackupStore, left: Sequence[str]) -> None:
        group = internal.drill_group(store.name)
        fires = [
            one
            for one in self.firing(group)
            if one.labels.get("store") == store.name and one.labels["alertname"] == internal.DRILL_LEFTOVERS
        ]
        if left and not fires:
            message = f"Copies of drills are left behind: {'; '.join(left)}"
            self.take(internal.drill_trouble(store, internal.DRILL_LEFTOVERS, message, self.now()))
        for alert in fires if not left else ():
            self.take(internal.ended(alert, self.now()))
