"""The fast path of an ordinary webhook: from the bytes of one read to the intake, without a parser or a task.

It accepts one whole POST to `/alerts/`, with each header field once, only the fields listed here, and an ordinary
payload. Everything else, and every doubtful case, takes the slow path (h11, uvicorn, `alerts.py`), which answers every
request. Both paths give the same answers: the tests of the HTTP edge run on both.
"""

from __future__ import annotations

import re
from asyncio import AbstractEventLoop
from collections import deque
from collections.abc import Callable
from http import HTTPStatus
from typing import Protocol

from bot.web.alert_answers import AlertAnswer, Field
from bot.web.alerts import PREFIX, AlertsEndpoint
from bot.web.framing import HOST

_MOST_HEAD = 4096
_BEGINS = b"POST " + PREFIX.encode()
#: Stricter than RFC 9112: one space, no space at the end of a value, nothing but printable ASCII.
_HEAD = re.compile(
    rb"POST (/alerts/[a-z0-9_]{1,64}) HTTP/1\.1"
    rb"((?:\r\n[A-Za-z-]{1,64}: [\x21-\x7e]+(?: +[\x21-\x7e]+)*){1,32})"
)
#: The fields that Alertmanager and proxies send. Only content-length among them affects where the request ends; other
#: fields that affect framing or the connection (transfer-encoding, connection, expect, upgrade) take the slow path.
_KNOWN = frozenset(
    {
        b"host",
        b"authorization",
        b"content-type",
        b"content-length",
        b"user-agent",
        b"accept",
        b"accept-encoding",
        b"traceparent",
        b"tracestate",
        b"baggage",
        b"x-request-id",
        b"x-forwarded-for",
        b"x-forwarded-host",
        b"x-forwarded-port",
        b"x-forwarded-proto",
        b"x-real-ip",
    }
)
_STATUS = {status: f"HTTP/1.1 {status} {status.phrase}\r\n".encode() for status in HTTPStatus}


class FastPathConnection(Protocol):
    """A connection that has offered a request. One of its methods is called, once, in the loop's thread."""

    def send_answer(self, answer: AlertAnswer, /) -> None:
        """Called after the commit."""

    def use_slow_path(self, data: bytes, /) -> None:
        """Called if the request is not an ordinary webhook; nothing has been done."""


class FastPath:
    """Parses the requests that connections offer, and hands them to the intake.

    Offered requests are parsed together, after the loop has read all sockets that are ready. Parsing each one right
    after its read lowered the rate of many connections by a fifth, because the kernel and the other thread fill the
    processor's caches in between.
    """

    def __init__(self, intake: AlertsEndpoint) -> None:
        self._intake = intake
        self._offered: deque[tuple[bytes, FastPathConnection]] = deque()
        self._reading = False
        self._afterwards: list[Callable[[], None]] = []

    def offer(self, data: bytes, connection: FastPathConnection, loop: AbstractEventLoop) -> bool:
        """Whether `data` may be an ordinary webhook. If so, a method of `connection` is called soon."""
        if not data.startswith(_BEGINS):
            return False
        if not self._offered:
            loop.call_soon(self._read_all, loop)
        self._offered.append((data, connection))
        return True

    def after_reading(self, act: Callable[[], None]) -> bool:
        """Whether requests are being parsed now. If so, `act` is called right after them, in the same loop iteration.

        Call it from the loop's thread. Each iteration costs a system call, which is expensive on some machines.
        """
        if self._reading:
            self._afterwards.append(act)
        return self._reading

    def _read_all(self, loop: AbstractEventLoop) -> None:
        self._reading = True
        try:
            self._read_offered(loop)
        finally:
            self._reading = False
            acts, self._afterwards = self._afterwards, []
            for act in acts:
                act()

    def _read_offered(self, loop: AbstractEventLoop) -> None:
        while self._offered:
            data, connection = self._offered.popleft()
            if not self.try_request(data, connection.send_answer):
                loop.call_soon(self._read_all, loop)  # for the others, should `use_slow_path` raise
                connection.use_slow_path(data)
                return

    def try_request(self, data: bytes, send: Callable[[AlertAnswer], None]) -> bool:
        """Whether `data` was an ordinary webhook. If so, `send` is called once, in the loop's thread, after the commit.

        False: nothing was done.
        """
        read = _read(data)
        if read is None:
            return False
        path, headers, body = read
        batch = self._intake.read_ordinary(path, headers, body)
        if batch is None:
            return False
        self._intake.store(batch, headers, send)
        return True


def answer_bytes(answer: AlertAnswer, *more: Field) -> bytes:
    """The HTTP response as bytes."""
    fields = b"".join([b"%b: %b\r\n" % field for field in (*more, *answer.fields)])
    return b"%b%b\r\n%b" % (_STATUS[HTTPStatus(answer.status)], fields, answer.body)


def _read(data: bytes) -> tuple[str, dict[bytes, bytes], bytes] | None:
    """Path, header fields by lower-case name, and body; None if `data` is not exactly one ordinary request."""
    end = data.find(b"\r\n\r\n", 0, _MOST_HEAD)
    head = _HEAD.fullmatch(data, 0, end) if end > 0 else None
    if head is None:
        return None
    lines = head[2].split(b"\r\n")[1:]
    headers = {}
    for line in lines:
        name, _, value = line.partition(b": ")
        headers[name.lower()] = value
    if len(headers) < len(lines) or not headers.keys() <= _KNOWN:
        return None
    if headers.get(b"content-length") != b"%d" % (len(data) - end - 4):
        return None
    if HOST.fullmatch(headers.get(b"host", b"")) is None:
        return None
    return head[1].decode(), headers, data[end + 4 :]
