"""Time limits for the database. A connection to PostgreSQL that does not answer in time is cut.

The trap: a server that is frozen, or a network that has lost a connection, closes nothing. The kernel still accepts
data, and the driver would wait for the answer for ever. The server's own time-outs are shorter than ours, so that a
live server itself reports what took too long, and the connection is kept.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

import psycopg
from psycopg import errors

#: How long a writer waits for another one's lock before it gives up and stores nothing.
LOCK_TIMEOUT_S = 4.0
#: How long it waits for the other writers of this process, one of which may hang on the disk.
TURN_S = 5.0
#: How long PostgreSQL lets a transaction be idle; our transactions wait for nothing but the database.
IDLE_TIMEOUT_S = 5.0
#: How long PostgreSQL works on one statement before it cancels the statement itself.
STATEMENT_S = 4.5
#: How long one round trip may take until the connection is cut: longer than the server's own limit.
ANSWER_S = 5.0
#: The same for work that may read much of the audit log: pruning, key handover.
LONG_STATEMENT_S, LONG_ANSWER_S = 30.0, 35.0
#: The same for migrating a database that was filled for years, and for waiting for another process that migrates.
MIGRATION_STATEMENT_S, MIGRATION_ANSWER_S = 600.0, 610.0
#: How long connecting to one address of the server may take, and how long name lookup and all addresses may take.
CONNECT_S, CONNECT_ALL_S = 4, 9.0
#: At most so many threads may be connecting; one that hangs in a name lookup stays behind for a while.
_CONNECTING = threading.BoundedSemaphore(32)

#: So the kernel itself notices that the other machine is gone, also on an idle connection.
_SOCKET = {
    "connect_timeout": CONNECT_S,
    "tcp_user_timeout": 5000,
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
}


class TimedConnection(psycopg.Connection[Any]):
    """A connection that is cut when a round trip takes longer than `timeout_s`. Any: the values of its rows."""

    #: None: `ANSWER_S`.
    timeout_s: float | None = None
    #: Whether it was cut because no answer came. Then other connections to that server may be dead as well.
    timed_out = False

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """Overrides the driver's method, which all its blocking calls use. Any: types of the driver."""
        limit_s = timeout or self.timeout_s or ANSWER_S
        try:
            return super().wait(gen, interval, limit_s)
        except errors._WaitTimeout:  # noqa: SLF001 - the driver has no public name for its own time-out
            self.timed_out = True
            self.close()
            raise psycopg.OperationalError(f"no answer within {limit_s:g} s, so the connection was cut") from None


def connect(given: Sequence[Any], named: Mapping[str, Any]) -> TimedConnection:
    """A new connection. Any: the driver's arguments.

    Neither the driver nor the system limits how long a name lookup takes. So connecting happens on a thread of its own,
    which is left behind when it takes too long.
    """
    if not _CONNECTING.acquire(blocking=False):
        raise psycopg.OperationalError("too many connections are being opened already, and none was answered yet")
    promised: Future[TimedConnection] = Future()
    names = {**named, **_SOCKET}
    threading.Thread(target=_connect, args=(promised, given, names), name="store-connect", daemon=True).start()
    try:
        return promised.result(CONNECT_ALL_S)
    except TimeoutError:
        if promised.cancel():
            raise psycopg.OperationalError(f"no connection within {CONNECT_ALL_S:g} s") from None
        return promised.result()


def _connect(promised: Future[TimedConnection], given: Sequence[Any], named: Mapping[str, Any]) -> None:
    try:
        made = TimedConnection.connect(*given, **named)
    except (psycopg.Error, OSError, ValueError) as trouble:
        if promised.set_running_or_notify_cancel():
            promised.set_exception(trouble)
        return
    finally:
        _CONNECTING.release()
    if promised.set_running_or_notify_cancel():
        promised.set_result(made)
    else:
        made.close()  # the caller has given up


def sent_with_sync(pipeline: Any) -> Iterator[Any]:
    """Replaces the driver's `_communicate_gen`, which sends each statement by itself and the Sync later.

    This one sends all of it at once, as soon as the last command is a Sync. Any: types of the driver.
    """
    if pipeline.result_queue and pipeline.result_queue[-1] is not None:
        return
    commands = list(pipeline.command_queue)
    pipeline.command_queue.clear()
    pipeline.command_queue.append(lambda: [send() for send in commands])
    yield from type(pipeline)._communicate_gen(pipeline)  # noqa: SLF001
