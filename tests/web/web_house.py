"""A bot with its real store, intake, dispatcher, console and web server on a free loopback port; without chats."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

import httpx
from pydantic import SecretStr
from sqlalchemy import create_engine
from sqlmodel import SQLModel
from starlette.responses import PlainTextResponse
from uvicorn.server import ServerState

from bot.access.unauthenticated import UnauthenticatedRequests
from bot.alerts.classification import AlertRules
from bot.alerts.intake import Intake
from bot.app.build_chatops import build_chatops
from bot.config.access import PersonSettings
from bot.config.settings import Settings
from bot.core.alert import Alert, AlertBatch, Severity
from bot.core.backup import Backups
from bot.core.channel import Channel
from bot.core.incident import Committed, EventType
from bot.core.message import MessageKind, Subscription
from bot.core.request import Principal
from bot.integrations.console.channel import Console
from bot.integrations.console.settings import ConsoleSettings
from bot.lib.metrics import Metrics, OutboxSize
from bot.notifications.card import CardSettings
from bot.oncall.duties import Duties
from bot.store import tables
from bot.store.audit_seals import Sealer
from bot.store.engine import Store
from bot.store.flagger_gates import FlaggerGates
from bot.store.views import Reader
from bot.web.event_stream import FeedSignal
from bot.web.flagger_gates import GateClients
from bot.web.health import Check
from bot.web.http_protocol import HttpProtocol
from bot.web.server import Server, build_web

TOKEN = "a-token-of-the-api"
LOCAL = Principal(id="local", name="local", roles=frozenset({"admin"}))

#: A chat that never delivers, so that the board has waiting messages to show.
MUTE = Subscription(
    name="slack", kinds=frozenset({MessageKind.CARD, MessageKind.LINE}), event_types=frozenset(EventType)
)

_Found = TypeVar("_Found")


def wait_for(found: Callable[[], _Found], within_s: float = 60.0) -> _Found:
    """What `found` returns as soon as that is true; AssertionError when it is not in time."""
    deadline = time.monotonic() + within_s
    while not (value := found()):
        assert time.monotonic() < deadline, f"did not become true within {within_s} s"
        threading.Event().wait(0.005)
    return value


class WebHouse:
    """Use as a context manager. `people` maps (place, account) to persons; default: the operator at the keyboard."""

    def __init__(
        self,
        folder: Path,
        *,
        people: Mapping[tuple[str, str], Principal] | None = None,
        channels: Mapping[str, Channel] | None = None,
        checks: Mapping[str, Check] | None = None,
        owed: Callable[[], Iterable[OutboxSize]] | None = None,
        public_url: str = "http://127.0.0.1:8080",
        console: bool = True,
        api_token: str | None = None,
        port: int = 0,
        cards: CardSettings | None = None,
        backups: Callable[[Store], Backups] | None = None,
        duties: Duties | None = None,
    ) -> None:
        self._begun = datetime.now(UTC) - timedelta(minutes=4)
        self._bearer = {"Authorization": f"Bearer {api_token}"} if api_token else {}
        self.store = _open_store(folder)
        self.bell = FeedSignal()
        self.meters = Metrics()
        self.strangers = UnauthenticatedRequests(self.store, self.meters)
        self.intake = Intake(
            self.store, rules=AlertRules(severities=_SEVERITIES), subscriptions=[MUTE], on_commit=self._ring
        )
        house = build_chatops(
            Settings(people=tuple(_listed(people or {}))),
            self.store,
            channels={},
            subscriptions=[MUTE],
            on_commit=self._ring,
            seal=Sealer(self.store).seal_now,
            take=self.intake.take,
        )
        self.dispatcher = house.dispatcher
        self.console = Console(ConsoleSettings())
        self.console.print_line = self.bell.send_line
        self.console.start(self.dispatcher)
        self._server = Server(
            build_web(
                alerts=PlainTextResponse("the intake's own app\n"),
                store=self.store,
                channels={**(channels or {}), **({"console": self.console} if console else {})},
                checks=checks if checks is not None else {"store": self._look},
                channel_checks={name: channel.health_problem for name, channel in (channels or {}).items()},
                outbox_sizes=owed or (lambda: ()),
                meters=self.meters,
                on_refused=self.strangers.count,
                feed_signal=self.bell,
                flagger=GateClients(answer=FlaggerGates(self.store).answer),
                public_url=public_url,
                api_token=SecretStr(api_token) if api_token else None,
                version="0.1.0",
                cards=cards,
                backups=backups(self.store) if backups else None,
                duties=duties,
                who_approves=house.who_approves,
            )
        )
        self.url = ""
        self._listen = f"127.0.0.1:{port}"
        self.http = httpx.Client()

    def __enter__(self) -> Self:
        self.intake.start()
        self.url = self._server.bind(self._listen)
        self._server.start()
        self.http.close()
        # A connection each: after a proxy header, requests on a connection are no longer local.
        self.http = httpx.Client(base_url=self.url, trust_env=False, limits=httpx.Limits(max_keepalive_connections=0))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.http.close()
        self.stop()
        self.intake.stop()
        self.store.close()

    def stop(self) -> None:
        """The web alone; a second call does nothing."""
        self._server.stop(timedelta(seconds=5))

    @property
    def alive(self) -> bool:
        return self._server.alive()

    @property
    def port(self) -> int:
        return urlsplit(self.url).port or 0

    def connections(self) -> list[HttpProtocol]:
        """The connections that are open now."""
        return [one for one in list(self._web.connections) if isinstance(one, HttpProtocol)]

    def under_way(self) -> int:
        """How many requests are being answered."""
        return len(self._web.tasks)

    def answered(self) -> int:
        """How many requests were answered so far."""
        return self._web.total_requests

    def answered_while(self, act: Callable[[], object]) -> int:
        before = self.answered()
        act()
        return self.answered() - before

    @property
    def _web(self) -> ServerState:
        running = self._server._running
        assert running is not None, "the server runs"
        return running.server_state

    def fire(self, name: str = "DiskFull", *, severity: str = "critical", firing: bool = True, **labels: str) -> int:
        """Store one alert through the intake; returns its incident's id."""
        told = {"alertname": name, "severity": severity, **labels}
        where = labels.get("instance", "db-1")
        notes = {"summary": f"{name} on {where}", "runbook_url": f"https://runbooks.internal/{name}"}
        alert = Alert(
            source="alertmanager",
            group=f"{{}}:{{alertname={name!r}}}",
            fingerprint=f"{name}-{sorted(labels.items())}"[:64],
            firing=firing,
            labels=told,
            annotations=notes,
            starts_at=self._begun,
            ends_at=None if firing else datetime.now(UTC),
            link=labels.get("link", ""),
        )
        self.take(alert)
        with self.store.read() as seen:
            return next(one.id for one in seen.incidents(limit=200) if one.key == alert.group)

    def take(self, *alerts: Alert) -> None:
        """All of them in one delivery, until they are committed."""
        done = threading.Event()
        results: list[object] = []

        def hear(result: object) -> None:
            results.append(result)
            done.set()

        delivered = AlertBatch(source="alertmanager", group=alerts[0].group, alerts=alerts)
        self.intake.take(delivered, hear)
        assert done.wait(60), "the intake did not answer"
        assert not isinstance(results[0], Exception), results[0]

    def page(self) -> dict[str, str]:
        """The header with the page's key, as a person at this machine gets it with the page."""
        found = re.search(r'<meta name="vakhta-page" content="([\w-]{43})"', self.http.get("/").text)
        assert found, "the page carries no key"
        return {"X-Vakhta-Page": found[1]}

    def own_page(self) -> dict[str, str]:
        """All headers that the console requires."""
        return {"Origin": self.url, **self.page()}

    def say(self, words: str, **more: object) -> httpx.Response:
        """Send a command as the board's own page does."""
        return self.http.post("/console", json={"words": words, **more}, headers=self.own_page())

    def incident(self, incident_id: int) -> dict[str, Any]:
        found: dict[str, Any] = self.http.get(f"/api/incidents/{incident_id}", headers=self._bearer).json()
        return found

    def read(self, look: Callable[[Reader], _Found]) -> _Found:
        with self.store.read() as seen:
            return look(seen)

    def _ring(self, _: Committed) -> None:
        self.bell.notify()

    def _look(self) -> str | None:
        with self.store.read() as seen:
            seen.ping()
        return None


def _open_store(folder: Path) -> Store:
    assert tables.IncidentRow.metadata is tables.PlanRow.metadata  # imported for their effect on it
    url = f"sqlite:///{folder / 'vakhta.db'}"
    maker = create_engine(url)
    SQLModel.metadata.create_all(maker)
    maker.dispose()
    store = Store(url)
    with store.begin():
        pass  # the first connection brings the file to its log, as migrating does; two at once lock each other out
    return store


_SEVERITIES = {severity.value: severity for severity in Severity}


def _listed(people: Mapping[tuple[str, str], Principal]) -> Iterator[PersonSettings]:
    for (place, account), one in people.items():
        roles = tuple(sorted(one.roles))
        if place == "console":
            yield PersonSettings(id=account, name=one.name, roles=roles)
        else:
            yield PersonSettings.model_validate({"id": one.id, "name": one.name, "roles": roles, place: account})
