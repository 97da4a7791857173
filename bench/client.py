"""The exact generator: raw sockets, every request's own times, with or without a timetable.

With a timetable, latency counts from when a request was due, not from when it could be sent: a stall is seen by every
request that came due in it. `select` is used for its microseconds; epoll's timeouts are rounded up to milliseconds.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

_CHUNK = 65536


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One request's end. Times are seconds of time.monotonic."""

    index: int
    due: float  #: when it was to be sent; when it was sent, where there was no timetable
    sent: float
    ended: float
    status: int  #: 0 when the connection broke before the answer was whole

    @property
    def ms(self) -> float:
        return (self.ended - self.due) * 1000


@dataclass(frozen=True, kw_only=True)
class Due:
    """One request and when to send it; `at` 0: as soon as a connection is free."""

    at: float
    request: bytes


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """Something to do once, from inside the load, at a moment of time.monotonic; nothing is sent afterwards."""

    at: float
    ring: Callable[[], None]


def flood(port: int, requests: Iterable[bytes], *, connections: int, alarm: Alarm | None = None) -> list[Answer]:
    """As fast as the answers come: each connection sends its next request when the last is answered."""
    return _Swarm(port, connections).run((Due(at=0.0, request=request) for request in requests), alarm)


def pace(
    port: int, requests: Iterable[bytes], *, per_s: float, connections: int = 128, until_s: float = 3600.0
) -> list[Answer]:
    """At a fixed rate, whatever the answers do. After `until_s` seconds what is still unsent is given up."""
    begin = time.monotonic() + 0.05
    timetable = (Due(at=begin + n / per_s, request=request) for n, request in enumerate(requests))
    return _Swarm(port, connections).run(timetable, Alarm(at=begin + until_s, ring=lambda: None))


class _Wire:
    """One keep-alive connection with at most one request under way."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=5)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)  # noqa: FBT003 (the socket's own signature)
        self.rest = memoryview(b"")
        self._got = b""
        self.index = -1
        self.due = self.sent = 0.0

    def fileno(self) -> int:
        return self.socket.fileno()

    def hung_up(self) -> bool:
        """Whether the server closed it while it was idle, as servers do after their keep-alive time."""
        try:
            return not self.socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True

    def send(self, index: int, due: Due, now: float) -> None:
        self.index, self.due, self.sent = index, due.at or now, now
        self.rest = memoryview(due.request)
        self._got = b""
        self.push()

    def push(self) -> None:
        """Write what the socket takes."""
        try:
            while self.rest:
                self.rest = self.rest[self.socket.send(self.rest) :]
        except BlockingIOError:
            return
        except OSError:
            self.rest = memoryview(b"")  # The reading side will see the end.

    def pull(self) -> int | None:
        """The status once the answer is whole, None before; 0 when the connection broke."""
        try:
            part = self.socket.recv(_CHUNK)
        except BlockingIOError:
            return None
        except OSError:
            return 0
        if not part:
            return 0
        self._got += part
        head, found, body = self._got.partition(b"\r\n\r\n")
        if not found:
            return None
        return int(head[9:12]) if len(body) >= _length(head) else None


class _Swarm:
    """A set of wires and the loop that serves them."""

    def __init__(self, port: int, connections: int) -> None:
        self._port = port
        self._idle = [_Wire(port) for _ in range(min(connections, 16))]
        self._unopened = connections - len(self._idle)
        self._busy: set[_Wire] = set()
        self._answers: list[Answer] = []

    def run(self, timetable: Iterator[Due], alarm: Alarm | None) -> list[Answer]:
        """Until every request has ended; after the alarm only what is under way is waited for."""
        numbered = enumerate(timetable)
        coming = next(numbered, None)
        try:
            while coming or self._busy:
                if alarm and time.monotonic() >= alarm.at:
                    alarm.ring()
                    alarm = coming = None
                    self._unopened = 0
                    numbered = enumerate(iter(()))
                while coming and self._start(*coming):
                    coming = next(numbered, None)
                self._serve(coming[1] if coming else None, alarm)
        finally:
            for wire in [*self._idle, *self._busy]:
                wire.socket.close()
        return self._answers

    def _start(self, index: int, due: Due) -> bool:
        """Send it if it is due and there is a wire for it."""
        now = time.monotonic()
        if due.at > now:
            return False
        wire = self._free()
        if wire is None:
            return False
        wire.send(index, due, now)
        self._busy.add(wire)
        return True

    def _free(self) -> _Wire | None:
        while self._idle:
            wire = self._idle.pop()
            if not wire.hung_up():
                return wire
            wire.socket.close()
            self._unopened += 1
        if self._unopened < 1:
            return None
        self._unopened -= 1
        return _Wire(self._port)

    def _serve(self, coming: Due | None, alarm: Alarm | None) -> None:
        """Wait for answers, for room to write, for the next request or for the alarm, whichever is first."""
        now = time.monotonic()
        timeout = 1.0
        if coming and (self._idle or self._unopened):
            timeout = min(timeout, max(0.0, coming.at - now))
        if alarm:
            timeout = min(timeout, max(0.0, alarm.at - now))
        writing = [wire for wire in self._busy if wire.rest]
        readable, writable, _ = select.select(list(self._busy), writing, [], timeout)
        for wire in writable:
            wire.push()
        for wire in readable:
            self._end(wire)

    def _end(self, wire: _Wire) -> None:
        status = wire.pull()
        if status is None:
            return
        self._answers.append(
            Answer(index=wire.index, due=wire.due, sent=wire.sent, ended=time.monotonic(), status=status)
        )
        self._busy.discard(wire)
        if status:
            self._idle.append(wire)
            return
        wire.socket.close()
        self._unopened += 1


def _length(head: bytes) -> int:
    """Content-Length; an answer without one would make us wait for ever, so it is an error of the measurement."""
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            return int(value)
    said = f"an answer without Content-Length cannot be measured: {head[:200]!r}"
    raise ValueError(said)
