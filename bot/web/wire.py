"""HTTP/1.1 as uvicorn and httptools read it, with what they leave out: a limit to connections, one to the size of a
request's head and of its trailers, one to the time a head may take, and RFC 9112's rule of exactly one Host.

Without the limits one stranger could take every descriptor or fill the memory.
"""

from __future__ import annotations

import logging
import resource
import secrets
from asyncio import TimerHandle, Transport
from enum import Enum, auto
from time import monotonic
from typing import ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from bot.web.answers import CLOSE, Answer
from bot.web.cork import Cork
from bot.web.errors import error_body
from bot.web.express import HOST, Express, in_bytes

_MOST_FILES = 65536
_MOST_HEAD = 32 * 1024
_HEAD_WITHIN_S = 10.0
_QUIET_S = 1.0
_TOO_LARGE = "The head of a request holds at most 32 KiB. Nothing was done."
_TRAILERS = "A body may hold at most 32 KiB that is not content, one after the other. Nothing was done."
#: Old probes of balancers speak HTTP/1.0 and name no host.
_PROBES = frozenset({b"/livez", b"/readyz"})


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


class Seldom(logging.Filter):
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


class _Part(Enum):
    """Of what the next byte is."""

    BETWEEN = auto()
    HEAD = auto()
    BODY = auto()


class Wire(HttpToolsProtocol):
    """One connection."""

    express: ClassVar[Express | None] = None  #: the short way, where there is one
    _on_express = False  #: a request that went the short way is not answered yet
    _ahead = b""  #: what came before that answer
    _leaving = False  #: the server stops: the next answer is the last
    _part = _Part.BETWEEN
    _useful = False  #: in this read a head ended, a message ended, or content came
    _barren = 0  #: bytes since the last read that was useful
    _head_due: TimerHandle | None = None
    _why = "This is not a valid HTTP request. Nothing was done."

    @classmethod
    def with_short_way(cls, short_way: Express | None) -> type[Wire]:
        """The class of connections whose ordinary webhooks go that way."""

        class Shortened(cls):  # type: ignore[valid-type,misc]  # mypy knows no class that is a variable
            express = short_way

        return Shortened

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]  # as in uvicorn
        full = len(self.connections) >= most_open()
        self._cork = Cork(transport, self.loop)
        super().connection_made(self._cork)
        if full:
            self._turn_away()
            return
        self._head_due = self.loop.call_later(_HEAD_WITHIN_S, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_arrived()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._on_express:
            self._ahead += data
            self.flow.pause_reading()
            return
        if self.express is not None and self._is_between() and self.express.offer(data, self, self.loop):
            self._on_express = True
            self._barren = 0
            self._head_arrived()
            self._unset_keepalive_if_required()
            return
        self._go_long(data)

    def _go_long(self, data: bytes) -> None:
        self._useful = False
        super().data_received(data)
        if self.transport.is_closing():
            return
        # The parser does not say where in a read a message ended, so what follows the end counts from the next read.
        self._barren = 0 if self._useful else self._barren + len(data)
        if self._barren > _MOST_HEAD:
            self._why = _TRAILERS if self._part is _Part.BODY else _TOO_LARGE
            self.send_400_response("")
        elif self._head_due is None and self._awaits_head():
            self._head_due = self.loop.call_later(_HEAD_WITHIN_S, self._give_up)

    def on_message_begin(self) -> None:
        self._part = _Part.HEAD
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        # A trailer comes when the head is long judged: it must not be taken for a part of that, nor be kept.
        if self._part is not _Part.BODY:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._useful = True
        self._head_arrived()
        # A name raised here reaches nobody: the parser turns it into an error of its own, answered below.
        if len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > _MOST_HEAD:
            self._why = _TOO_LARGE
            raise ValueError(self._why)
        hosts = [value for name, value in self.headers if name == b"host"]
        if not self._is_old_probe(hosts) and (len(hosts) != 1 or HOST.fullmatch(hosts[0]) is None):
            self._why = "Send one Host header with a name and, if need be, a port. Nothing was done."
            raise ValueError(self._why)
        super().on_headers_complete()
        self._part = _Part.BODY

    def on_body(self, body: bytes) -> None:
        self._useful = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._useful = True
        self._part = _Part.BETWEEN
        super().on_message_complete()

    def shutdown(self) -> None:
        if self._on_express:
            self._leaving = True
        else:
            super().shutdown()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's text is replaced by ours
        self._end("400 Bad Request", "bad_request", self._why)

    def _is_between(self) -> bool:
        """Whether everything that came so far is answered, and the answers are read."""
        answered = self.cycle is None or self.cycle.response_complete
        return self._part is _Part.BETWEEN and answered and not self.flow.write_paused

    def refuse(self, data: bytes) -> None:
        """The short way is not for this: it goes the long one, also where its sender will say no more."""
        self._on_express = False
        if self.parser is None:  # the connection is lost
            return
        self._go_long(data)
        if self._leaving:
            super().shutdown()
        self._go_on()

    def tell(self, answer: Answer) -> None:
        """Answer what went the short way."""
        self._on_express = False
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        last = (CLOSE,) if self._leaving else ()
        self._cork.send(in_bytes(answer, *self.server_state.default_headers, *last))
        if self._leaving:
            self.transport.close()
            return
        self._unset_keepalive_if_required()
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)
        self._go_on()

    def _go_on(self) -> None:
        if self._ahead and not self.transport.is_closing():
            data, self._ahead = self._ahead, b""
            self.flow.resume_reading()
            self.data_received(data)

    def _turn_away(self) -> None:
        # Through uvicorn's logger, which the server keeps from telling each of a flood.
        self.logger.warning("Too many connections are open; more are turned away.")
        said = "Too many connections are open. Nothing was done; send it again."
        self._end("503 Service Unavailable\r\nretry-after: 5", "busy", said)

    def _end(self, status: str, code: str, said: str) -> None:
        """Answer, unless that could be taken for a part of another answer or for one, and hang up."""
        cycle = self.cycle
        unanswered = cycle is not None and not cycle.response_complete
        if not self.pipeline and not (unanswered and (cycle.response_started or self._part is not _Part.BODY)):
            body = error_body(code, said, secrets.token_hex(8))
            head = (
                f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\n"
                f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
            )
            self.transport.write(head.encode() + body)
        self.transport.close()

    def _is_old_probe(self, hosts: list[bytes]) -> bool:
        return not hosts and self.parser.get_http_version() == "1.0" and self.url.partition(b"?")[0] in _PROBES

    def _awaits_head(self) -> bool:
        """Whether a head has begun; line ends between two messages count as one that does not come."""
        return self._part is _Part.HEAD or (self._part is _Part.BETWEEN and not self._useful)

    def _head_arrived(self) -> None:
        if self._head_due is not None:
            self._head_due.cancel()
            self._head_due = None

    def _give_up(self) -> None:
        self.transport.close()
