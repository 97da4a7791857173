"""A TCP relay in front of a server, which can fall silent: it keeps its connections open and passes nothing on."""

from __future__ import annotations

import selectors
import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

_CHUNK = 65536


class Relay:
    """Listens at `port`, and passes on to that port of this machine while its context is open."""

    def __init__(self, to: int) -> None:
        self._to = to
        self._door = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._door.getsockname()[1]
        self._pairs: list[_Pair] = []
        self._deaf = False

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, name="relay", daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()
        for pair in self._pairs:
            pair.end()

    def silence(self, *, new: bool = False) -> None:
        """Nothing passes any more on the connections that there are; nor, with `new`, on those that are made later."""
        self._deaf = new
        for pair in list(self._pairs):
            pair.silent = True

    def swallow_answer_to(self, word: bytes) -> None:
        """On the connection that sends this word, it reaches the server, and no answer ever comes back."""
        for pair in list(self._pairs):
            pair.fatal = word

    def speak(self) -> None:
        """Connections that are made from here on pass everything."""
        self._deaf = False

    def silenced(self) -> int:
        """On how many connections something was kept back."""
        return sum(pair.kept_back for pair in self._pairs)

    def _accept(self) -> None:
        with suppress(OSError):  # closed: the test is over
            while True:
                ours, _ = self._door.accept()
                try:
                    theirs = socket.create_connection(("127.0.0.1", self._to), timeout=60)
                except OSError:  # one that the server does not take must not make the relay deaf to all others
                    ours.close()
                    continue
                theirs.settimeout(None)
                pair = _Pair(ours, theirs, silent=self._deaf)
                self._pairs.append(pair)
                threading.Thread(target=pair.pump, name="relay-pair", daemon=True).start()


class _Pair:
    def __init__(self, client: socket.socket, server: socket.socket, *, silent: bool) -> None:
        self._client, self._server = client, server
        self.silent = silent
        self.fatal: bytes | None = None
        self.kept_back = False
        self._over = threading.Event()

    def pump(self) -> None:
        # Not `select`: it knows no descriptor beyond 1,023, of which a long test run has some.
        with suppress(OSError, ValueError), selectors.DefaultSelector() as both:  # one of them is closed
            for side in (self._client, self._server):
                both.register(side, selectors.EVENT_READ, side)
            # A socket that another thread closes says nothing any more, so the end is looked for from time to time.
            while not self._over.is_set() and all(self._pass_on(ready.data) for ready, _ in both.select(0.2)):
                pass
        self.end()

    def _pass_on(self, source: socket.socket) -> bool:
        """False: that side has closed."""
        data = source.recv(_CHUNK)
        if not data:
            return False
        if self.silent:
            self.kept_back = True
            return True
        if source is self._server:
            self._client.sendall(data)
            return True
        self.silent = self.fatal is not None and self.fatal in data
        self._server.sendall(data)
        return True

    def end(self) -> None:
        self._over.set()
        for side in (self._client, self._server):
            with suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)
            side.close()
