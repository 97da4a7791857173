"""Connections, as uvicorn serves them with h11, with what it leaves out: a limit to connections, one to the time that a
head or the rest of a body may take, one reading of every request (`framing.py`), an answer for half-closed senders.

One request of a connection is under way at a time. What comes before its answer is at most one read, and then the
connection is read no further: whoever sends faster than we answer is held up by TCP and fills nothing here.
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
_HEAD_WITHIN_S = 10.0  #: also for what of a body was not there when its request was answered
_QUIET_S = 1.0


def raise_descriptors() -> None:
    """Let this process open as many files as it may; the usual 1,024 are soon taken by idle connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def most_open() -> int:
    """How many connections there may be: half of the descriptors, so that channels and the database find theirs."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return (_MOST_FILES if soft == resource.RLIM_INFINITY else min(soft, _MOST_FILES)) // 2


class RateLimitedLog(logging.Filter):
    """Lets each message through once a second; the next one tells how many were `left_out`.

    For a log that strangers can write to. Errors always pass.
    """

    def __init__(self) -> None:
        super().__init__()
        self._kept_back: dict[str, tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno >= logging.ERROR:
            return True
        now = monotonic()
        due, left_out = self._kept_back.get(str(record.msg), (now, 0))
        if now < due:
            self._kept_back[str(record.msg)] = due, left_out + 1
            return False
        self._kept_back[str(record.msg)] = now + _QUIET_S, 0
        if left_out:
            record.left_out = left_out
        return True


class PausableFlow(FlowControl):
    """uvicorn reads on whenever the app asks for more. Not where what was read already waits: it would pile up."""

    held = False

    def resume_reading(self) -> None:
        if not self.held:
            super().resume_reading()


class Dates:
    """The field `Date` of answers, made when somebody is answered. uvicorn makes it each second, asked or not."""

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
    fast_path: ClassVar[FastPath | None] = None  #: the short way, where there is one
    _on_express = False  #: a request that went the short way is not answered yet
    _ahead = b""  #: what came before that answer
    _leaving = False  #: the server stops: the next answer is the last
    _over = False  #: the sender will say no more
    _answered = False  #: a request was answered just now
    _waits = False  #: for its turn
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
        """The class of connections whose ordinary webhooks go that way."""

        class WithFastPath(cls):  # type: ignore[valid-type,misc]  # mypy knows no class that is a variable
            fast_path = path
            turns = FairShare()

        return WithFastPath

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]  # as in uvicorn
        full = len(self.connections) >= most_open()
        super().connection_made(transport)
        self.flow = PausableFlow(transport)
        if full:
            self._turn_away()
            return
        self._due = self.loop.call_later(_HEAD_WITHIN_S, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._on_express:
            self._ahead += data
            self.flow.pause_reading()
        elif self._waits:
            self.conn.receive_data(data)  # after what is there already
        elif self.fast_path is not None and self._is_between() and self.fast_path.offer(data, self, self.loop):
            self._on_express = True
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

    def eof_received(self) -> bool:  # type: ignore[override]  # uvicorn hangs up on whoever says no more
        """True: what was asked is answered, and then it is closed."""
        self._over = True
        return self._owes() or self._waits

    def on_response_complete(self) -> None:
        self.flow.held = self._waits
        self._answered = True
        super().on_response_complete()
        self._answered = False
        if not self.transport.is_closing():
            self._set_timers()
            self._close_if_over()

    def shutdown(self) -> None:
        if self._on_express:
            self._leaving = True
        elif not self.transport.is_closing():
            super().shutdown()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's text is replaced by ours
        self._end("400 Bad Request", "bad_request", self.conn.fault)

    def use_slow_path(self, data: bytes) -> None:
        """The short way is not for this: it goes the long one, also where its sender will say no more."""
        self._on_express = False
        if self.transport.is_closing():
            return
        super().data_received(data)
        if self._leaving:
            self.shutdown()
        self._go_on()

    def send_answer(self, answer: AlertAnswer) -> None:
        """Answer what went the short way."""
        self._on_express = False
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
        """For a turn: there is more here than was answered or read in this one."""
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
        return False  # and nothing is logged of it: anybody can ask

    def _is_between(self) -> bool:
        """Whether everything that came so far is answered, and the answers are read."""
        return self._is_idle() and not self.flow.write_paused

    def _is_idle(self) -> bool:
        return not self._waits and self.conn.their_state is h11.IDLE and not self.conn.waits

    def _owes(self) -> bool:
        """Whether all of a request is here and nothing of its answer is sent. A stream that has begun is not owed."""
        cycle = self.cycle
        return self._on_express or (cycle is not None and not cycle.more_body and not cycle.response_started)

    def _close_if_over(self) -> None:
        if self._over and not self._owes() and not self._waits:
            self.transport.close()

    def _set_timers(self) -> None:
        """For what is waited for now: a head, the rest of a body that nobody wants, or the next request."""
        answered = self.cycle is not None and self.cycle.response_complete
        if not (self.conn.waits or (answered and self.conn.their_state is h11.SEND_BODY)):
            self._stop_waiting()
        elif self._due is None:
            self._due = self.loop.call_later(_HEAD_WITHIN_S, self._give_up)
        if self._is_idle() and self.timeout_keep_alive_task is None:
            after_s = self.timeout_keep_alive
            self.timeout_keep_alive_task = self.loop.call_later(after_s, self.timeout_keep_alive_handler)

    def _turn_away(self) -> None:
        # Through uvicorn's logger, which the server keeps from telling each of a flood.
        self.logger.warning("Too many connections are open; more are turned away.")
        message = "Too many connections are open. Nothing was done; send it again."
        self._end("503 Service Unavailable\r\nretry-after: 5", "busy", message)

    def _end(self, status: str, code: str, message: str) -> None:
        """Answer, unless that could be taken for a part of another answer, and hang up."""
        answered = False
        if self.conn.in_body:
            answered = self.cycle.response_started
            self.cycle.disconnected = True  # whatever the app is about to send comes too late
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
