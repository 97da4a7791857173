"""Slack's Socket Mode on a real websocket: hello, envelopes, and an ack for each of them exactly once."""

from __future__ import annotations

import itertools
import json
import socket
import threading
from collections.abc import Callable

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import Server, ServerConnection, serve

from tests.fakes.slack_speech import Spoken


class FakeSocket:
    """Tells what it does not expect to `fault`."""

    def __init__(self, fault: Callable[[str], None]) -> None:
        self.open_ones: list[ServerConnection] = []
        self.opened = 0  #: how many connections there ever were
        self.acks: dict[str, object] = {}  #: envelope id -> the payload that came with its ack
        self._fault = fault
        self._sent: dict[str, Spoken] = {}
        self._tickets: set[str] = set()
        self._count = itertools.count(1)
        self._lock = threading.Lock()
        self._server: Server | None = None
        self._thread: threading.Thread | None = None

    def open(self) -> None:
        self._server = serve(self._serve, "127.0.0.1", 0, ping_interval=None)
        self._thread = threading.Thread(target=self._server.serve_forever, name="fake-socket", daemon=True)
        self._thread.start()

    def close(self) -> None:
        assert self._server is not None
        assert self._thread is not None
        self.end_all()
        self._server.shutdown()
        self._thread.join(60)
        for envelope in self._sent.keys() - self.acks.keys():
            self._fault(f"{envelope} was never acknowledged")

    def invite(self) -> str:
        """An address that opens one connection, once."""
        assert self._server is not None
        with self._lock:
            ticket = f"t{next(self._count)}"
            self._tickets.add(ticket)
        return f"ws://127.0.0.1:{self._server.socket.getsockname()[1]}/link/?ticket={ticket}"

    def send(self, envelope: str, spoken: Spoken) -> None:
        """Through the newest connection."""
        told = {"envelope_id": envelope, "type": spoken.kind, "payload": spoken.payload, "retry_attempt": 0}
        with self._lock:
            self._sent[envelope] = spoken
            newest = self.open_ones[-1]
        newest.send(json.dumps(told | {"accepts_response_payload": spoken.kind != "events_api"}))

    def end_all(self) -> None:
        """The server ends every connection in good order."""
        for connection in list(self.open_ones):
            connection.close()

    def cut_all(self) -> None:
        """Every connection ends without a close frame, as when a proxy between dies."""
        for connection in list(self.open_ones):
            connection.socket.shutdown(socket.SHUT_RDWR)

    def _serve(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        ticket = connection.request.path.rpartition("ticket=")[2]
        with self._lock:
            known = ticket in self._tickets
            self._tickets.discard(ticket)
        if not known:
            self._fault(f"a socket was opened with the ticket {ticket!r}, which is used or unknown")
            return
        connection.send(json.dumps({"type": "hello", "num_connections": 1}))
        with self._lock:
            self.open_ones.append(connection)
            self.opened += 1
        try:
            for told in connection:
                self._take_ack(json.loads(told))
        except ConnectionClosed:
            return  # Aborted rather than closed; it is the same to the fake.
        finally:
            with self._lock:
                self.open_ones.remove(connection)

    def _take_ack(self, told: dict[str, object]) -> None:
        envelope = str(told.get("envelope_id"))
        spoken = self._sent.get(envelope)
        if spoken is None or envelope in self.acks:
            self._fault(f"an ack for {envelope}, which was not sent or was acknowledged before")
        elif spoken.kind == "events_api" and told.get("payload"):
            self._fault("an event was answered with a payload")
        self.acks[envelope] = told.get("payload")
