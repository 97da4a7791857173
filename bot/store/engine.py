"""The database: transactions that write, one at a time, and snapshots to read from.

SQLite: WAL with synchronous=FULL and one writer at a time (`wal` looks after its log). PostgreSQL: the same statements,
with advisory locks that let one replica write at a time.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import IO, NamedTuple
from zlib import crc32

import psycopg
from sqlalchemy import Connection, Engine, PoolProxiedConnection, make_url

from bot.lib.redact import redact
from bot.store.connections import (
    DRIVERS_OWN,
    TROUBLES,
    Begun,
    SqliteFile,
    allow_long_statements,
    begin_on,
    give_back,
    lock_file_beside,
    lock_for_migration,
    open_postgres,
    open_sqlite,
)
from bot.store.integrity_check import IntegrityCheck
from bot.store.sql import Query, Row, Sql, load_types
from bot.store.transaction import Tx
from bot.store.views import Reader
from bot.store.wal import WalCheckpointer
from bot.store.writer_queue import WriterQueue

_INCIDENTS = "incidents"
_NO_TURN: AbstractContextManager[None] = nullcontext()


class Unavailable(Exception):
    """The database cannot be reached, is full, or was locked for too long. Nothing was stored."""


class DatabaseDamaged(Unavailable):
    """The part of the file that was needed is damaged. The rest may be whole."""


class DatabaseInUse(Exception):
    """Another replica has the lock, and the caller did not want to wait. Nothing was done."""


class Store:
    """An open database. `observe` gets the duration of each commit in seconds; `scrub` removes secrets from a text."""

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
        #: Replicas share one clock, the database's; a test may give another one.
        self._use_database_clock = now is None
        self._observe = observe
        self._scrub = scrub
        self._writer_queue = WriterQueue()
        self._thread_state = threading.local()
        self._claim: IO[bytes] | None = None
        self._closed = False
        self._writers = open_sqlite(self.url.database or "", self.url) if self.sqlite else open_postgres(url)
        self._readers = open_sqlite(self.url.database or "", self.url, reading=True) if self.sqlite else self._writers
        if not self.sqlite:
            load_types()  # now, and not while the first alert waits
        file = Path(self.url.database or "") if self.sqlite else None
        self._file = SqliteFile(file) if file else None
        self._integrity = IntegrityCheck(file)
        self._checkpoints = (
            WalCheckpointer(file, self._writer_queue, self._file.mark_lost) if file and self._file else None
        )

    @contextmanager
    def begin(
        self,
        lane: str = _INCIDENTS,
        *,
        synced: bool = True,
        wait: bool = True,
        first: Sequence[Query] = (),
        long: bool = False,
    ) -> Iterator[Tx]:
        """One write transaction: committed when the block ends, rolled back when it raises.

        `lane`: names the lock that it takes. Everything that changes incidents takes the default; the deliveries of a
        channel take the channel's name, so that only one replica at a time counts that channel's quota.
        `synced`: whether it survives a power failure; False only where losing it does no harm.
        `wait`: wait for another replica's lock. On SQLite the lock is always waited for.
        `first`: queries that run once the lock is held, in the same round trip; their rows are in `Tx.first`. What
        follows is sent as `Sql.start_pipeline` says. Only together with `wait`.
        `long`: it may read much of the database, and gets the time of `timeouts.LONG_ANSWER_S`.

        Raises:
            Unavailable: the database failed; nothing was stored.
            DatabaseInUse: without `wait`, another replica has the lock.
        """
        mine = self._writer_queue if self.sqlite else nullcontext()
        begin = partial(self._begin, lane=lane, synced=synced, wait=wait, first=first)
        with self._connected(self._writers, begin, mine, long=long) as (raw, begun), begun.sql as sql:
            self._thread_state.writing = True
            changes = _changes(raw)
            try:
                yield Tx(sql, begun.at, self._scrub, begun.first)
                self._commit(raw, sql)
                if self._checkpoints and _changes(raw) != changes:
                    self._checkpoints.written()
            except BaseException:
                with suppress(*DRIVERS_OWN):  # in a pipeline the rest fails as well; the pool rolls back what is left
                    raw.rollback()
                raise
            finally:
                self._thread_state.writing = False

    def _commit(self, raw: PoolProxiedConnection, sql: Sql) -> None:
        start = perf_counter()
        if not sql.commit_pipeline():
            raw.commit()
        self._observe(perf_counter() - start)

    def _begin(
        self, raw: PoolProxiedConnection, *, lane: str, synced: bool, wait: bool, first: Sequence[Query]
    ) -> _Writing:
        """Begin, and wait for the lock."""
        sql = _sql_on(raw)
        if self.sqlite:
            sql.run(f"PRAGMA synchronous={'FULL' if synced else 'NORMAL'}")
            sql.run("BEGIN IMMEDIATE")
            return _Writing(sql, self.now(), sql.run_queries(first))
        turn = _lock_statement(lane, wait=wait)
        if first:
            assert synced, "no pipeline may be lost by a power failure"
            assert wait, "a pipeline waits for its lock"
            at, *answers = _begin_pipeline(sql, [Query(turn, ()), *first])
        else:
            at, answers = (
                _in_one_round_trip(raw, "BEGIN" if synced else "BEGIN; SET LOCAL synchronous_commit = off", turn),
                [],
            )
        if not at:
            raw.rollback()
            raise DatabaseInUse(lane)
        return _Writing(sql, at[0][0].astimezone(UTC) if self._use_database_clock else self.now(), answers)

    def _begin_read(self, raw: PoolProxiedConnection) -> None:
        raw.cursor().execute("BEGIN" if self.sqlite else "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")

    @contextmanager
    def read(self, *, long: bool = False) -> Iterator[Reader]:
        """One consistent snapshot; it waits for no writer. `long` as in `begin`. Raises `Unavailable`."""
        with self._connected(self._readers, self._begin_read, long=long) as (raw, _), _sql_on(raw) as sql:
            try:
                yield Reader(sql)
            finally:
                raw.commit()  # a rollback would make the driver forget its prepared statements

    @contextmanager
    def connected(self) -> Iterator[Connection]:
        """A SQLAlchemy connection in a transaction of its own, for migrations."""
        with self._writer_queue if self.sqlite else nullcontext(), self._writers.connect() as connection:
            if self.sqlite:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            else:
                connection.exec_driver_sql("BEGIN")
                lock_for_migration(connection)
            yield connection
            connection.commit()

    @contextmanager
    def _connected(
        self,
        engine: Engine,
        begin: Callable[[PoolProxiedConnection], Begun],
        turn: AbstractContextManager[None] = _NO_TURN,
        *,
        long: bool = False,
    ) -> Iterator[tuple[PoolProxiedConnection, Begun]]:
        """A connection of the driver, and the result of `begin` on it. The driver's errors become `Unavailable`."""
        if self._closed:
            raise Unavailable("it was closed")
        try:
            with turn:
                if self._file is not None:
                    self._file.check_unchanged()
                raw, begun = begin_on(engine, begin)
                try:
                    if long:
                        allow_long_statements(raw)
                    yield raw, begun
                finally:
                    give_back(engine, raw)
        except TROUBLES as trouble:
            raise Unavailable(_first_line(trouble)) from trouble
        except sqlite3.DatabaseError as trouble:
            if type(trouble) is not sqlite3.DatabaseError:
                raise  # a violated constraint is a fault of our own
            raise DatabaseDamaged(_first_line(trouble)) from trouble

    def claim_alone(self) -> bool:
        """Whether this is the only process that claims this SQLite file. The claim holds until `close` or the exit.

        The trap: the lock is on a file beside the database, because closing a second descriptor of the database itself
        would release SQLite's own locks.
        """
        if self.sqlite:
            self._claim = lock_file_beside(Path(self.url.database or ""))
        return not self.sqlite or self._claim is not None

    def writing(self) -> bool:
        """Whether this thread is inside `begin` now. No provider may be called then."""
        return getattr(self._thread_state, "writing", False)

    def damage(self) -> str | None:
        """Which tables of the SQLite file are damaged; None while the check has found nothing, or has not finished."""
        return self._integrity.fault

    def start(self) -> None:
        self._integrity.start()
        if self._checkpoints:
            self._checkpoints.start()

    def close(self) -> None:
        """Close all connections. One that is in use is closed when it comes back; nothing is begun any more."""
        self._closed = True
        self._integrity.stop()
        if self._checkpoints:
            self._checkpoints.stop()
        self._readers.dispose()
        self._writers.dispose()
        if self._claim is not None:
            self._claim.close()


class _Writing(NamedTuple):
    """A transaction that has its lock."""

    sql: Sql
    at: datetime
    first: Sequence[Sequence[Row]]  #: the rows of the first queries


def _lock_statement(lane: str, *, wait: bool) -> str:
    """Takes the lane's lock and returns the time; without `wait`, returns no row where another replica has the lock."""
    lock, taken = ("pg_advisory_xact_lock", "") if wait else ("pg_try_advisory_xact_lock", " WHERE mine")
    mine = f"SELECT {lock}({crc32(f'vakhta/{lane}'.encode())}) AS mine"
    return f"SELECT clock_timestamp() FROM ({mine}) AS turn{taken}"


def _begin_pipeline(sql: Sql, queries: Sequence[Query]) -> list[Sequence[Row]]:
    """Begin a pipeline with these queries, in one round trip. Each runs after those before it, with the lock held."""
    sql.start_pipeline()
    try:
        sql.run("BEGIN")
        return sql.run_queries(queries)
    except BaseException as trouble:
        sql.__exit__(type(trouble), trouble, trouble.__traceback__)
        raise


def _in_one_round_trip(raw: PoolProxiedConnection, *statements: str) -> Sequence[Row]:
    """The rows of the last statement; all run in one round trip."""
    cursor = raw.cursor()
    cursor.execute("; ".join(statements))
    while cursor.nextset():
        pass
    return cursor.fetchall()


def _sql_on(raw: PoolProxiedConnection) -> Sql:
    driver = raw.driver_connection
    if isinstance(driver, psycopg.Connection):
        return Sql(partial(psycopg.RawCursor, driver), postgres=driver)
    return Sql(raw.cursor)


def _changes(raw: PoolProxiedConnection) -> int:
    """How many rows this SQLite connection has changed; a commit that changes none adds nothing to the log."""
    line = raw.driver_connection
    return line.total_changes if isinstance(line, sqlite3.Connection) else 0


def _now() -> datetime:
    return datetime.now(UTC)


def _first_line(trouble: BaseException) -> str:
    return str(trouble).partition("\n")[0] or type(trouble).__name__
