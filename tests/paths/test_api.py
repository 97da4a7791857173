"""The API and the edges beside it: who may look, what is shown, and that every refusal has one shape."""

from __future__ import annotations

import asyncio
import re
import socket
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from bot.meters import Debt
from bot.model import Kind, Notice, What
from bot.ports import Door, Heard, Limit, Rejected
from bot.web.health import Health
from tests.paths.web_house import TOKEN, WebHouse, wait_for

BEARER = {"Authorization": f"Bearer {TOKEN}"}


class Ears:
    """A channel that only listens, and does what the test says when it hears."""

    kinds: frozenset[Kind] = frozenset()
    wants: frozenset[What] = frozenset()
    limits: tuple[Limit, ...] = ()
    threads = 1

    def __init__(self, name: str) -> None:
        self.name = name
        self.heard: list[tuple[Mapping[str, str], bytes]] = []
        self.next: Heard | Exception = Heard(body=b"taken")

    def deliver(self, notice: Notice) -> str | None:
        raise AssertionError(notice.key)

    def receive(self, headers: Mapping[str, str], body: bytes) -> Heard:
        self.heard.append((headers, body))
        if isinstance(self.next, Exception):
            raise self.next
        return self.next

    def start(self, door: Door) -> None: ...

    def stop(self) -> None: ...


class SlowEars(Ears):
    """Hears, and takes its time until it is told to go on."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.entered, self.go_on = threading.Event(), threading.Event()

    def receive(self, headers: Mapping[str, str], body: bytes) -> Heard:
        self.entered.set()
        assert self.go_on.wait(5)
        return super().receive(headers, body)


@pytest.fixture(scope="module")
def slack() -> Ears:
    return Ears("slack")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, slack: Ears) -> Iterator[WebHouse]:
    owed = [Debt(channel="slack", count=3, oldest_s=12.5)]
    with WebHouse(tmp_path_factory.mktemp("api"), channels={"slack": slack}, owed=lambda: owed) as house:
        yield house


def error_of(answer: httpx.Response) -> dict[str, Any]:
    """The error of a refusal, after a look that it has the one shape and tells nothing of the inside."""
    body = answer.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"code", "message", "request_id"}
    assert body["error"]["request_id"] == answer.headers["x-request-id"]
    assert "Traceback" not in answer.text
    assert TOKEN not in answer.text
    error: dict[str, Any] = body["error"]
    return error


def test_an_incident_is_listed_and_shown_with_its_alerts_story_and_deliveries(house: WebHouse) -> None:
    number = house.fire("Shown", instance="db-7")

    listed = house.http.get("/api/incidents").json()["incidents"][0]
    shown = house.incident(number)

    assert (listed["id"], listed["severity"], listed["status"], listed["firing"]) == (number, "critical", "open", 1)
    assert listed["resolved_at"] is None
    assert set(listed) <= set(shown)
    assert shown["alerts"][0]["labels"]["instance"] == "db-7"
    assert [event["what"] for event in shown["events"]] == ["incident.opened"]
    owed = shown["deliveries"][0]
    assert (owed["channel"], owed["kind"], owed["state"], owed["sent_at"]) == ("slack", "card", "owed", None)
    assert {"owed_at", "attempts", "why_not"} <= set(owed)


def test_pages_of_the_list_join_without_a_gap(house: WebHouse) -> None:
    numbers = {house.fire(f"Paged{turn}") for turn in range(5)}

    first = house.http.get("/api/incidents?limit=3").json()
    second = house.http.get(f"/api/incidents?limit=200&before={first['next']}").json()

    ids = [one["id"] for one in first["incidents"] + second["incidents"]]
    assert len(first["incidents"]) == 3
    assert ids == sorted(ids, reverse=True)
    assert numbers <= set(ids)
    assert second["next"] is None


def test_the_list_can_be_asked_for_one_status(house: WebHouse) -> None:
    number = house.fire("Taken")
    house.say(f"ack {number}")

    open_ = house.http.get("/api/incidents?status=open&limit=200").json()["incidents"]
    taken = house.http.get("/api/incidents?status=acknowledged&limit=200").json()["incidents"]

    assert number not in {one["id"] for one in open_}
    assert [one["owner"] for one in taken if one["id"] == number] == ["local"]


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/api/incidents/999999", 404, "not_found"),
        ("/api/incidents/99999999999999999999999", 422, "not_valid"),
        ("/api/incidents/0", 422, "not_valid"),
        ("/api/incidents/abc", 422, "not_valid"),
        ("/api/incidents?status=closed", 422, "not_valid"),
        ("/api/incidents?limit=201", 422, "not_valid"),
        ("/api/incidents?before=-1", 422, "not_valid"),
        ("/nothing", 404, "not_found"),
        ("/api/", 404, "not_found"),
        ("/api/incidents/", 404, "not_found"),
        ("/pages/..%2f..%2fserver.py", 404, "not_found"),
        ("/pages/board.html", 404, "not_found"),
        ("/in/slack", 405, "method_not_allowed"),
        ("/console", 405, "method_not_allowed"),
    ],
)
def test_what_cannot_be_answered_says_so_in_one_shape(house: WebHouse, path: str, status: int, code: str) -> None:
    answer = house.http.get(path)

    assert answer.status_code == status
    error = error_of(answer)
    assert error["code"] == code
    assert "/api" not in error["message"]
    assert "/readyz" not in error["message"]


def test_a_method_that_is_not_taken_names_those_that_are(house: WebHouse) -> None:
    answer = house.http.delete("/api/incidents")

    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET"


def test_the_right_bearer_may_look_under_any_name_and_through_a_proxy(house: WebHouse) -> None:
    proxied = {"Host": "vakhta.example.com", "X-Forwarded-For": "203.0.113.9"}

    answer = house.http.get("/api/incidents", headers=BEARER | proxied)

    assert answer.status_code == 200


@pytest.mark.parametrize(
    "authorization",
    ["Bearer wrong", "Bearer", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}x", "Bearer eyJhbGciOiJub25lIn0.e30."],
)
def test_a_wrong_bearer_is_refused_even_at_the_machine_itself(house: WebHouse, authorization: str) -> None:
    before = refusals(house, "api")

    answer = house.http.get("/api/incidents", headers={"Authorization": authorization})

    assert answer.status_code == 401
    assert error_of(answer)["code"] == "auth_invalid"
    assert answer.headers["www-authenticate"] == "Bearer"
    assert refusals(house, "api") == before + 1


@pytest.mark.parametrize(
    "header", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "X-Forwarded-Host", "X-Forwarded-Proto", "Via"]
)
@pytest.mark.parametrize("path", ["/", "/incidents/1", "/events", "/api/incidents", "/api/docs", "/api/openapi.json"])
def test_a_request_that_was_forwarded_is_not_from_this_machine(house: WebHouse, header: str, path: str) -> None:
    answer = house.http.get(path, headers={header: "127.0.0.1"})

    assert answer.status_code == 401
    assert error_of(answer)["code"] == "auth_required"


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "10.0.0.1"])
@pytest.mark.parametrize("path", ["/", "/events", "/api/incidents"])
def test_another_name_that_points_here_is_refused(house: WebHouse, host: str, path: str) -> None:
    answer = house.http.get(path, headers={"Host": host})

    assert answer.status_code == 400
    assert error_of(answer)["code"] == "bad_host"


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8080", "127.0.0.1:1", "[::1]:8080", "127.8.8.8"])
def test_a_name_of_this_machine_is_taken(house: WebHouse, host: str) -> None:
    answer = house.http.get("/api/incidents", headers={"Host": host})

    assert answer.status_code == 200


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


def test_the_contract_and_its_page_come_from_the_bot_alone(house: WebHouse) -> None:
    contract = house.http.get("/api/openapi.json").json()
    page = house.http.get("/api/docs")

    assert set(contract["paths"]) == {"/api/incidents", "/api/incidents/{incident_id}"}
    assert "GET /api/incidents/{incident_id}" in page.text
    assert re.findall(r"https?://", page.text) == []
    assert "<script" not in page.text


def test_a_chat_gets_its_bytes_as_they_were_sent_and_answers_as_it_likes(house: WebHouse, slack: Ears) -> None:
    slack.next = Heard(status=202, body=b"challenge", content_type="text/plain")

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
    slack.next = Heard(body=b"taken")
    heard = len(slack.heard)

    declared = speak(house.port, b"POST /in/slack HTTP/1.1\r\nHost: a\r\nContent-Length: 2097152\r\n\r\n")
    chunked = house.http.post("/in/slack", content=(b"x" * 65536 for _ in range(32)))
    allowed = house.http.post("/in/slack", content=b"x" * 1024 * 1024)

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
    assert answer.json() == {"ready": True, "checks": {"store": "ok"}}


def test_alerts_reach_the_intake_untouched(house: WebHouse) -> None:
    answer = house.http.post("/alerts/anything")

    assert answer.text == "the intake's own app\n"


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
        "disk": "failed; the log tells why",
    }
    assert ready.json() == {"ready": False, "checks": told}
    assert "vakhta_store_up 0.0" in scrape.text
    assert listed.status_code == 503
    assert error_of(listed)["code"] == "store_down"


def test_a_check_that_hangs_is_a_fault_and_is_not_started_again() -> None:
    hang, started = threading.Event(), []

    def stuck() -> str | None:
        started.append(1)
        hang.wait(10)
        return None

    with ThreadPoolExecutor(2) as threads:
        health = Health({"disk": stuck}, threads=threads, within_s=0.02)

        first, second = asyncio.run(health.ready()), asyncio.run(health.ready())
        hang.set()

    assert (first.status_code, second.status_code) == (503, 503)
    assert b"no answer within 0.02 s" in first.body
    assert started == [1]


@pytest.mark.parametrize("sent", [b"", b"GET /livez HTT", b"GET /livez HTTP/1.1\r\nHost: a\r\nX-Slow: "])
def test_a_head_that_does_not_come_is_not_waited_for(
    house: WebHouse, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr("bot.web.wire._HEAD_WITHIN_S", 0.05)

    answer = speak(house.port, sent)

    assert answer == b""


def test_a_body_that_does_not_come_is_408(house: WebHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.web.body._WITHIN_S", 0.05)

    answer = speak(house.port, b"POST /in/slack HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")

    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"too_slow" in answer


def test_requests_that_follow_on_one_connection_are_all_answered(house: WebHouse) -> None:
    one = b"GET /livez HTTP/1.1\r\nHost: a\r\n"
    with socket.create_connection(("127.0.0.1", house.port), timeout=5) as line:
        line.sendall(one + b"\r\n" + one)
        line.sendall(b"\r\n" + one + b"Connection: close\r\n\r\n")

        answers = b"".join(iter(lambda: line.recv(65536), b""))

    assert answers.count(b"HTTP/1.1 200 OK") == 3


def test_a_stop_answers_first_what_is_under_way(tmp_path: Path) -> None:
    slow = SlowEars("slack")
    with WebHouse(tmp_path, channels={"slack": slow}) as house, ThreadPoolExecutor(2) as threads:
        asked = threads.submit(house.http.post, "/in/slack", content=b"x")
        assert slow.entered.wait(5)

        stopped = threads.submit(house.stop)
        wait_for(lambda: refuses(house.port))
        slow.go_on.set()

        assert asked.result(5).content == b"taken"
        stopped.result(5)
        assert not house.alive


def refuses(port: int) -> bool:
    with socket.socket() as line:
        return line.connect_ex(("127.0.0.1", port)) != 0


def broken_check() -> str | None:
    raise OSError("secret detail")


def broken() -> list[Debt]:
    raise OSError("no such database")


def speak(port: int, sent: bytes) -> bytes:
    """Raw bytes out, and all that comes back until the server hangs up or has said it all."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as line:
        line.sendall(sent)
        answer = b""
        while b"\r\n\r\n" not in answer and (piece := line.recv(65536)):
            answer += piece
        return answer + (line.recv(65536) if b"}" not in answer else b"")


def refusals(house: WebHouse, place: str) -> float:
    return house.meters.registry.get_sample_value("vakhta_auth_failures_total", {"place": place}) or 0.0
