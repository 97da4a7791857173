"""Shared by the tests of the web: a channel that only receives, raw bytes, and a check of error answers."""

from __future__ import annotations

import socket
import threading
from collections.abc import Mapping
from typing import Any

import httpx

from bot.core.channel import Gateway, RateLimit, WebhookResponse
from bot.core.incident import EventType, Incident
from bot.core.message import MessageKind, Notification
from tests.web.web_house import TOKEN, WebHouse


class Ears:
    """A channel that only receives, and answers as the test says."""

    kinds: frozenset[MessageKind] = frozenset()
    event_types: frozenset[EventType] = frozenset()
    limits: tuple[RateLimit, ...] = ()
    threads = 1
    accounts = True
    pages = False
    local = False

    def __init__(self, name: str) -> None:
        self.name = self.title = name
        self.ignores_above = 256 * 1024 if name == "pagerduty" else None
        self.heard: list[tuple[Mapping[str, str], bytes]] = []
        self.next: WebhookResponse | Exception = WebhookResponse(body=b"taken")
        self.ill: str | None = None

    def deliver(self, notice: Notification) -> str | None:
        raise AssertionError(notice.key)

    def receive(self, headers: Mapping[str, str], body: bytes) -> WebhookResponse:
        self.heard.append((headers, body))
        if isinstance(self.next, Exception):
            raise self.next
        return self.next

    def start(self, door: Gateway) -> None: ...

    def stop(self) -> None: ...

    def health_problem(self) -> str | None:
        return self.ill

    def accepts(self, incident: Incident) -> bool:
        raise AssertionError(incident)


class SlowEars(Ears):
    """Receives, and blocks until the test lets it go on."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.entered, self.go_on = threading.Event(), threading.Event()

    def receive(self, headers: Mapping[str, str], body: bytes) -> WebhookResponse:
        self.entered.set()
        assert self.go_on.wait(120)  # longer than a test waits for its answer
        return super().receive(headers, body)


def error_of(answer: httpx.Response) -> dict[str, Any]:
    """The error of an answer, after a check that it has the one shape and reveals nothing internal."""
    body = answer.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"code", "message", "request_id"}
    assert body["error"]["request_id"] == answer.headers["x-request-id"]
    assert "Traceback" not in answer.text
    assert TOKEN not in answer.text
    error: dict[str, Any] = body["error"]
    return error


def speak(port: int, sent: bytes) -> bytes:
    """Send raw bytes; returns what comes back until the server hangs up or the answer is complete."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as line:
        line.sendall(sent)
        answer = b""
        while b"\r\n\r\n" not in answer and (piece := line.recv(65536)):
            answer += piece
        return answer + (line.recv(65536) if b"}" not in answer else b"")


def refusals(house: WebHouse, place: str) -> float:
    return house.meters.registry.get_sample_value("vakhta_auth_failures_total", {"place": place}) or 0.0


def refuses(port: int) -> bool:
    with socket.socket() as line:
        return line.connect_ex(("127.0.0.1", port)) != 0
