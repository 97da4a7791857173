"""How long the database may take for what it is asked. PostgreSQL that is silent for longer is cut off.

The trap: a server that is stopped, or a network that has forgotten a connection, closes nothing. The kernel goes on
taking what is sent, and the driver would wait for the answer for ever. The server's own time-outs are shorter than
ours, so that one that lives says itself what took too long, and its connection is kept.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

import psycopg
from psycopg import errors

#: How long a writer waits for what another one holds before it says that nothing was stored.
LOCK_TIMEOUT_S = 4.0
#: How long it waits for the other writers of this process, of which one may hang on its disk.
TURN_S = 5.0
#: How long PostgreSQL lets a transaction wait for its owner; none of ours waits for anything but the database.
IDLE_TIMEOUT_S = 5.0
#: How long PostgreSQL works on one statement before it ends that itself.
STATEMENT_S = 4.5
#: How long one round trip may take until the connection is cut: more than what the server itself ends.
ANSWER_S = 5.0
#: The same for what may have to go through much of the audit log: pruning, handing over keys.
LONG_STATEMENT_S, LONG_ANSWER_S = 30.0, 35.0
#: The same for changing the tables of a database that has been filled for years, and for waiting for who does it.
MIGRATION_STATEMENT_S, MIGRATION_ANSWER_S = 600.0, 610.0
#: How long one address of the server may take to let us in, and how long all of them and their names may take.
CONNECT_S, CONNECT_ALL_S = 4, 9.0
#: So many threads may be waiting to be let in; for each that hangs in a name service one is left behind for a while.
_CONNECTING = threading.BoundedSemaphore(32)

#: The kernel notices by itself that the other machine is gone, also where nothing is asked.
_SOCKET = {
    "connect_timeout": CONNECT_S,
    "tcp_user_timeout": 5000,
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
}


class TimedConnection(psycopg.Connection[Any]):
    """A connection that is cut when a round trip takes longer than `timeout_s`. Any: what its rows hold."""

    #: None: `ANSWER_S`.
    timeout_s: float | None = None
    #: Whether it was cut because no answer came: then what else is connected there is not to be believed either.
    timed_out = False

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """As the driver's own, through which all its blocking calls go. Any: types of the driver's own."""
        patience = timeout or self.timeout_s or ANSWER_S
        try:
            return super().wait(gen, interval, patience)
        except errors._WaitTimeout:  # noqa: SLF001 - the driver has no public name for its own time-out
            self.timed_out = True
            self.close()
            raise psycopg.OperationalError(f"no answer within {patience:g} s, so the connection was cut") from None


def connect(given: Sequence[Any], named: Mapping[str, Any]) -> TimedConnection:
    """A new connection. Any: what the driver takes.

    Neither the driver nor the system limits how long names are looked up for: that goes on on a thread of its own,
    which is left behind where it takes too long.
    """
    if not _CONNECTING.acquire(blocking=False):
        raise psycopg.OperationalError("too many connections are being made already, and none was answered yet")
    promised: Future[TimedConnection] = Future()
    names = {**named, **_SOCKET}
    threading.Thread(target=_connect, args=(promised, given, names), name="store-connect", daemon=True).start()
    try:
        return promised.result(CONNECT_ALL_S)
    except TimeoutError:
        if promised.cancel():
            raise psycopg.OperationalError(f"it could not be connected to within {CONNECT_ALL_S:g} s") from None
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
        made.close()  # whoever wanted it has given up


def sent_with_sync(pipeline: Any) -> Iterator[Any]:
    """In place of the driver's own `_communicate_gen`, which sends each statement by itself and the Sync later: all in
    one piece, once a Sync, of which no rows are waited for, is the last. Any: types of the driver's own.
    """
    if pipeline.result_queue and pipeline.result_queue[-1] is not None:
        return
    commands = list(pipeline.command_queue)
    pipeline.command_queue.clear()
    pipeline.command_queue.append(lambda: [send() for send in commands])
    yield from type(pipeline)._communicate_gen(pipeline)  # noqa: SLF001
