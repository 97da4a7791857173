"""The database: who may write, and when.

SQLite: WAL with synchronous=FULL, one writer at a time (its log is `wal`'s). PostgreSQL: the same statements, with
advisory locks where SQLite has only one writer anyway.
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

from bot.redact import redact
from bot.store.opening import (
    DRIVERS_OWN,
    TROUBLES,
    Begun,
    Opened,
    alone_in_migrating,
    begun_on,
    give_back,
    have_time,
    lock_beside,
    open_postgres,
    open_sqlite,
)
from bot.store.reading import Reading
from bot.store.soundness import Soundness
from bot.store.sql import Asked, Row, Sql, load_types
from bot.store.turns import Turns
from bot.store.tx import Tx
from bot.store.wal import Checkpoints

_INCIDENTS = "incidents"
_NO_TURN: AbstractContextManager[None] = nullcontext()


class Unavailable(Exception):
    """The database cannot be reached, is full, or is locked for too long. Nothing was stored."""


class Damaged(Unavailable):
    """The file cannot be read where that was needed. Elsewhere it may be whole."""


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
        self._turns = Turns()
        self._here = threading.local()
        self._alone: IO[bytes] | None = None
        self._writers = open_sqlite(self.url.database or "", self.url) if self.sqlite else open_postgres(url)
        self._readers = open_sqlite(self.url.database or "", self.url, reading=True) if self.sqlite else self._writers
        if not self.sqlite:
            load_types()  # now, and not while the first alert waits
        file = Path(self.url.database or "") if self.sqlite else None
        self._opened = Opened(file) if file else None
        self._soundness = Soundness(file)
        self._checkpoints = Checkpoints(file, self._turns, self._opened.lose) if file and self._opened else None

    @contextmanager
    def begin(
        self,
        lane: str = _INCIDENTS,
        *,
        synced: bool = True,
        wait: bool = True,
        first: Sequence[Asked] = (),
        long: bool = False,
    ) -> Iterator[Tx]:
        """One write transaction: committed when the block ends well, undone when it raises.

        `lane`: whose turn is taken. All that changes incidents takes the default; the deliveries of one channel
        take the channel's name, so that across replicas a channel's quota is counted by one of them at a time.
        `synced`: whether it outlives a power failure; only what may be undone by one does without.
        `wait`: for a turn that another replica has; on SQLite there is none, and the turn is always waited for.
        `first` is asked as soon as the turn is ours, in the same round trip, and is in `Tx.first`; all that follows
        goes as `Sql.flow` says. Only together with `wait`.
        `long`: it may go through much of what is stored, and has the time of `timeouts.LONG_ANSWER_S`.

        Raises:
            Unavailable: the database did not take it; nothing was stored.
            Occupied: without `wait`, another replica has the turn.
        """
        mine = self._turns if self.sqlite else nullcontext()
        begin = partial(self._begin, lane=lane, synced=synced, wait=wait, first=first)
        with self._connected(self._writers, begin, mine, long=long) as (raw, begun), begun.sql as sql:
            self._here.writing = True
            changes = _changes(raw)
            try:
                yield Tx(sql, begun.at, self._scrub, begun.first)
                self._commit(raw, sql)
                if self._checkpoints and _changes(raw) != changes:
                    self._checkpoints.written()
            except BaseException:
                with suppress(*DRIVERS_OWN):  # of a flow the rest fails as well; the pool undoes what is left
                    raw.rollback()
                raise
            finally:
                self._here.writing = False

    def _commit(self, raw: PoolProxiedConnection, sql: Sql) -> None:
        start = perf_counter()
        if not sql.commit_flow():
            raw.commit()
        self._observe(perf_counter() - start)

    def _begin(
        self, raw: PoolProxiedConnection, *, lane: str, synced: bool, wait: bool, first: Sequence[Asked]
    ) -> _Writing:
        """Begin, and wait for the turn."""
        sql = _speak(raw)
        if self.sqlite:
            sql.run(f"PRAGMA synchronous={'FULL' if synced else 'NORMAL'}")
            sql.run("BEGIN IMMEDIATE")
            return _Writing(sql, self.now(), sql.all_of(first))
        turn = _turn(lane, wait=wait)
        if first:
            assert synced, "a flow that a power failure may undo is not needed anywhere"
            assert wait, "a flow waits for its turn"
            at, *answers = _flow_into(sql, [Asked(turn, ()), *first])
        else:
            at, answers = _in_one(raw, "BEGIN" if synced else "BEGIN; SET LOCAL synchronous_commit = off", turn), []
        if not at:
            raw.rollback()
            raise Occupied(lane)
        return _Writing(sql, at[0][0].astimezone(UTC) if self._its_time else self.now(), answers)

    def _begin_look(self, raw: PoolProxiedConnection) -> None:
        raw.cursor().execute("BEGIN" if self.sqlite else "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")

    @contextmanager
    def read(self, *, long: bool = False) -> Iterator[Reading]:
        """One consistent look; it waits for no writer. `long` as in `begin`. Raises `Unavailable`."""
        with self._connected(self._readers, self._begin_look, long=long) as (raw, _), _speak(raw) as sql:
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
                alone_in_migrating(connection)
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
        """A connection of the driver's own, what `begin` did on it, and its troubles as `Unavailable`."""
        try:
            with turn:
                if self._opened is not None:
                    self._opened.must_be_there()
                raw, begun = begun_on(engine, begin)
                try:
                    if long:
                        have_time(raw)
                    yield raw, begun
                finally:
                    give_back(engine, raw)
        except TROUBLES as trouble:
            raise Unavailable(_first_line(trouble)) from trouble
        except sqlite3.DatabaseError as trouble:
            if type(trouble) is not sqlite3.DatabaseError:
                raise  # what breaks the database's rules is a fault of ours
            raise Damaged(_first_line(trouble)) from trouble

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

    def damage(self) -> str | None:
        """What of the SQLite file is damaged, once that has been looked for; None also while nothing is known."""
        return self._soundness.fault

    def start(self) -> None:
        self._soundness.start()
        if self._checkpoints:
            self._checkpoints.start()

    def close(self) -> None:
        self._soundness.stop()
        if self._checkpoints:
            self._checkpoints.stop()
        self._readers.dispose()
        self._writers.dispose()
        if self._alone is not None:
            self._alone.close()


class _Writing(NamedTuple):
    """A transaction that has the turn."""

    sql: Sql
    at: datetime
    first: Sequence[Sequence[Row]]  #: the answers to what was asked first


def _turn(lane: str, *, wait: bool) -> str:
    """What takes the turn and tells the time; without `wait`, no row where another replica has it."""
    lock, taken = ("pg_advisory_xact_lock", "") if wait else ("pg_try_advisory_xact_lock", " WHERE mine")
    mine = f"SELECT {lock}({crc32(f'vakhta/{lane}'.encode())}) AS mine"
    return f"SELECT clock_timestamp() FROM ({mine}) AS turn{taken}"


def _flow_into(sql: Sql, asked: Sequence[Asked]) -> list[Sequence[Row]]:
    """Begin a flow with these, in one round trip. Each looks when those before it have ended, so after the turn."""
    sql.flow()
    try:
        sql.run("BEGIN")
        return sql.all_of(asked)
    except BaseException as trouble:
        sql.__exit__(type(trouble), trouble, trouble.__traceback__)
        raise


def _in_one(raw: PoolProxiedConnection, *statements: str) -> Sequence[Row]:
    """The rows of the last of them, in one round trip."""
    cursor = raw.cursor()
    cursor.execute("; ".join(statements))
    while cursor.nextset():
        pass
    return cursor.fetchall()


def _speak(raw: PoolProxiedConnection) -> Sql:
    driver = raw.driver_connection
    if isinstance(driver, psycopg.Connection):
        return Sql(partial(psycopg.RawCursor, driver), postgres=driver)
    return Sql(raw.cursor)


def _changes(raw: PoolProxiedConnection) -> int:
    """How many rows this connection of SQLite's has changed; what changes none leaves nothing in the log."""
    line = raw.driver_connection
    return line.total_changes if isinstance(line, sqlite3.Connection) else 0


def _now() -> datetime:
    return datetime.now(UTC)


def _first_line(trouble: BaseException) -> str:
    return str(trouble).partition("\n")[0] or type(trouble).__name__
