"""The database: how it is opened, who may write, and when its log is folded in.

SQLite: WAL with synchronous=FULL, one writer at a time, and the checkpoint on a thread of its own, because a checkpoint
inside a commit is the slowest commit of the second. PostgreSQL: the same statements, with advisory locks where
SQLite has only one writer anyway.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from sqlite3 import Connection as SqliteConnection
from time import perf_counter
from types import TracebackType
from zlib import crc32

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import OperationalError

from bot.store.reading import Reading
from bot.store.sql import Sql
from bot.store.tx import Tx

#: How long a writer waits for a lock that another process holds before it says that nothing was stored.
LOCK_TIMEOUT_S = 5
#: The write-ahead log is folded into the file this often, and cut to nothing when it has grown past the second figure.
CHECKPOINT_EVERY_S = 1.0
CUT_LOG_AT_BYTES = 64 * 1024 * 1024

_INCIDENTS = "incidents"


class Store:
    """An open database. `observe` is told the seconds that each commit took."""

    def __init__(
        self,
        url: str,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        observe: Callable[[float], None] = lambda _: None,
    ) -> None:
        self.url = make_url(url)
        self.sqlite = self.url.get_backend_name() == "sqlite"
        self.now = now
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
        """
        with self._turns if self.sqlite else _Free(), self._writers.connect() as connection, connection.begin():
            sql = Sql(connection)
            if not self.sqlite:
                sql.run("SELECT pg_advisory_xact_lock(?)", crc32(f"vakhta/{lane}".encode()))
            self._here.writing = True
            try:
                yield Tx(sql, self.now())
                start = perf_counter()
                connection.commit()
                self._observe(perf_counter() - start)
            finally:
                self._here.writing = False

    @contextmanager
    def read(self) -> Iterator[Reading]:
        """One consistent look; it waits for no writer."""
        with self._readers.connect() as connection:
            yield Reading(Sql(connection))

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
    options = f"-c lock_timeout={LOCK_TIMEOUT_S}s -c statement_timeout=30s"
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
    engine = create_engine(
        f"sqlite:///{path}",
        pool_size=8,
        max_overflow=24,
        connect_args={"timeout": LOCK_TIMEOUT_S, "check_same_thread": False, "cached_statements": 512},
    )

    def prepare(raw: SqliteConnection, _: object) -> None:
        # The driver's own transactions begin late and lose updates; ours say BEGIN IMMEDIATE themselves.
        raw.isolation_level = None
        for pragma in _READING if reading else _WRITING:
            raw.execute(f"PRAGMA {pragma}")

    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")

    event.listen(engine, "connect", prepare)
    event.listen(engine, "begin", begin)
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


class _Free:
    """No turns: the database's own locks decide."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        return None


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
        except OperationalError:
            return  # another process is writing; the next round folds
