"""The intake's HTTP edge under the real server on a free loopback port, with a store of its own in memory."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from types import TracebackType
from typing import Self

import uvicorn
from pydantic import SecretStr

from bot.core.alert import AlertBatch
from bot.core.errors import Rejected
from bot.core.source import Source
from bot.integrations.alertmanager.source import AlertmanagerSource
from bot.web.alert_answers import IntakeReceipt
from bot.web.alerts import AlertsEndpoint, BodyLimits, token_digest
from bot.web.alerts_fast_path import FastPath
from bot.web.http_protocol import HttpProtocol
from tests.web.web_house import wait_for

TOKEN = "token-of-alertmanager"
NEXT_TOKEN = "token-that-comes-next"
OTHER_TOKEN = "token-of-another-receiver"


@dataclass(frozen=True)
class Stored:
    accepted: int
    code: str = "accepted"
    incidents: tuple[int, ...] = ()


@dataclass
class Ledger:
    """Stores and quarantines like the intake: calls back in the loop's thread, never before it has returned."""

    taken: list[AlertBatch] = field(default_factory=list)
    kept: list[tuple[str, bytes, str]] = field(default_factory=list)
    alarms: list[tuple[str, str]] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)  #: of those, in the same order
    broken: Exception | None = None  #: what every commit fails with
    held: list[Callable[[], object]] | None = None  #: where commits wait to be let go, when a list
    firing: set[str] = field(default_factory=set)

    def take(self, delivered: AlertBatch, done: Callable[[IntakeReceipt | Exception], None]) -> None:
        outcome = self.broken or self._stored(delivered)
        loop = asyncio.get_running_loop()
        if self.held is None:
            loop.call_soon(done, outcome)
        else:
            self.held.append(lambda: loop.call_soon_threadsafe(done, outcome))

    def keep(
        self, source: str, body: bytes, rejected: Rejected, done: Callable[[IntakeReceipt | Exception], None]
    ) -> None:
        if self.broken is None:
            self.kept.append((source, body, rejected.code))
        asyncio.get_running_loop().call_soon(done, self.broken or Stored(0, "set_aside", (1,)))

    def alarm(self, source: str, code: str, request_id: str, address: str) -> None:
        assert request_id, "what is refused has a name in the log"
        self.alarms.append((source, code))
        self.addresses.append(address)

    def _stored(self, delivered: AlertBatch) -> Stored:
        if delivered.body in [before.body for before in self.taken]:
            return Stored(0, "duplicate", (1,))
        started = {one.fingerprint for one in delivered.alerts if one.firing}
        known = self.firing & {one.fingerprint for one in delivered.alerts}
        if delivered.alerts and not started and not known:
            return Stored(0, "nothing_to_resolve")
        self.firing |= started
        self.taken.append(delivered)
        return Stored(len(delivered.alerts), incidents=(1,))


class Clumsy:
    """A source with a bug in it."""

    name = "clumsy"

    def read(self, headers: Mapping[str, str], body: bytes) -> AlertBatch:
        raise ZeroDivisionError(f"{headers['content-type']} {len(body)}")


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def said(self) -> dict[str, object]:
        value = json.loads(self.body)
        assert isinstance(value, dict)
        return value

    @property
    def error(self) -> dict[str, str]:
        """The error's fields, after a check of their shape."""
        value = self.said["error"]
        assert isinstance(value, dict)
        assert set(value) == {"code", "message", "request_id"}
        assert all(value.values())
        assert self.headers["content-type"] == "application/json"
        return value


class _InOneGo:
    """A socket that sends all of a request with one write, as Alertmanager does with an ordinary one."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._held = b""

    def sendall(self, data: bytes) -> None:
        self._held += data

    def makefile(self, mode: str) -> object:
        self._line.sendall(self._held)
        return self._line.makefile(mode)  # type: ignore[call-overload]  # "rb", from http.client

    def close(self) -> None:
        self._line.close()


class EdgeHouse:
    """`in_one_go`: requests are sent with one write, so that ordinary ones take the fast path; else head, then body."""

    def __init__(
        self,
        *,
        within: timedelta = timedelta(seconds=10),
        in_one_go: bool = False,
        keep_alive_s: int = 5,
        more: Mapping[str, Source] | None = None,
    ) -> None:
        """`more`: further sources, by name; their token is Alertmanager's."""
        self.ledger = Ledger()
        sources: dict[str, Source] = {
            "alertmanager": AlertmanagerSource(lambda: datetime.now(UTC)),
            "clumsy": Clumsy(),
            "other": AlertmanagerSource(lambda: datetime.now(UTC)),
            **(more or {}),
        }
        held = {name: [TOKEN] for name in sources}
        held |= {"alertmanager": [TOKEN, NEXT_TOKEN], "other": [OTHER_TOKEN]}
        tokens = {name: [token_digest(SecretStr(token)) for token in given] for name, given in held.items()}
        ledger = self.ledger
        self.app = AlertsEndpoint(
            sources,
            tokens,
            submit=ledger.take,
            quarantine=ledger.keep,
            on_refused=ledger.alarm,
            limits=BodyLimits(deadline=within),
        )
        config = uvicorn.Config(
            self.app,
            http=HttpProtocol.with_fast_path(FastPath(self.app)),
            loop="uvloop",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            timeout_keep_alive=keep_alive_s,
        )
        self._in_one_go = in_one_go
        self._server = uvicorn.Server(config)
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._door.getsockname()[1]
        self._thread = threading.Thread(target=self._server.run, args=([self._door],), name="edge")

    def __enter__(self) -> Self:
        self._thread.start()
        wait_for(lambda: self._server.started)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.begin_to_stop()
        self._thread.join(60)
        self._door.close()
        self.app.stop()
        assert not self._thread.is_alive()

    def begin_to_stop(self) -> None:
        self._server.should_exit = True

    def post(
        self, body: bytes, headers: Mapping[str, str | None] | None = None, *, path: str = "/alerts/alertmanager"
    ) -> Answer:
        """Send as Alertmanager does; a header of None is left out."""
        return self.send("POST", path, body, headers)

    def send(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str | None] | None = None
    ) -> Answer:
        sent = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json", **(headers or {})}
        line = HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            if self._in_one_go:
                line.connect()
                line.sock = _InOneGo(line.sock)
            line.request(method, path, body, {name: value for name, value in sent.items() if value is not None})
            answer = line.getresponse()
            return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
        finally:
            line.close()

    def speak(self, *pieces: bytes) -> bytes:
        """Send these bytes on a new connection; returns everything received until it is closed."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as line:
            for piece in pieces:
                line.sendall(piece)
            heard = bytearray()
            with suppress(ConnectionResetError):  # how it hangs up on what it has not read
                while piece := line.recv(65536):
                    heard += piece
            return bytes(heard)
