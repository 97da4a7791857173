"""Restores that outlasted their run: found again, checked when their own system has ended, and told meanwhile.

The promise: none is forgotten. Such a row would otherwise stay open for ever, and hold up each drill of its store. A
row that a person has closed meanwhile is not opened again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from bot.alerts import internal
from bot.backups.broken_engine import ask
from bot.core.alert import Alert, AlertBatch
from bot.core.backup import (
    BackupRecords,
    BackupStore,
    CopyState,
    CopyStatus,
    Restorer,
    RestoreRecord,
    RestoreState,
)
from bot.core.errors import Conflict, OutcomeUnknown, Rejected

EVERY_S = 600  #: Seconds between two looks.


def is_late(record: RestoreRecord) -> bool:
    """Whether its run has ended, and the restore had not. A run that still waits has written no message."""
    return record.state is RestoreState.INTENDED and not record.task.drill and bool(record.message)


@dataclass(frozen=True, kw_only=True)
class LateRestores:
    """`look_after` is called for each store, one call of a store at a time. It may take as long as the checks."""

    records: BackupRecords
    now: Callable[[], datetime]
    take: Callable[[AlertBatch], object]
    firing: Callable[[str], Sequence[Alert]]

    def look_after(self, store: BackupStore) -> None:
        late = [one for one in self.records.list_restores(store.name) if is_late(one)]
        if late and isinstance(store.engine, Restorer):
            waiting: list[str] = []
            ended: list[str] = []
            for record in late:
                said, is_over = self._look(store, store.engine, record)
                (ended if is_over else waiting).append(f"{record.name} (run {record.task.short_run}): {said}")
            self._tell(store, waiting, ended)
        elif not late:
            self._tell(store, [], [])

    def _look(self, store: BackupStore, engine: Restorer, record: RestoreRecord) -> tuple[str, bool]:
        """What is said of it, and whether that is the end of it."""
        short = record.task.short_run
        try:
            status = ask(partial(engine.look, record.task))
            if status.state is CopyState.RESTORED:
                results = ask(lambda: tuple(engine.verify(record.task, store.checks, lambda _: None)))
            elif status.state is CopyState.FAILED or (status.state is CopyState.ABSENT and not status.message):
                why = status.message.rstrip(".") or "nothing of it exists"
                self._close(replace(record, state=RestoreState.FAILED, message=f"Not restored: {why}."))
                return f"not restored: {why}; `remove-copy {short}` removes what there is of it", True
            else:
                return f"its own system still restores it ({_seen(status)})", False
        except (Rejected, Conflict, OutcomeUnknown) as trouble:
            return f"it cannot be looked at or checked: {trouble.message.rstrip('.')}", False
        if not results:
            self._close(replace(record, state=RestoreState.RESTORED, message="after its run had ended"))
            return f"restored, and there is no check of it; look at it, or `remove-copy {short}`", True
        good = all(one.ok for one in results)
        state = RestoreState.VERIFIED if good else RestoreState.DAMAGED
        self._close(replace(record, state=state, checks=results, message=_restored(record, status)))
        found = "restored and checked" if good else "restored, and DAMAGED by its checks"
        return f"{found}; `cutover {short}` shows what is known, `remove-copy {short}` removes it", True

    def _close(self, record: RestoreRecord) -> None:
        now = self.now()
        if is_late(self.records.get_restore(record.task.run)):  # else a person has removed it during the checks
            self.records.put_restore(replace(record, finished_at=now))

    def _tell(self, store: BackupStore, waiting: Sequence[str], ended: Sequence[str]) -> None:
        group = internal.drill_group(store.name)
        fires = [
            one
            for one in self.firing(group)
            if one.labels.get("store") == store.name and one.labels["alertname"] == internal.RESTORE_LATE
        ]
        if waiting and not fires:
            message = f"A restore goes on without its run: {'; '.join(waiting)}"
            self.take(internal.drill_trouble(store, internal.RESTORE_LATE, message, self.now()))
        for alert in fires if not waiting else ():
            self.take(internal.ended(alert, self.now(), "; ".join(ended)))


def _seen(status: CopyStatus) -> str:
    return (status.message or status.phase or str(status.state)).rstrip(".")


def _restored(record: RestoreRecord, status: CopyStatus) -> str:
    at = status.data_at or record.task.point.at
    return f"with the data of {at:%Y-%m-%d %H:%M} UTC" if at else "with the data of its backup"
