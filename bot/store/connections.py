"""Opens the database, and replaces connections that the server has closed."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import IO, TypeVar
from zlib import crc32

import psycopg
from sqlalchemy import Connection, Engine, PoolProxiedConnection, QueuePool, create_engine, event
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolExhausted
from sqlalchemy.pool import ConnectionPoolEntry

from bot.store import timeouts

Begun = TypeVar("Begun")

#: Errors of a database in trouble, from whichever layer notices. Any other error is a fault of our own.
TROUBLES = (
    sqlite3.OperationalError,
    psycopg.OperationalError,
    psycopg.InterfaceError,
    psycopg.errors.IdleInTransactionSessionTimeout,
    OperationalError,
    InterfaceError,
    PoolExhausted,
)

_COMMON = ("journal_mode=WAL", f"busy_timeout={timeouts.LOCK_TIMEOUT_S * 1000:.0f}", "temp_store=MEMORY")
# Without recursive triggers, REPLACE would delete a row past the trigger that forbids deletion.
_WRITING = (
    *_COMMON,
    "synchronous=FULL",
    "foreign_keys=ON",
    "recursive_triggers=ON",
    "wal_autocheckpoint=0",
    "cache_size=-16000",
)
_READING = (*_COMMON, "query_only=ON", "cache_size=-4000")

#: Each file name begins with its revision, so the last one in order is the newest.
_MIGRATIONS = Path(__file__).parent / "migrations" / "versions"

#: Any error of a driver. It has to reach the code that ends the transaction, because the transaction is broken.
DRIVERS_OWN = (psycopg.Error, sqlite3.Error)


def begin_on(engine: Engine, begin: Callable[[PoolProxiedConnection], Begun]) -> tuple[PoolProxiedConnection, Begun]:
    """A connection on which `begin` has succeeded. Testing the connection first would cost a round trip."""
    try:
        return _begun(engine, begin)
    except _Gone:
        engine.dispose()  # the server was restarted, so the other connections in the pool are gone as well
    try:
        return _begun(engine, begin)
    except _Gone as again:
        raise OperationalError("BEGIN", None, again) from again


def give_back(engine: Engine, raw: PoolProxiedConnection) -> None:
    """Return it to the pool. A closed connection is dropped; after one that timed out, so is the whole pool.

    After a time-out nothing is tried again at once: the caller has waited long enough, and gets the error.
    """
    line = raw.driver_connection
    if isinstance(line, timeouts.TimedConnection):
        line.timeout_s = None
        if line.closed:
            raw.invalidate()
            if line.timed_out:
                engine.dispose()
            return
    raw.close()


def allow_long_statements(raw: PoolProxiedConnection) -> None:
    """Statements from here to the end of the transaction may take long."""
    line = raw.driver_connection
    if isinstance(line, timeouts.TimedConnection):
        line.execute(f"SET LOCAL statement_timeout = '{timeouts.LONG_STATEMENT_S:.0f}s'".encode())
        line.timeout_s = timeouts.LONG_ANSWER_S


def lock_for_migration(connection: Connection) -> None:
    """Wait for another process that migrates, and allow time for statements that read all rows.

    The trap: the time for a table's lock stays short. A migration that waits for readers would make all others wait
    behind it.
    """
    line = connection.connection.driver_connection
    assert isinstance(line, timeouts.TimedConnection), "SQLite has its turns"
    line.timeout_s = timeouts.MIGRATION_ANSWER_S
    long = f"'{timeouts.MIGRATION_STATEMENT_S:.0f}s'"
    connection.exec_driver_sql(f"SET LOCAL statement_timeout = {long}")
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = {long}")
    connection.exec_driver_sql("SELECT pg_advisory_xact_lock(%s)", (crc32(b"vakhta/migrating"),))
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{timeouts.LOCK_TIMEOUT_S:.0f}s'")


def is_newest(connection: Connection) -> bool:
    """Whether the database has this version's tables."""
    return stored_version(connection) == newest_version()


def stored_version(connection: Connection) -> str:
    """The number of the last migration, by Alembic's own row; "" for an empty database.

    Asking Alembic would mean to import it.
    """
    if not connection.dialect.has_table(connection, "alembic_version"):
        return ""
    noted = connection.exec_driver_sql("SELECT version_num FROM alembic_version").fetchall()
    return " ".join(str(version) for (version,) in noted)


def newest_version() -> str:
    """The number of this version's last migration."""
    return max(_MIGRATIONS.glob("[0-9]*.py")).name.partition("_")[0]


class ClosingPool(QueuePool):
    """A pool that closes connections which come back after it was disposed of.

    SQLAlchemy keeps those open in the old pool until the garbage collector finds it.
    """

    #: Without it SQLAlchemy logs what the pool does as if we did, and `vakhta ask` showed four such lines.
    _sqla_logger_namespace = "sqlalchemy.pool.ClosingPool"

    _disposed = False

    def dispose(self) -> None:
        self._disposed = True
        super().dispose()

    def _do_return_conn(self, record: ConnectionPoolEntry) -> None:
        super()._do_return_conn(record)
        if self._disposed:
            super().dispose()


class _Gone(Exception):
    """The other side has closed this connection, perhaps long ago."""


def _begun(engine: Engine, begin: Callable[[PoolProxiedConnection], Begun]) -> tuple[PoolProxiedConnection, Begun]:
    raw = engine.raw_connection()
    try:
        return raw, begin(raw)
    except BaseException as trouble:
        line = raw.driver_connection
        give_back(engine, raw)
        if isinstance(line, timeouts.TimedConnection) and line.closed and not line.timed_out:
            raise _Gone(str(trouble)) from trouble
        raise


def open_postgres(url: str) -> Engine:
    # The third option is for a replica that froze inside a transaction: the others need its locks.
    options = (
        f"-c lock_timeout={timeouts.LOCK_TIMEOUT_S * 1000:.0f}"
        f" -c statement_timeout={timeouts.STATEMENT_S * 1000:.0f}"
        f" -c idle_in_transaction_session_timeout={timeouts.IDLE_TIMEOUT_S * 1000:.0f}"
        # Each of our statements finds its rows by keys. While the planner has no statistics of a table, it prefers to
        # scan all of it, and keeps that plan through the storm that fills the table. One generic plan serves all
        # values: planning anew for each commit took an eighth of its time.
        " -c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off -c jit=off"
        " -c plan_cache_mode=force_generic_plan"
    )
    engine = create_engine(
        url,
        poolclass=ClosingPool,
        pool_size=8,
        max_overflow=24,
        pool_timeout=timeouts.LOCK_TIMEOUT_S,
        pool_use_lifo=True,  # the connection that was used last has its statements prepared
        connect_args={"options": options, "autocommit": True},
    )
    event.listen(engine, "do_connect", lambda _dialect, _record, given, named: timeouts.connect(given, named))
    return engine


def open_sqlite(path: str, url: object, *, reading: bool = False) -> Engine:
    if not path or path == ":memory:":
        raise ValueError(f"{url}: the store must be a file, because accepted alerts have to outlive the process")
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).touch(mode=0o600)  # readable by the owner alone; SQLite's log gets the same mode
    engine = create_engine(
        f"sqlite:///{path}",
        poolclass=ClosingPool,
        pool_size=8,
        max_overflow=24,
        connect_args={"timeout": timeouts.LOCK_TIMEOUT_S, "check_same_thread": False, "cached_statements": 512},
    )

    def prepare(raw: sqlite3.Connection, _: object) -> None:
        # The driver's own transactions begin late and lose updates; ours run BEGIN IMMEDIATE themselves.
        raw.isolation_level = None
        for pragma in _READING if reading else _WRITING:
            raw.execute(f"PRAGMA {pragma}")

    event.listen(engine, "connect", prepare)
    return engine


class SqliteFile:
    """The SQLite file that was opened. The trap: SQLite goes on writing to a deleted file, and reports success."""

    def __init__(self, path: Path) -> None:
        self._path = str(path)
        self._opened = _identity(self._path)
        self._lost = False

    def mark_lost(self) -> None:
        """Its write-ahead log was deleted."""
        self._lost = True

    def check_unchanged(self) -> None:
        """Raises sqlite3.OperationalError where the file was deleted or replaced, or its log was deleted."""
        if self._lost or _identity(self._path) != self._opened:
            raise sqlite3.OperationalError(
                f"{Path(self._path).name} was deleted or replaced while it is open; restart the bot"
            )


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)  # noqa: PTH116 - Path.stat costs a quarter more, in each commit
    except OSError:
        return None
    return found.st_dev, found.st_ino


def lock_file_beside(path: Path) -> IO[bytes] | None:
    """A locked file beside `path`; the lock is held until the file is closed. None where another process has it."""
    held = path.with_name(path.name + ".lock").open("ab")
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        held.close()
        return None
    return held
