"""One HTTP call with one deadline for all of it: connecting, handshake, head and body.

The trap: a socket's time-out is for each read. A peer that sends one byte before each ends holds a thread for as long
as it likes. So the connection is cut when the time is over, whatever it is doing. (Only looking up a name is outside.)
That it is over is read from the clock: on a busy machine a socket's own time-out is quicker than the thread that cuts.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from ssl import SSLContext
from types import TracebackType
from typing import Any, Self
from urllib.request import HTTPHandler, HTTPRedirectHandler, HTTPSHandler, ProxyHandler, Request, build_opener


class CallDeadline:
    """A context around one call, on one thread; everything it opened is dead once `seconds` have gone by."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._over_at = time.monotonic() + seconds
        self._cut_off = False
        self._lock = threading.Lock()
        self._opened: list[socket.socket] = []
        self._watch = threading.Timer(seconds, self._cut)
        self._watch.daemon = True

    def __enter__(self) -> Self:
        self._watch.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._watch.cancel()
        with self._lock:
            opened, self._opened = self._opened, []
        for one in opened:
            one.close()

    @property
    def has_passed(self) -> bool:
        return time.monotonic() >= self._over_at

    def open(self, request: Request, *, proxy: str | None, tls: SSLContext | None) -> HTTPResponse:
        """Like urllib's `urlopen`, within the deadline, and so is reading what it returns. `proxy`: a URL.

        Raises:
            ValueError: the address is none of the web's; urllib alone would open files as well.
        """
        if request.type not in ("http", "https"):
            raise ValueError("not a web address")
        through = ProxyHandler({"http": proxy, "https": proxy} if proxy else {})
        opener = build_opener(through, _Plain(self), _Secure(self, tls), _Stay())
        answer: HTTPResponse = opener.open(request, timeout=self._seconds)
        return answer

    def connect(self, *where: Any, **how: Any) -> socket.socket:
        """`socket.create_connection`, watched. A duplicate is kept, because TLS takes the socket itself over."""
        made = socket.create_connection(*where, **how)
        with self._lock:
            self._opened.append(made.dup())
            late = self._cut_off
        if late:
            self._cut()
        return made

    def _cut(self) -> None:
        with self._lock:
            self._cut_off = True
            for one in self._opened:
                with contextlib.suppress(OSError):  # The peer was quicker.
                    one.shutdown(socket.SHUT_RDWR)


class _Stay(HTTPRedirectHandler):
    """Slack's API moves nobody, and urllib would carry the token along."""

    def redirect_request(self, *_: Any) -> None:
        return None


class _Plain(HTTPHandler):
    def __init__(self, deadline: CallDeadline) -> None:
        super().__init__()
        self._deadline = deadline

    def http_open(self, req: Request) -> HTTPResponse:
        def connection(host: str, **how: Any) -> HTTPConnection:
            return _watched(HTTPConnection(host, **how), self._deadline)

        return self.do_open(connection, req)


class _Secure(HTTPSHandler):
    def __init__(self, deadline: CallDeadline, tls: SSLContext | None) -> None:
        super().__init__()
        self._deadline = deadline
        self._tls = tls

    def https_open(self, req: Request) -> HTTPResponse:
        def connection(host: str, **how: Any) -> HTTPConnection:
            return _watched(HTTPSConnection(host, context=self._tls, **how), self._deadline)

        return self.do_open(connection, req)


def _watched(connection: HTTPConnection, deadline: CallDeadline) -> HTTPConnection:
    """http.client's own place to put another `create_connection`; a proxy's tunnel and TLS come after it."""
    connection._create_connection = deadline.connect  # type: ignore[attr-defined]  # noqa: SLF001
    return connection
