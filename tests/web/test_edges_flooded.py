"""Limits for senders without a token: connections, memory, threads and log lines; and calls that hang."""

from __future__ import annotations

import errno
import json
import logging
import resource
import socket
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from time import monotonic

import pytest

from bot.core.channel import WebhookResponse
from bot.lib.metrics import OutboxSize
from bot.web import http_protocol
from bot.web.http_protocol import RateLimitedLog, most_open, raise_descriptors
from tests.fakes.pagerduty import ROUTING_KEY, FakePagerDuty
from tests.running import TOKEN, Vakhta
from tests.web.edges import Ears, SlowEars, error_of
from tests.web.web_house import WebHouse, wait_for

pytestmark = pytest.mark.waits

LIVE = b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n"
LAST = LIVE.replace(b"Host", b"Connection: close\r\nHost")
CHUNKED = b" HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
MIB = 2**20


@pytest.fixture(scope="module")
def slack() -> Ears:
    return Ears("slack")


@pytest.fixture(scope="module")
def pager() -> Ears:
    return Ears("pagerduty")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, slack: Ears, pager: Ears) -> Iterator[WebHouse]:
    channels = {"slack": slack, "pagerduty": pager}
    with WebHouse(tmp_path_factory.mktemp("flooded"), channels=channels) as house:
        yield house


def test_a_sender_that_does_not_read_its_answers_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.web.server._UNREAD_MS", 200)
    with WebHouse(tmp_path) as house, socket.socket() as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        line.connect(("127.0.0.1", house.port))
        line.settimeout(0)
        with suppress(BlockingIOError):
            while True:
                line.send(b"GET /pages/board.css HTTP/1.1\r\nHost: a\r\n\r\n" * 50)

        cut_off = wait_for(lambda: line.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))

    assert cut_off in (errno.ECONNRESET, errno.EPIPE)


def test_more_connections_than_there_is_room_for_are_turned_away_and_room_comes_back(
    house: WebHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_protocol, "most_open", lambda: 4)
    with ExitStack() as idle:
        held = [idle.enter_context(knock(house.port)) for _ in range(5)]
        answers = [hear(line, b"alive\n") for line in held]

    room = wait_for(lambda: told(house.port, LAST).startswith(b"HTTP/1.1 200 "))

    assert answers[0].startswith(b"HTTP/1.1 200 ")
    assert answers[-1].startswith(b"HTTP/1.1 503 ")
    assert b'"busy"' in answers[-1]
    assert room


@pytest.mark.parametrize(
    ("soft", "hard", "raised", "most"),
    [
        (1024, 4096, 4096, 2048),
        (1024, resource.RLIM_INFINITY, 65536, 32768),
        (1024, 2**20, 65536, 32768),
        (2048, 2048, 2048, 1024),
        (2**20, 2**20, 2**20, 32768),
        (resource.RLIM_INFINITY, resource.RLIM_INFINITY, resource.RLIM_INFINITY, 32768),
    ],
)
def test_half_of_the_descriptors_that_there_may_be_is_for_connections(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, raised: int, most: int
) -> None:
    now = [(soft, hard)]
    monkeypatch.setattr(resource, "getrlimit", lambda _: now[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: now.append(limits))

    raise_descriptors()

    assert now[-1] == (raised, hard)
    assert most_open() == most


def test_a_stranger_with_more_idle_connections_than_descriptors_keeps_no_page_from_leaving(tmp_path: Path) -> None:
    with FakePagerDuty() as pagerduty, ExitStack() as idle:
        channels = {"pagerduty": {"routing_key": ROUTING_KEY, "events_url": pagerduty.url}}
        bot = idle.enter_context(Vakhta(tmp_path, channels))
        few = "ulimit -n 160; exec " + " ".join((sys.executable, "-m", "bot", "run"))
        bot.start(["sh", "-c", f"{few} --config {tmp_path}/vakhta.yaml"])
        sender = idle.enter_context(knock(bot.port))
        hear(sender, b"alive\n")
        many = [idle.enter_context(knock(bot.port)) for _ in range(200)]
        assert {hear(line, b"alive\n")[:12] for line in many} == {b"HTTP/1.1 200", b"HTTP/1.1 503"}

        sender.sendall(alert("Flooded"))
        answer = hear(sender, b"}")

        assert answer.startswith(b"HTTP/1.1 200 ")
        assert wait_for(lambda: pagerduty.became() == ["opened"])


@pytest.mark.parametrize("path", [b"POST /nothing", b"POST /in/slack", b"GET /livez"])
@pytest.mark.parametrize(
    ("before", "piece"),
    [
        (b"0\r\n", b"x: " + b"a" * 900 + b"\r\n"),
        (b"0\r\nx: ", b"a" * 1000),
        (b"0\r\n", b"a" * 1000),
        (b"1;", b"a" * 1000),
        (b"1;", b"a=b;" * 250),
    ],
)
def test_a_body_that_goes_on_without_content_is_cut_off(
    house: WebHouse, path: bytes, before: bytes, piece: bytes
) -> None:
    with socket.create_connection(("127.0.0.1", house.port), timeout=60) as line:
        line.sendall(path + CHUNKED + before)

        assert is_cut_off(line, piece, after=64 * MIB)


def test_line_ends_for_ever_are_cut_off(house: WebHouse) -> None:
    with knock(house.port) as line:
        assert is_cut_off(line, b"\r\n" * 500, after=64 * MIB)


def test_what_follows_the_body_is_no_header(house: WebHouse, slack: Ears) -> None:
    slack.next = WebhookResponse(body=b"taken")
    body = b"4\r\nbody\r\n0\r\nX-Slack-Signature: v0=late\r\n\r\n"

    answer = told(house.port, b"POST /in/slack" + CHUNKED + body + LAST)

    assert answer.startswith(b"HTTP/1.1 200 ")
    assert slack.heard[-1][1] == b"body"
    assert "x-slack-signature" not in slack.heard[-1][0]


def test_a_large_body_is_no_part_of_the_head_that_follows_it(house: WebHouse, slack: Ears) -> None:
    slack.next = WebhookResponse(body=b"taken")
    large = b"POST /in/slack HTTP/1.1\r\nHost: a\r\nContent-Length: 40000\r\n\r\n" + b"x" * 40000
    with socket.create_connection(("127.0.0.1", house.port), timeout=60) as line:
        line.sendall(large + LAST[:10])
        first = hear(line, b"taken")
        line.sendall(LAST[10:])

        rest = hear(line)

    assert (first + rest).count(b"HTTP/1.1 200 ") == 2


@pytest.mark.parametrize(("path", "status"), [("/livez", 200), ("/readyz", 200), ("/api/incidents", 400), ("/", 400)])
def test_an_old_probe_need_not_name_a_host(house: WebHouse, path: str, status: int) -> None:
    answer = told(house.port, f"GET {path} HTTP/1.0\r\n\r\n".encode())

    assert answer.startswith(f"HTTP/1.1 {status} ".encode())


def test_junk_writes_one_line_a_second_that_tells_of_the_rest(
    house: WebHouse, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = monotonic() + 60.0
    monkeypatch.setattr(http_protocol, "monotonic", lambda: now)
    for _ in range(20):
        told(house.port, b"junk\r\n\r\n")
    now += 1.0

    told(house.port, b"junk\r\n\r\n")

    lines = [vars(record).get("left_out") for record in caplog.records if "Invalid HTTP" in record.getMessage()]
    assert len(lines) == 2
    assert lines[-1] == 19


def test_what_is_broken_is_always_told() -> None:
    seldom = RateLimitedLog()
    error = logging.LogRecord("uvicorn.error", logging.ERROR, "", 0, "broken", (), None)

    assert [seldom.filter(error) for _ in range(3)] == [True, True, True]


def test_a_database_that_hangs_takes_nothing_but_what_is_read_from_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.web.incidents_api._WITHIN_S", 0.3)
    free = threading.Event()
    with WebHouse(tmp_path, checks={}) as house, ThreadPoolExecutor(45) as readers:
        read = house.store.read

        def hang() -> object:
            free.wait(120)  # longer than anybody in this test waits
            return read()

        monkeypatch.setattr(house.store, "read", hang)
        listed = [readers.submit(house.http.get, "/api/incidents", timeout=60) for _ in range(45)]
        wait_for(lambda: any(one.done() for one in listed))
        others = [
            house.http.get(path, timeout=60).status_code for path in ("/livez", "/", "/pages/board.js", "/readyz")
        ]
        refused = {(one.result().status_code, error_of(one.result())["code"]) for one in listed}
        free.set()

        again = wait_for(lambda: house.http.get("/api/incidents").status_code == 200)

    assert others == [200, 200, 200, 200]
    assert refused == {(503, "store_down")}
    assert again


def test_a_scrape_does_not_wait_for_a_database_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.web.metrics._WITHIN_S", 0.05)
    free, asked = threading.Event(), []

    def hang() -> list[OutboxSize]:
        asked.append(1)
        free.wait(120)  # longer than anybody in this test waits
        return []

    with WebHouse(tmp_path, owed=hang) as house:
        scrapes = [house.http.get("/metrics", timeout=60).text for _ in range(20)]
        free.set()

    assert all("vakhta_store_up 0.0" in text for text in scrapes)
    assert asked == [1]


def test_bodies_of_strangers_are_counted_before_they_are_held(house: WebHouse, slack: Ears, pager: Ears) -> None:
    slack.next = pager.next = WebhookResponse(body=b"taken")
    stalled = b"POST /in/slack HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n12345678"
    with ExitStack() as held:
        for _ in range(64):
            held.enter_context(knock(house.port, stalled))
        refused = wait_for(lambda: busy(house, "/in/slack"))
        other = house.http.post("/in/pagerduty", content=b"x")

    room = wait_for(lambda: not busy(house, "/in/slack"))

    assert (refused, room) == (True, True)
    assert other.status_code == 200


def test_a_chat_that_hangs_holds_up_no_other(tmp_path: Path, pager: Ears) -> None:
    pager.next = WebhookResponse(body=b"taken")
    slack = SlowEars("slack")
    with WebHouse(tmp_path, channels={"slack": slack, "pagerduty": pager}) as house, ThreadPoolExecutor(10) as threads:
        asked = [threads.submit(house.http.post, "/in/slack", content=b"x") for _ in range(10)]
        assert slack.entered.wait(60)

        other = house.http.post("/in/pagerduty", content=b"x", timeout=60)
        slack.go_on.set()

        assert other.content == b"taken"
        assert {one.result().content for one in asked} == {b"taken"}


def test_row_78_a_webhook_too_large_to_be_one_is_taken_and_does_nothing(house: WebHouse, pager: Ears) -> None:
    pager.next = WebhookResponse(status=202, body=b"taken")
    heard = len(pager.heard)

    most, more = (house.http.post("/in/pagerduty", content=b"x" * size) for size in (256 * 1024, 256 * 1024 + 1))

    assert (most.status_code, most.content) == (202, b"taken")
    assert (more.status_code, more.content) == (202, b"too large; ignored")
    assert len(pager.heard) == heard + 1
    labels = {"channel": "pagerduty", "outcome": "ignored"}
    assert house.meters.registry.get_sample_value("vakhta_inbound_total", labels) == 1


@contextmanager
def knock(port: int, sent: bytes = LIVE) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=60) as line:
        line.sendall(sent)
        yield line


def hear(line: socket.socket, last: bytes | None = None) -> bytes:
    """The bytes received until they end so, or until the other end hangs up."""
    heard = b""
    with suppress(ConnectionResetError):  # how it hangs up on what it has not read
        while (last is None or not heard.endswith(last)) and (piece := line.recv(65536)):
            heard += piece
    return heard


def told(port: int, sent: bytes) -> bytes:
    """Everything answered to these bytes on a new connection."""
    with knock(port, sent) as line:
        return hear(line)


def is_cut_off(line: socket.socket, piece: bytes, *, after: int) -> bool:
    """Whether the other end hangs up before that many bytes are sent."""
    many = piece * (MIB // len(piece))
    try:
        for _ in range(after // len(many)):
            line.sendall(many)
    except ConnectionError:
        return True
    return False


def busy(house: WebHouse, path: str) -> bool:
    answer = house.http.post(path, content=b"x")
    return answer.status_code == 503 and error_of(answer)["code"] == "busy"


def alert(name: str) -> bytes:
    """A request of Alertmanager's."""
    one = {
        "status": "firing",
        "labels": {"alertname": name, "severity": "critical"},
        "startsAt": "2026-11-23T03:00:00Z",
    }
    body = json.dumps({"version": "4", "groupKey": name, "status": "firing", "alerts": [one]}).encode()
    head = f"POST /alerts/alertmanager HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {TOKEN}\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
