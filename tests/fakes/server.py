"""A strict HTTP server for fakes: real requests over loopback, everything recorded, nothing forgiven.

A fake says what it does not expect with `fault`; leaving the context raises AssertionError listing every fault, so
that a test cannot pass beside a call that the real platform would have refused.
"""

from __future__ import annotations

import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import parse_qsl, urlsplit

from tests.fakes.calls import Answer, Call, Trouble


class Window:
    """A sliding rate limit: at most `count` in any `per_s` seconds under one key."""

    def __init__(self, count: int, per_s: float) -> None:
        self.count = count
        self.per_s = per_s
        self.refused = 0  #: how many requests were over it
        self._taken: dict[str, deque[float]] = {}
        self._lock = threading.Lock()

    def take(self, key: str) -> float:
        """0 when there is room, which is then taken; else the seconds until there is."""
        with self._lock:
            now = time.monotonic()
            taken = self._taken.setdefault(key, deque())
            while taken and now - taken[0] >= self.per_s:
                taken.popleft()
            if len(taken) < self.count:
                taken.append(now)
                return 0.0
            self.refused += 1
            return self.per_s - (now - taken[0])


class StrictServer:
    """Listens on a free loopback port while its context is open. A fake overrides `answer`."""

    def __init__(self) -> None:
        self.received: list[Call] = []
        self.faults: list[str] = []
        self.ended = threading.Event()
        self._troubles: deque[Trouble] = deque()
        self._lock = threading.RLock()
        self._server: _Listening | None = None
        self._thread: threading.Thread | None = None

    def answer(self, call: Call) -> Answer:
        """What the platform would say. Runs on the request's thread; `self._lock` guards the fake's state."""
        raise NotImplementedError

    @property
    def port(self) -> int:
        assert self._server is not None, "the fake is not open"
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """Without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    def fault(self, said: str) -> None:
        """Record that the other side did what it must not; the context's exit tells it."""
        with self._lock:
            self.faults.append(said)

    def answer_next(
        self,
        *,
        status: int | None = None,
        retry_after: int | None = None,
        body: bytes = b"",
        reset: bool = False,
        hang: bool = False,
        after_effect: bool = False,
        headers: Mapping[str, str] | None = None,
        path: str | None = None,
        times: int = 1,
    ) -> None:
        """Make the next request (whose path ends with `path`) go wrong, `times` times. See `Trouble`."""
        trouble = Trouble(
            status=status,
            retry_after=retry_after,
            body=body,
            reset=reset,
            hang=hang,
            after_effect=after_effect,
            headers=headers or {},
            path=path,
        )
        with self._lock:
            self._troubles.extend([trouble] * times)

    def wait(self, holds: Callable[[], bool], what: str = "the condition", *, within_s: float = 60.0) -> None:
        """Until `holds()`, or AssertionError naming `what`."""
        deadline = time.monotonic() + within_s
        while not holds():
            assert time.monotonic() < deadline, f"{what} did not come true within {within_s} s"
            self.ended.wait(0.005)

    def open(self) -> None:
        """What a fake starts beside the HTTP server; called with the port known."""

    def close(self) -> None:
        """What a fake ends beside the HTTP server."""

    def __enter__(self) -> Self:
        self._server = _Listening(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), name="fake", daemon=True)
        self._thread.start()
        self.open()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        assert self._server is not None
        assert self._thread is not None
        self.ended.set()
        self.close()
        self._server.shutdown()
        self._server.drop_connections()
        self._server.server_close()
        self._thread.join(60)
        if error is None and self.faults:
            raise AssertionError(f"{type(self).__name__} was used wrongly:\n- " + "\n- ".join(self.faults))

    def take_trouble(self, path: str) -> Trouble | None:
        """The trouble that waits for this path, taken off the list."""
        with self._lock:
            for trouble in self._troubles:
                if trouble.path is None or path.endswith(trouble.path):
                    self._troubles.remove(trouble)
                    return trouble
        return None

    def note(self, call: Call) -> None:
        with self._lock:
            self.received.append(call)


class _Listening(ThreadingHTTPServer):
    """Knows its open connections, so that kept-alive clients cannot hold up the end of a test."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, fake: StrictServer) -> None:
        super().__init__(("127.0.0.1", 0), _Request)
        self.fake = fake
        self.connections: set[socket.socket] = set()

    def drop_connections(self) -> None:
        for connection in list(self.connections):
            _drop(connection)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is its own affair; anything else was recorded where it happened."""


class _Request(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Listening
    connection: socket.socket

    def setup(self) -> None:
        super().setup()
        self.server.connections.add(self.connection)

    def finish(self) -> None:
        self.server.connections.discard(self.connection)
        super().finish()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the standard library's name)
        """Silence: `received` is the log."""

    def do_GET(self) -> None:
        self._take()

    do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815 (the standard library's names)

    def _take(self) -> None:
        call = self._read()
        if len(call.body) < int(self.headers.get("Content-Length") or 0):
            # Its sender died within the request; no server takes half of one.
            self.close_connection = True
            return
        fake = self.server.fake
        fake.note(call)
        trouble = fake.take_trouble(call.path)
        if trouble is None:
            self._send(self._ask(call))
            return
        if trouble.after_effect:
            self._ask(call)
        self._go_wrong(trouble)

    def _read(self) -> Call:
        split = urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        asked = parse_qsl(split.query, keep_blank_values=True)
        heads = tuple((name.lower(), value) for name, value in self.headers.items())
        return Call(
            at=time.monotonic(),
            verb=self.command,
            path=split.path,
            query=dict(asked),
            asked=tuple(asked),
            headers=dict(heads),
            heads=heads,
            body=self.rfile.read(length) if length else b"",
        )

    def _ask(self, call: Call) -> Answer:
        try:
            return self.server.fake.answer(call)
        except Exception as error:  # noqa: BLE001 (a broken fake must fail the test, not hang its client)
            self.server.fake.fault(f"{call.verb} {call.path}: the fake broke: {error!r}")
            return Answer(status=500)

    def _go_wrong(self, trouble: Trouble) -> None:
        if trouble.hang:
            self.server.fake.ended.wait(60)
        if trouble.reset or trouble.hang:
            self.close_connection = True
            _drop(self.connection)
            return
        headers = {} if trouble.retry_after is None else {"Retry-After": str(trouble.retry_after)}
        self._send(Answer(status=trouble.status or 500, body=trouble.body, headers={**trouble.headers, **headers}))

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.pieces is not None:
            self._stream(answer.pieces)
            return
        if "Content-Length" not in answer.headers:  # an answer to HEAD tells the length of what GET would have
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def _stream(self, pieces: Iterator[bytes]) -> None:
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for piece in pieces:
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")


def _drop(connection: socket.socket) -> None:
    """Abort: linger 0 turns the close into a reset instead of an orderly end."""
    try:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # The client was quicker.
