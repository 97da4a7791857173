"""The endpoints beside the API: raw HTTP, webhooks of chats, health, metrics, and a stop that answers first."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bot.core.channel import WebhookResponse
from bot.core.errors import Rejected
from bot.lib.metrics import OutboxSize
from bot.web import http_protocol
from bot.web.health import HealthEndpoint
from tests.web.edges import Ears, SlowEars, error_of, refusals, refuses, speak
from tests.web.web_house import WebHouse, wait_for

pytestmark = pytest.mark.waits


@pytest.fixture(scope="module")
def slack() -> Ears:
    return Ears("slack")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, slack: Ears) -> Iterator[WebHouse]:
    owed = [OutboxSize(channel="slack", count=3, oldest_s=12.5)]
    with WebHouse(tmp_path_factory.mktemp("api"), channels={"slack": slack}, owed=lambda: owed) as house:
        yield house


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        (b"GET /livez HTTP/1.1\r\n\r\n", b"one Host"),
        (b"GET /livez HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", b"one Host"),
        (b"GET /livez HTTP/1.1\r\nHost: a/b@c\r\n\r\n", b"one Host"),
        (b"GET /livez HTTP/1.1\r\nHost: \r\n\r\n", b"one Host"),
        (b"GET /livez HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 65536 + b"\r\n\r\n", b"32 KiB"),
        (b"GET /livez HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 65536, b"32 KiB"),
        (b"GET /" + b"x" * 65536 + b" HTTP/1.1\r\nHost: a\r\n\r\n", b"32 KiB"),
        (b"GET /livez HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 40000 + b"\r\n", b"32 KiB"),
        (
            b"POST /in/slack HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            b"not a valid",
        ),
        (b"POST /in/slack HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", b"not a valid"),
        (b"POST /in/slack HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", b"not a valid"),
        (b"\x16\x03\x01\x02\x00\x01\x00", b"not a valid"),
        (b"GET / HTTP/9.9\r\nHost: a\r\n\r\n", b"not a valid"),
    ],
)
def test_what_is_not_http_is_400_and_the_server_stays_up(house: WebHouse, sent: bytes, why: bytes) -> None:
    answer = speak(house.port, sent)

    assert answer.startswith(b"HTTP/1.1 400 "), answer[:200]
    assert why in answer
    assert b'"request_id"' in answer
    assert house.http.get("/livez").status_code == 200


def test_a_chat_gets_its_bytes_as_they_were_sent_and_answers_as_it_likes(house: WebHouse, slack: Ears) -> None:
    slack.next = WebhookResponse(status=202, body=b"challenge", content_type="text/plain")

    answer = house.http.post("/in/slack", content=b"payload=%7B%7D", headers={"X-Slack-Signature": "v0=ab"})

    headers, body = slack.heard[-1]
    assert (answer.status_code, answer.content) == (202, b"challenge")
    assert answer.headers["content-type"] == "text/plain"
    assert headers["x-slack-signature"] == "v0=ab"
    assert body == b"payload=%7B%7D"


@pytest.mark.parametrize("name", ["telegram", "pagerduty", "console", "..%2fslack", "irc"])
def test_a_chat_that_is_not_set_up_is_404(house: WebHouse, name: str) -> None:
    answer = house.http.post(f"/in/{name}", content=b"{}")

    assert answer.status_code == 404
    error_of(answer)


def test_what_a_chat_refuses_is_told_in_its_own_words_and_counted(house: WebHouse, slack: Ears) -> None:
    slack.next = Rejected("The signature does not fit.", code="bad_signature", status=401)
    before = refusals(house, "slack")

    answer = house.http.post("/in/slack", content=b"x")

    assert answer.status_code == 401
    assert error_of(answer)["message"] == "The signature does not fit."
    assert refusals(house, "slack") == before + 1


def test_a_chat_that_breaks_is_503_so_that_it_is_sent_again(house: WebHouse, slack: Ears) -> None:
    slack.next = RuntimeError("secret detail")

    answer = house.http.post("/in/slack", content=b"x")

    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "5"
    assert error_of(answer)["code"] == "not_done"
    assert "secret detail" not in answer.text


def test_a_large_body_is_refused_before_it_is_held(house: WebHouse, slack: Ears) -> None:
    slack.next = WebhookResponse(body=b"taken")
    heard = len(slack.heard)

    declared = speak(house.port, b"POST /in/slack HTTP/1.1\r\nHost: a\r\nContent-Length: 524289\r\n\r\n")
    chunked = house.http.post("/in/slack", content=(b"x" * 65536 for _ in range(32)))
    allowed = house.http.post("/in/slack", content=b"x" * 512 * 1024)

    assert declared.startswith(b"HTTP/1.1 413 ")
    assert chunked.status_code == 413
    assert error_of(chunked)["code"] == "too_large"
    assert allowed.status_code == 200
    assert len(slack.heard) == heard + 1


def test_the_scrape_tells_what_is_owed_and_what_was_refused(house: WebHouse) -> None:
    house.http.get("/api/incidents", headers={"Authorization": "Bearer no"})

    answer = house.http.get("/metrics")

    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert 'vakhta_delivery_owed{channel="slack"} 3.0' in answer.text
    assert 'vakhta_oldest_owed_seconds{channel="slack"} 12.5' in answer.text
    assert 'vakhta_auth_failures_total{place="api"}' in answer.text
    assert "vakhta_store_up 1.0" in answer.text


def test_ready_is_said_with_every_check(house: WebHouse) -> None:
    answer = house.http.get("/readyz")

    assert answer.status_code == 200
    assert answer.json() == {"ready": True, "checks": {"store": "ok"}, "channels": {"slack": "ok"}}


def test_alerts_reach_the_intake_untouched(house: WebHouse) -> None:
    answer = house.http.post("/alerts/anything")

    assert answer.text == "the intake's own app\n"


def test_a_chat_that_is_down_is_shown_and_does_not_keep_alerts_away(house: WebHouse, slack: Ears) -> None:
    slack.ill = "invalid_auth"

    answer = house.http.get("/readyz")

    assert (answer.status_code, answer.json()["channels"]) == (200, {"slack": "invalid_auth"})


def test_with_the_store_gone_it_lives_is_not_ready_and_says_which_check(tmp_path: Path) -> None:
    checks = {"store": lambda: "the database does not answer", "slack": lambda: None, "disk": broken_check}
    with WebHouse(tmp_path, checks=checks, owed=broken) as house:
        house.store.close()
        (tmp_path / "vakhta.db").rename(tmp_path / "elsewhere.db")

        live, ready, scrape = (house.http.get(path) for path in ("/livez", "/readyz", "/metrics"))
        listed = house.http.get("/api/incidents")

    assert live.status_code == 200
    assert ready.status_code == 503
    told = {
        "store": "the database does not answer",
        "slack": "ok",
        "disk": "failed; see the log",
    }
    assert ready.json() == {"ready": False, "checks": told, "channels": {}}
    assert "vakhta_store_up 0.0" in scrape.text
    assert listed.status_code == 503
    assert error_of(listed)["code"] == "store_down"


def test_what_is_noted_is_told_and_decides_nothing() -> None:
    with ThreadPoolExecutor(2) as threads:
        health = HealthEndpoint({"store": lambda: None}, notes={"file": lambda: "damaged: event"}, threads=threads)
        answer = asyncio.run(health.ready())

    assert answer.status_code == 200
    assert json.loads(bytes(answer.body))["notes"] == {"file": "damaged: event"}


def test_a_check_that_hangs_is_a_fault_and_is_not_started_again() -> None:
    hang, started = threading.Event(), []

    def stuck() -> str | None:
        started.append(1)
        hang.wait(60)
        return None

    with ThreadPoolExecutor(2) as threads:
        health = HealthEndpoint({"disk": stuck}, threads=threads, within_s=0.02)

        first, second = asyncio.run(health.ready()), asyncio.run(health.ready())
        hang.set()

    assert (first.status_code, second.status_code) == (503, 503)
    assert b"no answer within 0.02 s" in first.body
    assert started == [1]


@pytest.mark.parametrize("sent", [b"", b"GET /livez HTT", b"GET /livez HTTP/1.1\r\nHost: a\r\nX-Slow: "])
def test_a_head_that_does_not_come_is_not_waited_for(
    house: WebHouse, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr("bot.web.http_protocol._HEAD_WITHIN_S", 0.05)

    answer = speak(house.port, sent)

    assert answer == b""


def test_a_body_that_does_not_come_is_408(house: WebHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.web.request_body._WITHIN_S", 0.05)

    answer = speak(house.port, b"POST /in/slack HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")

    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"too_slow" in answer
    assert b"connection: close" in answer


def test_requests_that_follow_on_one_connection_are_all_answered(house: WebHouse) -> None:
    one = b"GET /livez HTTP/1.1\r\nHost: a\r\n"
    with socket.create_connection(("127.0.0.1", house.port), timeout=60) as line:
        line.sendall(one + b"\r\n" + one)
        line.sendall(b"\r\n" + one + b"Connection: close\r\n\r\n")

        answers = b"".join(iter(lambda: line.recv(65536), b""))

    assert answers.count(b"HTTP/1.1 200 OK") == 3


def test_a_stop_answers_first_what_is_under_way(tmp_path: Path) -> None:
    slow = SlowEars("slack")
    with WebHouse(tmp_path, channels={"slack": slow}) as house, ThreadPoolExecutor(2) as threads:
        asked = threads.submit(house.http.post, "/in/slack", content=b"x")
        assert slow.entered.wait(60)

        stopped = threads.submit(house.stop)
        wait_for(lambda: refuses(house.port))
        slow.go_on.set()

        assert asked.result(60).content == b"taken"
        stopped.result(60)
        assert not house.alive


def test_the_end_of_the_server_is_told_also_to_whoever_asks_after_it(tmp_path: Path) -> None:
    told, told_at_once = threading.Event(), threading.Event()
    with WebHouse(tmp_path) as house:
        house._server.when_ended(told.set)
        before = told.is_set()
        house.stop()
        house._server.when_ended(told_at_once.set)

    assert (before, told.is_set(), told_at_once.is_set()) == (False, True, True)


def test_an_answer_is_dated_when_it_is_given_and_not_before(house: WebHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    dated = []
    for second in (1_700_000_000, 1_700_000_000.9, 1_700_003_600):
        monkeypatch.setattr(http_protocol, "time", lambda at=second: at)
        dated.append(house.http.get("/livez").headers["date"])

    assert dated == ["Tue, 14 Nov 2023 22:13:20 GMT"] * 2 + ["Tue, 14 Nov 2023 23:13:20 GMT"]


def broken_check() -> str | None:
    raise OSError("secret detail")


def broken() -> list[OutboxSize]:
    raise OSError("no such database")
