"""Seals entries of the audit log: gives them positions in the tree, after their commit, so that no writer waits.

The trap: unsealed entries are found by their missing seal, never by id. Ids are given before the commit, so a higher id
may become visible first; a sealer that went on from the last sealed id would miss the lower one for ever.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from time import monotonic

from bot.core.audit import AuditEntry, Code
from bot.lib.merkle import leaf_of
from bot.store import audit_log
from bot.store.engine import DatabaseInUse, Store, Unavailable
from bot.store.sql import Row, Sql, queries_for_keys
from bot.store.times import moment, moment_or_none
from bot.store.transaction import Tx

LANE = "audit"
BATCH_SIZE = 500
#: Longer than any transaction can last: after this time no entry can appear below the id that was the newest.
_SETTLED_S = 60.0
#: After a start so many ids below the newest seal are searched; of older ids so many in each round.
_BEHIND = 10_000
_STRIDE = 2_000
_BACK = timedelta(seconds=1)

_ENTRY = (
    "SELECT e.id, e.uid, e.at, e.code, e.body,"
    " (SELECT p.at FROM audit_entry AS p WHERE p.id < e.id ORDER BY p.id DESC LIMIT 1)"
)
_UNSEALED = (
    f"{_ENTRY} FROM audit_entry AS e WHERE e.id > ? AND e.id <= ?"
    " AND NOT EXISTS (SELECT 1 FROM audit_seal AS s WHERE s.entry_id = e.id) ORDER BY e.id LIMIT ?"
)
_OF_UIDS = (
    f"{_ENTRY}, s.pos FROM audit_entry AS e"
    " LEFT JOIN audit_seal AS s ON s.entry_id = e.id WHERE e.uid IN (WITH k(u) AS ({keys}) SELECT u FROM k)"
)
_SEALED = "SELECT s.entry_id FROM audit_seal AS s WHERE s.entry_id IN (WITH k(e) AS ({keys}) SELECT e FROM k)"
_LAST = 2**62


@dataclass(frozen=True, kw_only=True, slots=True)
class Sealed:
    """The entries that one commit has sealed: `count` of them, from position `first` on."""

    first: int
    codes: tuple[str, ...]

    @property
    def count(self) -> int:
        return len(self.codes)


@dataclass(frozen=True, slots=True)
class UnsealedEntry:
    """The values of an entry that sealing needs."""

    id: int
    uid: str
    at: datetime
    code: str
    leaf: bytes
    before: datetime | None  #: the time of the entry with the next lower id


class Sealer:
    """The sealer of one process; several processes may seal one log. `on_sealed` is called after each commit."""

    def __init__(self, store: Store, *, on_sealed: Callable[[Sealed], None] = lambda _: None) -> None:
        self._store = store
        self._on_sealed = on_sealed
        self._floor: int | None = None  # ids below it are sealed (but for `_sweep`); None before the first search
        self._mark = (monotonic(), 0)
        self._swept = 0
        self._looking = threading.Lock()

    def seal(self) -> int:
        """Seal all unsealed entries; returns how many are left because another replica has the lock.

        Raises:
            Unavailable: the database failed.
        """
        with self._looking:
            while found := self._look():
                try:
                    self._seal(found, wait=False)
                except DatabaseInUse:
                    return len(found)
            return 0

    def seal_now(self, uids: Collection[str]) -> None:
        """Returns when these entries are sealed. They must be committed already; they are sealed before all others.

        Raises:
            Unavailable: they are not sealed, so the action that depends on them must not run.
        """
        wanted = list(dict.fromkeys(uids))
        if not wanted:
            return
        with self._store.read() as seen:
            waiting = unsealed_entries(seen.sql, wanted)
        if waiting:
            self._seal(waiting, wait=True)

    def _look(self) -> list[UnsealedEntry]:
        """The oldest unsealed entries, at most a batch. A reader searches them: it may take long, but blocks nobody."""
        with self._store.read() as seen:
            newest = int(seen.sql.scalar("SELECT max(id) FROM audit_entry") or 0)
            if self._floor is None:
                self._floor = max(0, _newest_sealed(seen.sql) - _BEHIND)
            rows = [*seen.sql.rows(_UNSEALED, self._floor, _LAST, BATCH_SIZE), *self._sweep(seen.sql)]
        if not rows:
            self._settle(newest)
        return [_entry(row) for row in rows[:BATCH_SIZE]]

    def _sweep(self, sql: Sql) -> Sequence[Row]:
        """The next range of ids below the floor: an entry whose transaction lasted even longer is found in the end."""
        assert self._floor is not None
        begin = self._swept if self._swept < self._floor else 0
        self._swept = min(begin + _STRIDE, self._floor)
        return sql.rows(_UNSEALED, begin, self._swept, BATCH_SIZE) if self._swept > begin else ()

    def _settle(self, newest: int) -> None:
        since, then = self._mark
        if monotonic() - since >= _SETTLED_S:
            self._floor = max(self._floor or 0, then)
            self._mark = (monotonic(), newest)

    def _seal(self, found: Sequence[UnsealedEntry], *, wait: bool) -> None:
        for start in range(0, len(found), BATCH_SIZE):
            with self._store.begin(LANE, wait=wait) as tx:
                sealed = seal(tx, found[start : start + BATCH_SIZE])
            if sealed.count:
                self._on_sealed(sealed)


def unsealed_entries(sql: Sql, uids: Sequence[str]) -> list[UnsealedEntry]:
    """Those of these entries that are unsealed, in the order in which they were written.

    Raises:
        Unavailable: some of them do not exist.
    """
    rows = list(chain.from_iterable(sql.run_queries(queries_for_keys(_OF_UIDS, uids, postgres=sql.postgres))))
    missing = len(uids) - len({row[1] for row in rows})
    if missing:
        raise Unavailable(f"{missing} of {len(uids)} entries are not in the audit log")
    return sorted((_entry(row[:-1]) for row in rows if row[-1] is None), key=lambda one: one.id)


def seal(tx: Tx, found: Sequence[UnsealedEntry]) -> Sealed:
    """Give each entry the next position, except those that were sealed since they were read.

    Where an entry is older than the one written before it, the clock went back, and this is recorded as an entry.
    """
    done = {
        row[0]
        for row in chain.from_iterable(
            tx.sql.run_queries(queries_for_keys(_SEALED, [one.id for one in found], postgres=tx.sql.postgres))
        )
    }
    rest = [one for one in found if one.id not in done]
    first = size(tx.sql)
    rows = [(first + place, one.id, one.leaf) for place, one in enumerate(rest)]
    tx.sql.insert("audit_seal", ("pos", "entry_id", "leaf"), rows)
    audit_log.append(tx, [_went_back(one, one.before) for one in rest if one.before and one.at < one.before - _BACK])
    return Sealed(first=first, codes=tuple(one.code for one in rest))


def _went_back(one: UnsealedEntry, before: datetime) -> AuditEntry:
    message = f"The clock went back by {(before - one.at).total_seconds():.3f} s before entry {one.uid}."
    return AuditEntry(code=Code.CLOCK_WENT_BACK, by="bot", message=message)


def size(sql: Sql) -> int:
    """How many entries are sealed."""
    newest = sql.scalar("SELECT max(pos) FROM audit_seal")
    return 0 if newest is None else int(newest) + 1


def _newest_sealed(sql: Sql) -> int:
    return int(sql.scalar("SELECT max(entry_id) FROM audit_seal") or 0)


def _entry(row: Row) -> UnsealedEntry:
    number, uid, at, code, body, before = row
    return UnsealedEntry(number, str(uid), moment(at), str(code), leaf_of(bytes(body)), moment_or_none(before))
