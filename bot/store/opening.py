"""How the database is opened, and how a connection that has gone stale is told from one that works."""

from __future__ import annotations

import fcntl
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import IO, TypeVar

import psycopg
from sqlalchemy import Engine, PoolProxiedConnection, create_engine, event
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolExhausted

Begun = TypeVar("Begun")

#: How long a writer waits for a lock that another process holds before it says that nothing was stored.
LOCK_TIMEOUT_S = 5
#: How long PostgreSQL lets a transaction wait for its owner; none of ours waits for anything but the database.
IDLE_TIMEOUT_S = 5

#: What says that the database is in trouble, whichever layer notices. Anything else is a fault of ours.
TROUBLES = (
    sqlite3.OperationalError,
    psycopg.OperationalError,
    psycopg.InterfaceError,
    psycopg.errors.IdleInTransactionSessionTimeout,
    OperationalError,
    InterfaceError,
    PoolExhausted,
)

_COMMON = ("journal_mode=WAL", f"busy_timeout={LOCK_TIMEOUT_S * 1000}", "temp_store=MEMORY")
# Without recursive triggers REPLACE deletes a row past the guard against deleting.
_WRITING = (
    *_COMMON,
    "synchronous=FULL",
    "foreign_keys=ON",
    "recursive_triggers=ON",
    "wal_autocheckpoint=0",
    "cache_size=-16000",
)
_READING = (*_COMMON, "query_only=ON", "cache_size=-4000")

#: Whatever a driver raises: it has to reach whoever ends the transaction, because that is broken.
DRIVERS_OWN = (psycopg.Error, sqlite3.Error)


def begun_on(engine: Engine, begin: Callable[[PoolProxiedConnection], Begun]) -> tuple[PoolProxiedConnection, Begun]:
    """A connection that works, as its first statement shows; asking first whether it does would cost a round trip."""
    try:
        return _begun(engine, begin)
    except _Gone:
        engine.dispose()  # the server was started again, and the others that wait in the pool are gone as well
    try:
        return _begun(engine, begin)
    except _Gone as again:
        raise OperationalError("BEGIN", None, again) from again


class _Gone(Exception):
    """The other side has closed this connection, perhaps long ago."""


def _begun(engine: Engine, begin: Callable[[PoolProxiedConnection], Begun]) -> tuple[PoolProxiedConnection, Begun]:
    raw = engine.raw_connection()
    try:
        return raw, begin(raw)
    except BaseException as trouble:
        if isinstance(raw.driver_connection, psycopg.Connection) and raw.driver_connection.closed:
            raw.invalidate()
            raise _Gone(str(trouble)) from trouble
        raw.close()
        raise


def open_postgres(url: str) -> Engine:
    # The last one is for a replica that was frozen inside a transaction: the others need what it has locked.
    options = (
        f"-c lock_timeout={LOCK_TIMEOUT_S}s -c statement_timeout=30s"
        f" -c idle_in_transaction_session_timeout={IDLE_TIMEOUT_S}s"
        # Each of our statements finds its rows by keys. While nothing is known of a table's size yet, the planner
        # would rather read all of it, and keep that plan through the storm that fills it. There is one plan for
        # whatever is asked for, so none is made anew for each commit: that was an eighth of its time.
        " -c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off -c jit=off"
        " -c plan_cache_mode=force_generic_plan"
    )
    return create_engine(
        url,
        pool_size=8,
        max_overflow=24,
        pool_timeout=LOCK_TIMEOUT_S,
        pool_use_lifo=True,  # what was used last has its statements prepared
        connect_args={"options": options, "connect_timeout": LOCK_TIMEOUT_S, "autocommit": True},
    )


def open_sqlite(path: str, url: object, *, reading: bool = False) -> Engine:
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


def lock_beside(path: Path) -> IO[bytes] | None:
    """A lock on a file next to it, held until that is closed; None where another process holds it."""
    held = path.with_name(path.name + ".lock").open("ab")
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        held.close()
        return None
    return held
