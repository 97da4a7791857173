"""Extends uvicorn's HTTP protocol on h11: a limit on connections, timeouts for a head and for the rest of a body,
strict parsing (`framing.py`), the fast path for alerts, and answers to senders that have half-closed the connection.

A connection has one request under way at a time. At most one more read is buffered before the answer; then the
connection is not read, so a sender that is faster than the bot is slowed down by TCP and fills no memory here.
"""

from __future__ import annotations

import logging
import resource
import secrets
from asyncio import AbstractEventLoop, TimerHandle, Transport
from email.utils import formatdate
from time import monotonic, time
from typing import Any, ClassVar

import h11
from uvicorn import Config
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from bot.web.alert_answers import CLOSE, AlertAnswer
from bot.web.alerts_fast_path import FastPath, answer_bytes
from bot.web.errors import error_body
from bot.web.fair_share import FairShare
from bot.web.framing import StrictParser

_MOST_FILES = 65536
_HEAD_WITHIN_S = 10.0  #: also for the rest of a body whose request is answered already
_QUIET_S = 1.0


def raise_descriptors() -> None:
    """Raise the soft limit of file descriptors; idle connections soon use up the usual 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def most_open() -> int:
    """The limit of connections: half of the descriptors; the rest is for channels and the database."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return (_MOST_FILES if soft == resource.RLIM_INFINITY else min(soft, _MOST_FILES)) // 2


class RateLimitedLog(logging.Filter):
    """Lets each message through once a second; the next one carries the number of those `left_out`.

    For a log to which anybody on the network can cause lines. Errors always pass.
    """

    def __init__(self) -> None:
        super().__init__()
        self._suppressed: dict[str, tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno >= logging.ERROR:
            return True
        now = monotonic()
        due, left_out = self._suppressed.get(str(record.msg), (now, 0))
        if now < due:
            self._suppressed[str(record.msg)] = due, left_out + 1
            return False
        self._suppressed[str(record.msg)] = now + _QUIET_S, 0
        if left_out:
            record.left_out = left_out
        return True


class PausableFlow(FlowControl):
    """uvicorn resumes reading when the app asks for more. This does not while `held`, or data would pile up."""

    held = False

    def resume_reading(self) -> None:
        if not self.held:
            super().resume_reading()


class Dates:
    """The `Date` field of answers, made when an answer is sent. uvicorn makes it every second, needed or not."""

    def __init__(self) -> None:
        self._second = 0
        self._fields: list[tuple[bytes, bytes]] = []

    def fields(self) -> list[tuple[bytes, bytes]]:
        second = int(time())
        if second != self._second:
            self._second, self._fields = second, [(b"date", formatdate(second, usegmt=True).encode())]
        return self._fields


class HttpProtocol(H11Protocol):
    """One connection."""

    conn: StrictParser
    flow: PausableFlow
    turns: ClassVar[FairShare] = FairShare()
    dates: ClassVar[Dates] = Dates()
    fast_path: ClassVar[FastPath | None] = None  #: the fast path, if the server has one
    _on_fast_path = False  #: a request on the fast path is not answered yet
    _ahead = b""  #: data received before that answer
    _leaving = False  #: the server stops: the next answer is the last
    _over = False  #: the sender has closed its side
    _answered = False  #: a request was answered just now
    _waits = False  #: for its turn (`FairShare`)
    _due: TimerHandle | None = None

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.conn = StrictParser()

    @classmethod
    def with_fast_path(cls, path: FastPath | None) -> type[HttpProtocol]:
        """A connection class of its own for one server: with that fast path, and turns shared with no other server."""

        class ServerProtocol(cls):  # type: ignore[valid-type,misc]  # mypy knows no class that is a variable
            fast_path = path
            turns = FairShare()

        return ServerProtocol

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]  # as in uvicorn
        full = len(self.connections) >= most_open()
        super().connection_made(transport)
        self.flow = PausableFlow(transport)
        if full:
            self._refuse()
            return
        self._due = self.loop.call_later(_HEAD_WITHIN_S, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._on_fast_path:
            self._ahead += data
            self.flow.pause_reading()
        elif self._waits:
            self.conn.receive_data(data)  # appended to what is buffered
        elif self.fast_path is not None and self._is_between() and self.fast_path.offer(data, self, self.loop):
            self._on_fast_path = True
            self._stop_waiting()
            self._unset_keepalive_if_required()
        else:
            super().data_received(data)

    def handle_events(self) -> None:
        if self._answered and self.conn.trailing_data[0]:
            self._wait()
            return
        self.conn.grant()
        self.server_state.default_headers = self.dates.fields()
        super().handle_events()
        if self.transport.is_closing():
            return
        if self.conn.is_spent:
            self._wait()
        self.flow.held = self.conn.paused
        self._set_timers()

    def eof_received(self) -> bool:  # type: ignore[override]  # uvicorn closes the connection here
        """True: keep the connection open until the request is answered."""
        self._over = True
        return self._has_unanswered() or self._waits

    def on_response_complete(self) -> None:
        self.flow.held = self._waits
        self._answered = True
        super().on_response_complete()
        self._answered = False
        if not self.transport.is_closing():
            self._set_timers()
            self._close_if_over()

    def shutdown(self) -> None:
        if self._on_fast_path:
            self._leaving = True
        elif not self.transport.is_closing():
            super().shutdown()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's text is replaced by ours
        self._end("400 Bad Request", "bad_request", self.conn.fault)

    def use_slow_path(self, data: bytes) -> None:
        """Process data that the fast path does not accept, also if the sender has closed its side."""
        self._on_fast_path = False
        if self.transport.is_closing():
            return
        super().data_received(data)
        if self._leaving:
            self.shutdown()
        self._go_on()

    def send_answer(self, answer: AlertAnswer) -> None:
        """Answer the request on the fast path."""
        self._on_fast_path = False
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        last = (CLOSE,) if self._leaving else ()
        self.transport.write(answer_bytes(answer, *self.dates.fields(), *last))
        if self._leaving:
            self.transport.close()
            return
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)
        if self._ahead or self._over:
            self._go_on()

    def _go_on(self) -> None:
        if self._ahead and not self.transport.is_closing():
            data, self._ahead = self._ahead, b""
            self.flow.resume_reading()
            self.data_received(data)
        self._close_if_over()

    def _wait(self) -> None:
        """Wait for a turn: more is buffered than was processed in this iteration."""
        self._waits = True
        self.flow.pause_reading()
        self.flow.held = True
        self.turns.wait(self._read_on, self.loop)

    def _read_on(self) -> None:
        self._waits = self.flow.held = False
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        self.handle_events()
        self._close_if_over()

    def _should_upgrade(self) -> bool:
        return False  # without a log line, which any sender could cause

    def _is_between(self) -> bool:
        """Whether everything received is answered, and the answers are written."""
        return self._is_idle() and not self.flow.write_paused

    def _is_idle(self) -> bool:
        return not self._waits and self.conn.their_state is h11.IDLE and not self.conn.waits

    def _has_unanswered(self) -> bool:
        """Whether a complete request is here and its answer has not begun. A stream that has begun does not count."""
        cycle = self.cycle
        return self._on_fast_path or (cycle is not None and not cycle.more_body and not cycle.response_started)

    def _close_if_over(self) -> None:
        if self._over and not self._has_unanswered() and not self._waits:
            self.transport.close()

    def _set_timers(self) -> None:
        """Set the timeouts for what is awaited now: a head, the unused rest of a body, or the next request."""
        answered = self.cycle is not None and self.cycle.response_complete
        if not (self.conn.waits or (answered and self.conn.their_state is h11.SEND_BODY)):
            self._stop_waiting()
        elif self._due is None:
            self._due = self.loop.call_later(_HEAD_WITHIN_S, self._give_up)
        if self._is_idle() and self.timeout_keep_alive_task is None:
            after_s = self.timeout_keep_alive
            self.timeout_keep_alive_task = self.loop.call_later(after_s, self.timeout_keep_alive_handler)

    def _refuse(self) -> None:
        # Through uvicorn's logger, which `RateLimitedLog` limits.
        self.logger.warning("Too many connections are open; more are refused.")
        message = "Too many connections are open. Nothing was done. Send it again."
        self._end("503 Service Unavailable\r\nretry-after: 5", "busy", message)

    def _end(self, status: str, code: str, message: str) -> None:
        """Close the connection; answer first, unless that could be read as a part of another answer."""
        answered = False
        if self.conn.in_body:
            answered = self.cycle.response_started
            self.cycle.disconnected = True  # ignore what the app still sends
            self.cycle.message_event.set()
        if not answered:
            body = error_body(code, message, secrets.token_hex(8))
            head = (
                f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\n"
                f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
            )
            self.transport.write(head.encode() + body)
        self.transport.close()

    def _stop_waiting(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None

    def _give_up(self) -> None:
        self.transport.close()
