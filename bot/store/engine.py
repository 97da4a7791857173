"""The database: how it is opened, who may write, and when its log is folded in.

SQLite: WAL with synchronous=FULL, one writer at a time, and the checkpoint on a thread of its own, because a checkpoint
inside a commit is the slowest commit of the second. PostgreSQL: the same statements, with advisory locks where
SQLite has only one writer anyway.
"""

from __future__ import annotations

import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from types import TracebackType
from zlib import crc32

import psycopg
from sqlalchemy import Connection, Engine, PoolProxiedConnection, create_engine, event, make_url
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolExhausted

from bot.store.reading import Reading
from bot.store.sql import Sql
from bot.store.tx import Tx

#: How long a writer waits for a lock that another process holds before it says that nothing was stored.
LOCK_TIMEOUT_S = 5
#: How long PostgreSQL lets a transaction wait for its owner; none of ours waits for anything but the database.
IDLE_TIMEOUT_S = 5
#: The write-ahead log is folded into the file this often, so that it stays short: each page that is read is first
#: looked for in it. At one second instead, a storm's rate was a fifth lower. Past the second figure it is cut.
CHECKPOINT_EVERY_S = 0.2
CUT_LOG_AT_BYTES = 64 * 1024 * 1024

_INCIDENTS = "incidents"
#: What says that the database is in trouble, whichever layer notices. Anything else is a fault of ours.
TROUBLES = (
    sqlite3.OperationalError,
    psycopg.OperationalError,
    psycopg.InterfaceError,
    OperationalError,
    InterfaceError,
    PoolExhausted,
)


class Unavailable(Exception):
    """The database cannot be reached, is full, or is locked for too long. Nothing was stored."""


class Store:
    """An open database. `observe` is told the seconds that each commit took."""

    def __init__(
        self,
        url: str,
        *,
        now: Callable[[], datetime] | None = None,
        observe: Callable[[float], None] = lambda _: None,
    ) -> None:
        self.url = make_url(url)
        self.sqlite = self.url.get_backend_name() == "sqlite"
        self.now = now or _now
        #: Replicas share one clock, the database's; a test that brings a clock of its own means that one.
        self._its_time = now is None
        self._observe = observe
        self._turns = _Turns()
        self._here = threading.local()
        self._writers = _open_sqlite(self.url.database or "", self.url) if self.sqlite else _open_postgres(url)
        self._readers = _open_sqlite(self.url.database or "", self.url, reading=True) if self.sqlite else self._writers
        self._checkpoints = _Checkpoints(Path(self.url.database or "")) if self.sqlite else None

    @contextmanager
    def begin(self, lane: str = _INCIDENTS) -> Iterator[Tx]:
        """One write transaction: committed when the block ends well, undone when it raises.

        `lane`: whose turn is taken. All that changes incidents takes the default; the deliveries of one channel
        take the channel's name, so that across replicas a channel's quota is counted by one of them at a time.

        Raises:
            Unavailable: the database did not take it; nothing was stored.
        """
        with self._turns if self.sqlite else nullcontext(), self._connected(self._writers) as raw:
            sql = self._speak(raw)
            at = self._take_turn(sql, lane)
            self._here.writing = True
            try:
                yield Tx(sql, at)
                start = perf_counter()
                raw.commit()
                self._observe(perf_counter() - start)
            except BaseException:
                raw.rollback()
                raise
            finally:
                self._here.writing = False

    def _speak(self, raw: PoolProxiedConnection) -> Sql:
        driver = raw.driver_connection
        return Sql(raw.cursor(), pipeline=driver.pipeline if isinstance(driver, psycopg.Connection) else None)

    def _take_turn(self, sql: Sql, lane: str) -> datetime:
        """Wait for it; returns what time it is then."""
        if self.sqlite:
            sql.run("BEGIN IMMEDIATE")
            return self.now()
        turn = "SELECT clock_timestamp() FROM (SELECT pg_advisory_xact_lock(?)) AS turn"
        at: datetime = sql.scalar(turn, crc32(f"vakhta/{lane}".encode()))
        return at.astimezone(UTC) if self._its_time else self.now()

    @contextmanager
    def read(self) -> Iterator[Reading]:
        """One consistent look; it waits for no writer. Raises `Unavailable`."""
        with self._connected(self._readers) as raw:
            sql = self._speak(raw)
            sql.run("BEGIN" if self.sqlite else "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            try:
                yield Reading(sql)
            finally:
                raw.rollback()

    @contextmanager
    def connected(self) -> Iterator[Connection]:
        """A connection of SQLAlchemy's in one transaction of its own, for the migrations."""
        with self._turns if self.sqlite else nullcontext(), self._writers.connect() as connection:
            if self.sqlite:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            else:
                connection.exec_driver_sql("SELECT pg_advisory_xact_lock(%s)", (crc32(b"vakhta/migrating"),))
            yield connection
            connection.commit()

    @contextmanager
    def _connected(self, engine: Engine) -> Iterator[PoolProxiedConnection]:
        """A connection of the driver's own, and its troubles as `Unavailable`."""
        try:
            raw = engine.raw_connection()
            try:
                yield raw
            finally:
                raw.close()
        except TROUBLES as trouble:
            raise Unavailable(_first_line(trouble)) from trouble

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


def _open_postgres(url: str) -> Engine:
    # The last one is for a replica that was frozen inside a transaction: the others need what it has locked.
    options = (
        f"-c lock_timeout={LOCK_TIMEOUT_S}s -c statement_timeout=30s"
        f" -c idle_in_transaction_session_timeout={IDLE_TIMEOUT_S}s"
    )
    return create_engine(
        url,
        pool_size=8,
        max_overflow=24,
        pool_timeout=LOCK_TIMEOUT_S,
        pool_pre_ping=True,
        connect_args={"options": options, "connect_timeout": LOCK_TIMEOUT_S},
    )


def _open_sqlite(path: str, url: object, *, reading: bool = False) -> Engine:
    if not path or path == ":memory:":
        raise ValueError(f"{url}: the store must be a file, because what is accepted has to outlive the process")
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).touch(mode=0o600)  # alerts are nobody else's business; the log beside it takes the file's mode
    engine = create_engine(
        f"sqlite:///{path}",
        pool_size=8,
        max_overflow=24,
        connect_args={"timeout": LOCK_TIMEOUT_S, "check_same_thread": False, "cached_statements": 512},
    )

    def prepare(raw: sqlite3.Connection, _: object) -> None:
        # The driver's own transactions begin late and lose updates; ours say BEGIN IMMEDIATE themselves.
        raw.isolation_level = None
        for pragma in _READING if reading else _WRITING:
            raw.execute(f"PRAGMA {pragma}")

    event.listen(engine, "connect", prepare)
    return engine


_COMMON = ("journal_mode=WAL", f"busy_timeout={LOCK_TIMEOUT_S * 1000}", "temp_store=MEMORY")
_WRITING = (*_COMMON, "synchronous=FULL", "foreign_keys=ON", "wal_autocheckpoint=0", "cache_size=-16000")
_READING = (*_COMMON, "query_only=ON", "cache_size=-4000")


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
    """Folds SQLite's log into the file, off the commit path."""

    def __init__(self, path: Path) -> None:
        self._path = path
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
        engine = _open_sqlite(str(self._path), self._path)
        while not self._stopping.wait(CHECKPOINT_EVERY_S):
            self._fold(engine)
        engine.dispose()

    def _fold(self, engine: Engine) -> None:
        size = self._log.stat().st_size if self._log.exists() else 0
        if not size:
            return
        how = "TRUNCATE" if size > CUT_LOG_AT_BYTES else "PASSIVE"
        try:
            raw = engine.raw_connection()
            raw.cursor().execute(f"PRAGMA wal_checkpoint({how})").fetchall()
            raw.close()
        except sqlite3.OperationalError:
            return  # another process is writing; the next round folds


def _now() -> datetime:
    return datetime.now(UTC)


def _first_line(trouble: BaseException) -> str:
    return str(trouble).partition("\n")[0] or type(trouble).__name__
