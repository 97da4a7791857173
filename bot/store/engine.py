"""The database: who may write, and when its log is folded in.

SQLite: WAL with synchronous=FULL, one writer at a time, and the checkpoint on a thread of its own, because a checkpoint
inside a commit is the slowest commit of the second. PostgreSQL: the same statements, with advisory locks where
SQLite has only one writer anyway.
"""

from __future__ import annotations

import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from time import perf_counter
from types import TracebackType
from typing import IO
from zlib import crc32

import psycopg
from sqlalchemy import Connection, Engine, PoolProxiedConnection, make_url

from bot.redact import redact
from bot.store.opening import DRIVERS_OWN, TROUBLES, Begun, begun_on, lock_beside, open_postgres, open_sqlite
from bot.store.reading import Reading
from bot.store.sql import Sql
from bot.store.tx import Tx

#: The write-ahead log is folded into the file this often, so that it stays short: each page that is read is first
#: looked for in it. At one second instead, a storm's rate was a fifth lower.
CHECKPOINT_EVERY_S = 0.2
#: Past the first figure it begins anew, for which the writers wait; past the second it is cut as well.
RESTART_LOG_AT_PAGES = 1024
CUT_LOG_AT_BYTES = 64 * 1024 * 1024

_INCIDENTS = "incidents"


class Unavailable(Exception):
    """The database cannot be reached, is full, or is locked for too long. Nothing was stored."""


class Occupied(Exception):
    """Somebody else has the turn, and it was not to be waited for. Nothing was done."""


class Store:
    """An open database. `observe` is told the seconds that each commit took; `scrub` takes secrets out of a text."""

    def __init__(
        self,
        url: str,
        *,
        now: Callable[[], datetime] | None = None,
        observe: Callable[[float], None] = lambda _: None,
        scrub: Callable[[str], str] = redact,
    ) -> None:
        self.url = make_url(url)
        self.sqlite = self.url.get_backend_name() == "sqlite"
        self.now = now or _now
        #: Replicas share one clock, the database's; a test that brings a clock of its own means that one.
        self._its_time = now is None
        self._observe = observe
        self._scrub = scrub
        self._turns = _Turns()
        self._here = threading.local()
        self._alone: IO[bytes] | None = None
        self._writers = open_sqlite(self.url.database or "", self.url) if self.sqlite else open_postgres(url)
        self._readers = open_sqlite(self.url.database or "", self.url, reading=True) if self.sqlite else self._writers
        self._checkpoints = _Checkpoints(Path(self.url.database or ""), self._turns) if self.sqlite else None

    @contextmanager
    def begin(self, lane: str = _INCIDENTS, *, synced: bool = True, wait: bool = True) -> Iterator[Tx]:
        """One write transaction: committed when the block ends well, undone when it raises.

        `lane`: whose turn is taken. All that changes incidents takes the default; the deliveries of one channel
        take the channel's name, so that across replicas a channel's quota is counted by one of them at a time.
        `synced`: whether it outlives a power failure; only what may be undone by one does without.
        `wait`: for a turn that another replica has; on SQLite there is none, and the turn is always waited for.

        Raises:
            Unavailable: the database did not take it; nothing was stored.
            Occupied: without `wait`, another replica has the turn.
        """
        mine = self._turns if self.sqlite else nullcontext()
        with (
            mine,
            self._connected(self._writers, partial(self._take_turn, lane, synced=synced, wait=wait)) as (raw, at),
            _speak(raw) as sql,
        ):
            self._here.writing = True
            try:
                yield Tx(sql, at, self._scrub)
                start = perf_counter()
                if not sql.commit_flow():
                    raw.commit()
                self._observe(perf_counter() - start)
            except BaseException:
                with suppress(*DRIVERS_OWN):  # of a flow the rest fails as well; the pool undoes what is left
                    raw.rollback()
                raise
            finally:
                self._here.writing = False

    def _take_turn(self, lane: str, raw: PoolProxiedConnection, *, synced: bool, wait: bool) -> datetime:
        """Begin, and wait for the turn; returns what time it is then."""
        cursor = raw.cursor()
        if self.sqlite:
            cursor.execute(f"PRAGMA synchronous={'FULL' if synced else 'NORMAL'}")
            cursor.execute("BEGIN IMMEDIATE")
            return self.now()
        begin = "BEGIN" if synced else "BEGIN; SET LOCAL synchronous_commit = off"
        lock, taken = ("pg_advisory_xact_lock", "") if wait else ("pg_try_advisory_xact_lock", " WHERE mine")
        turn = f"SELECT {lock}({crc32(f'vakhta/{lane}'.encode())}) AS mine"
        cursor.execute(f"{begin}; SELECT clock_timestamp() FROM ({turn}) AS turn{taken}")  # in one round trip
        while cursor.nextset():
            pass
        row = cursor.fetchone()
        if row is None:
            raw.rollback()
            raise Occupied(lane)
        at: datetime = row[0]
        return at.astimezone(UTC) if self._its_time else self.now()

    def _begin_look(self, raw: PoolProxiedConnection) -> None:
        raw.cursor().execute("BEGIN" if self.sqlite else "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")

    @contextmanager
    def read(self) -> Iterator[Reading]:
        """One consistent look; it waits for no writer. Raises `Unavailable`."""
        with self._connected(self._readers, self._begin_look) as (raw, _), _speak(raw) as sql:
            try:
                yield Reading(sql)
            finally:
                raw.commit()  # a rollback would make the driver forget what it has prepared

    @contextmanager
    def connected(self) -> Iterator[Connection]:
        """A connection of SQLAlchemy's in one transaction of its own, for the migrations."""
        with self._turns if self.sqlite else nullcontext(), self._writers.connect() as connection:
            if self.sqlite:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            else:
                connection.exec_driver_sql("BEGIN")
                connection.exec_driver_sql("SELECT pg_advisory_xact_lock(%s)", (crc32(b"vakhta/migrating"),))
            yield connection
            connection.commit()

    @contextmanager
    def _connected(
        self, engine: Engine, begin: Callable[[PoolProxiedConnection], Begun]
    ) -> Iterator[tuple[PoolProxiedConnection, Begun]]:
        """A connection of the driver's own, what `begin` did on it, and its troubles as `Unavailable`."""
        try:
            raw, begun = begun_on(engine, begin)
            try:
                yield raw, begun
            finally:
                raw.close()
        except TROUBLES as trouble:
            raise Unavailable(_first_line(trouble)) from trouble

    def claim_alone(self) -> bool:
        """Whether no other process has said the same of this SQLite file. It holds until `close`, or the process's end.

        A file beside the database is locked: closing a second descriptor of the database itself would undo SQLite's
        own locks.
        """
        if self.sqlite:
            self._alone = lock_beside(Path(self.url.database or ""))
        return not self.sqlite or self._alone is not None

    def writing(self) -> bool:
        """Whether this thread is inside `begin` now; whoever calls a provider must not be."""
        return getattr(self._here, "writing", False)

    def start(self) -> None:
        if self._checkpoints:
            self._checkpoints.start()

    def close(self) -> None:
        if self._checkpoints:
            self._checkpoints.stop()
        self._readers.dispose()
        self._writers.dispose()
        if self._alone is not None:
            self._alone.close()


def _speak(raw: PoolProxiedConnection) -> Sql:
    driver = raw.driver_connection
    if isinstance(driver, psycopg.Connection):
        return Sql(partial(psycopg.RawCursor, driver), postgres=driver)
    return Sql(raw.cursor)


class _Turns:
    """A lock that is given in the order of asking, so that a busy intake cannot keep a page waiting."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._waiting: deque[threading.Lock] = deque()
        self._taken = False

    def __enter__(self) -> None:
        with self._guard:
            if not self._taken:
                self._taken = True
                return
            turn = threading.Lock()
            turn.acquire()
            self._waiting.append(turn)
        turn.acquire()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        with self._guard:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._taken = False


class _Checkpoints:
    """Folds SQLite's log into the file, off the commit path.

    Under a steady load there are always new pages in the log when all others are folded, so it would never begin anew.
    The last few are folded in a turn of its own, while nobody writes; folding all of them there would keep webhooks
    waiting for 40 ms and more.
    """

    def __init__(self, path: Path, turns: _Turns) -> None:
        self._path = path
        self._turns = turns
        self._log = path.with_name(path.name + "-wal")
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="store-checkpoint", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        engine = open_sqlite(str(self._path), self._path)
        while not self._stopping.wait(CHECKPOINT_EVERY_S):
            self._fold(engine)
        engine.dispose()

    def _fold(self, engine: Engine) -> None:
        size = self._log.stat().st_size if self._log.exists() else 0
        if not size:
            return
        try:
            if _checkpoint(engine, "PASSIVE") > RESTART_LOG_AT_PAGES:
                with self._turns:
                    _checkpoint(engine, "TRUNCATE" if size > CUT_LOG_AT_BYTES else "PASSIVE")
        except sqlite3.OperationalError:
            return  # another process is writing; the next round folds


def _checkpoint(engine: Engine, how: str) -> int:
    """Returns how many pages are in the log, folded or not."""
    raw = engine.raw_connection()
    try:
        cursor = raw.cursor()
        cursor.execute("PRAGMA busy_timeout=0")  # whoever reads for long keeps the log long, and no writer waiting
        cursor.execute(f"PRAGMA wal_checkpoint({how})")
        ((_, pages, _),) = cursor.fetchall()
        return int(pages)
    finally:
        raw.close()


def _now() -> datetime:
    return datetime.now(UTC)


def _first_line(trouble: BaseException) -> str:
    return str(trouble).partition("\n")[0] or type(trouble).__name__
