"""Rows about backups: restores and their copies, drills, the last look at each store. One transaction a call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeVar

import msgspec

from bot.core.backup import Drill, DrillResult, RestoreRecord, RestoreState, StoreLook
from bot.core.errors import Rejected
from bot.store.engine import Store
from bot.store.sql import Sql
from bot.store.times import micros

_Row = TypeVar("_Row", RestoreRecord, Drill, StoreLook)
#: The copy of a restore in one of these states is gone, or was never there.
_CLOSED = (RestoreState.REMOVED,)
#: The row beside a store's look that has its sentinels. No store is called so: a name has no space.
_SENTINELS_OF = "sentinels of {store}"
#: How many sentinels of a store are remembered, the newest. A backup that is older than all of them is judged by none.
_SENTINELS = 256
#: A look that is so far in the time to come was made under a wrong clock, and gives way to any other.
_SKEW = timedelta(minutes=5)


class StoredBackupRecords:
    """Implements `core.backup.BackupRecords`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def put_restore(self, record: RestoreRecord) -> None:
        row = (
            record.task.run,
            record.task.store,
            str(record.state),
            micros(record.began_at),
            int(record.state not in _CLOSED),
            _written(record),
        )
        with self._store.begin() as tx:
            tx.sql.run(
                "INSERT INTO restore (run, store, state, began_at, open, body) VALUES (?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (run) DO UPDATE SET state = excluded.state, open = excluded.open, body = excluded.body",
                *row,
            )

    def get_restore(self, run: str) -> RestoreRecord:
        with self._store.read() as reading:
            rows = reading.sql.rows(
                "SELECT body FROM restore WHERE run >= ? AND run < ? LIMIT 2",
                run,
                f"{run}g",  # after every hex digit
            )
        if len(rows) == 1:
            return _read(rows[0][0], RestoreRecord)
        if rows:
            raise Rejected(f"More than one restore begins with {run!r}. Type more of its id.", code="ambiguous")
        message = f"There is no restore {run!r}; `runs` lists the last runs. Nothing was done."
        raise Rejected(message, code="no_such_restore", status=404)

    def list_restores(self, store: str = "") -> Sequence[RestoreRecord]:
        with self._store.read() as reading:
            rows = reading.sql.rows(
                "SELECT body FROM restore WHERE open = 1 AND (? = '' OR store = ?) ORDER BY began_at DESC", store, store
            )
        return [_read(row[0], RestoreRecord) for row in rows]

    def put_drill(self, drill: Drill) -> None:
        row = (drill.run, drill.store, str(drill.result), micros(drill.began_at), _written(drill))
        with self._store.begin() as tx:
            tx.sql.run(
                "INSERT INTO drill (run, store, result, began_at, abort, body) VALUES (?, ?, ?, ?, '', ?)"
                " ON CONFLICT (run) DO UPDATE SET result = excluded.result, body = excluded.body",
                *row,
            )

    def list_drills(self, store: str, limit: int = 20) -> Sequence[Drill]:
        with self._store.read() as reading:
            return drills(reading.sql, store, limit)

    def ask_abort(self, store: str, reason: str) -> str:
        with self._store.begin() as tx:
            row = tx.sql.row(
                "UPDATE drill SET abort = ? WHERE store = ? AND result = ? RETURNING run",
                reason,
                store,
                str(DrillResult.RUNNING),
            )
        return "" if row is None else str(row[0])

    def abort_reason(self, run: str) -> str:
        with self._store.read() as reading:
            return str(reading.sql.scalar("SELECT abort FROM drill WHERE run = ?", run) or "")

    def claim_telling(self, drill: Drill, at: datetime) -> bool:
        """Note that its result is being posted. False: it was, or its row has changed since it was read.

        `drill`: as it was read. The row is compared as a whole, so that of two replicas one posts.
        """
        if drill.told_at is not None:
            return False
        with self._store.begin() as tx:
            told = tx.sql.run(
                "UPDATE drill SET body = ? WHERE run = ? AND body = ?",
                _written(replace(drill, telling_at=at)),
                drill.run,
                _written(drill),
            )
        return told == 1

    def note_told(self, run: str, channels: Sequence[str], at: datetime | None) -> None:
        """Add the channels that have taken the result of that drill. `at`: it is told; None: not in all of them yet."""
        with self._store.begin() as tx:
            body = tx.sql.scalar("SELECT body FROM drill WHERE run = ?", run)
            if body is None:
                return
            drill = _read(body, Drill)
            told = replace(drill, told_in=tuple(dict.fromkeys((*drill.told_in, *channels))), told_at=at)
            tx.sql.run("UPDATE drill SET body = ? WHERE run = ?", _written(told), run)

    def put_sentinel(self, store: str, token: str, at: datetime) -> None:
        key = _SENTINELS_OF.format(store=store)
        with self._store.begin() as tx:
            body = tx.sql.scalar("SELECT body FROM store_look WHERE store = ?", key)
            known = {} if body is None else msgspec.json.decode(body, type=dict[str, datetime])
            newest = sorted({**known, token: at}.items(), key=lambda one: one[1])[-_SENTINELS:]
            tx.sql.run(
                "INSERT INTO store_look (store, looked_at, body) VALUES (?, ?, ?) ON CONFLICT (store)"
                " DO UPDATE SET looked_at = excluded.looked_at, body = excluded.body",
                key,
                micros(at),
                msgspec.json.encode(dict(newest)).decode(),
            )

    def sentinels(self, store: str) -> Mapping[str, datetime]:
        with self._store.read() as reading:
            body = reading.sql.scalar("SELECT body FROM store_look WHERE store = ?", _SENTINELS_OF.format(store=store))
        return {} if body is None else msgspec.json.decode(body, type=dict[str, datetime])

    def put_look(self, look: StoreLook) -> None:
        with self._store.begin() as tx:
            tx.sql.run(
                "INSERT INTO store_look (store, looked_at, body) VALUES (?, ?, ?) ON CONFLICT (store)"
                " DO UPDATE SET looked_at = excluded.looked_at, body = excluded.body"
                " WHERE excluded.looked_at >= store_look.looked_at OR store_look.looked_at > ?",
                look.store,
                micros(look.looked_at),
                _written(look),
                micros(self._store.now() + _SKEW),  # else one under a clock that was ahead would stay for ever
            )

    def get_look(self, store: str) -> StoreLook | None:
        with self._store.read() as reading:
            body = reading.sql.scalar("SELECT body FROM store_look WHERE store = ?", store)
        return None if body is None else _read(body, StoreLook)


def drills(sql: Sql, store: str, limit: int) -> list[Drill]:
    """The newest first. `store`: "" for all."""
    rows = sql.rows(
        "SELECT body FROM drill WHERE (? = '' OR store = ?) ORDER BY began_at DESC, run LIMIT ?", store, store, limit
    )
    return [_read(row[0], Drill) for row in rows]


def _written(row: RestoreRecord | Drill | StoreLook) -> str:
    return msgspec.json.encode(row).decode()


def _read(body: str, kind: type[_Row]) -> _Row:
    return msgspec.json.decode(body, type=kind)
