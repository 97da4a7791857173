"""One HTTP call with one deadline for all of it: connecting, handshake, headers and body.

The trap: a socket's time-out is for each read. A peer that sends one byte before each time-out holds a thread for ever.
So the connection is shut down at the deadline, whatever it is doing; only the name look-up is not covered. Whether the
deadline has passed is read from the clock: on a busy machine a socket's own time-out may come before the timer thread.
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
    """A context around one call, on one thread; every connection opened in it is shut down after `seconds`."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._over_at = time.monotonic() + seconds
        self._is_over = False
        self._lock = threading.Lock()
        self._opened: list[socket.socket] = []
        self._timer = threading.Timer(seconds, self._shut_down)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._timer.cancel()
        with self._lock:
            opened, self._opened = self._opened, []
        for one in opened:
            one.close()

    @property
    def has_passed(self) -> bool:
        return time.monotonic() >= self._over_at

    def open(self, request: Request, *, proxy: str | None, tls: SSLContext | None) -> HTTPResponse:
        """Like urllib's `urlopen`, within the deadline, which covers reading the response too. `proxy`: a URL.

        Raises:
            ValueError: the address is not http or https; urllib alone would open files as well.
        """
        if request.type not in ("http", "https"):
            raise ValueError("not a web address")
        through = ProxyHandler({"http": proxy, "https": proxy} if proxy else {})
        opener = build_opener(through, _Plain(self), _Secure(self, tls), _NoRedirects())
        answer: HTTPResponse = opener.open(request, timeout=self._seconds)
        return answer

    def connect(self, *where: Any, **how: Any) -> socket.socket:
        """`socket.create_connection` under the deadline. A duplicate is kept, because TLS takes over the socket."""
        made = socket.create_connection(*where, **how)
        with self._lock:
            self._opened.append(made.dup())
            late = self._is_over
        if late:
            self._shut_down()
        return made

    def _shut_down(self) -> None:
        with self._lock:
            self._is_over = True
            for one in self._opened:
                with contextlib.suppress(OSError):  # The peer has closed it already.
                    one.shutdown(socket.SHUT_RDWR)


class _NoRedirects(HTTPRedirectHandler):
    """Slack's API never redirects, and urllib would send the token along."""

    def redirect_request(self, *_: Any) -> None:
        return None


class _Plain(HTTPHandler):
    def __init__(self, deadline: CallDeadline) -> None:
        super().__init__()
        self._deadline = deadline

    def http_open(self, req: Request) -> HTTPResponse:
        def connection(host: str, **how: Any) -> HTTPConnection:
            return _under_deadline(HTTPConnection(host, **how), self._deadline)

        return self.do_open(connection, req)


class _Secure(HTTPSHandler):
    def __init__(self, deadline: CallDeadline, tls: SSLContext | None) -> None:
        super().__init__()
        self._deadline = deadline
        self._tls = tls

    def https_open(self, req: Request) -> HTTPResponse:
        def connection(host: str, **how: Any) -> HTTPConnection:
            return _under_deadline(HTTPSConnection(host, context=self._tls, **how), self._deadline)

        return self.do_open(connection, req)


def _under_deadline(connection: HTTPConnection, deadline: CallDeadline) -> HTTPConnection:
    """Replaces `create_connection` in http.client's own attribute; a proxy's tunnel and TLS come after it."""
    connection._create_connection = deadline.connect  # type: ignore[attr-defined]  # noqa: SLF001
    return connection
