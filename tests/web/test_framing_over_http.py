"""One framing for everybody, over real sockets: a body is as long as it says, whatever it looks like; what can be read
in two ways is refused and nothing after it is read; and whoever has asked is answered before it is closed."""

from __future__ import annotations

import json
import re
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from bot.core.channel import WebhookResponse
from tests.alerts.alerts_of import alert, body
from tests.fakes.pagerduty import ROUTING_KEY, FakePagerDuty
from tests.running import TOKEN as BOT_TOKEN
from tests.running import Vakhta
from tests.web.edge_house import TOKEN, EdgeHouse
from tests.web.edges import Ears, SlowEars
from tests.web.web_house import WebHouse, wait_for

pytestmark = pytest.mark.waits

UPGRADES = [
    b"",
    b"Upgrade: h2c\r\nConnection: Upgrade\r\n",
    b"Connection: upgrade\r\n",
    b"Upgrade: websocket\r\nConnection: Upgrade\r\n",
]
#: As `java.net.http.HttpClient` sends every first request of a connection that is not encrypted.
JDK = b"Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQB\r\nUpgrade: h2c\r\n"
SMUGGLED = b"POST /in/slack HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\nsmuggled"
LAST = b"GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


@pytest.fixture(scope="module")
def slack() -> Ears:
    return Ears("slack")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, slack: Ears) -> Iterator[WebHouse]:
    with WebHouse(tmp_path_factory.mktemp("framing"), channels={"slack": slack}) as house:
        yield house


@pytest.fixture(scope="module")
def running() -> Iterator[EdgeHouse]:
    with EdgeHouse() as house:
        yield house


@pytest.fixture
def edge(running: EdgeHouse) -> EdgeHouse:
    """The running edge with an empty ledger."""
    vars(running.ledger).update(vars(type(running.ledger)()))
    return running


@pytest.mark.parametrize("upgrade", UPGRADES)
@pytest.mark.parametrize("path", [b"/livez", b"/nothing", b"/in/nobody"])
def test_a_request_in_the_body_of_another_is_never_one(
    house: WebHouse, slack: Ears, upgrade: bytes, path: bytes
) -> None:
    slack.heard.clear()
    body = b"\r\n" * 150_000 + SMUGGLED
    head = b"POST %b HTTP/1.1\r\nHost: a\r\n%bContent-Length: %d\r\n\r\n" % (path, upgrade, len(body))

    answers = told(house.port, head + body + LAST)

    assert answers.count(b"HTTP/1.1 ") == 2
    assert answers.count(b"HTTP/1.1 200 ") == 1
    assert slack.heard == []


def test_words_in_the_body_of_another_request_are_not_said_on_the_console(house: WebHouse) -> None:
    number = house.fire("Smuggled")
    before = house.incident(number)
    words = json.dumps({"words": f"ack {number}"}).encode()
    own = f"Host: 127.0.0.1:{house.port}\r\nOrigin: {house.url}\r\nX-Vakhta-Console: 1\r\n".encode()
    said = b"POST /console HTTP/1.1\r\n%bContent-Length: %d\r\n\r\n%b" % (own, len(words), words)
    body = b"\r\n" * 1000 + said
    head = b"POST /nothing HTTP/1.1\r\nHost: a\r\n%bContent-Length: %d\r\n\r\n" % (UPGRADES[1], len(body))
    with socket.create_connection(("127.0.0.1", house.port), timeout=60) as line:
        line.sendall(head + body[:2000])
        first = line.recv(65536)
        line.sendall(body[2000:] + LAST)

        answers = first + hear(line)

    assert house.incident(number) == before
    assert answers.count(b"HTTP/1.1 ") == 2


@pytest.mark.parametrize("pieces", [1, 2])
@pytest.mark.parametrize("sent", [body(), b"", b"not JSON" * 9000])
def test_an_alert_that_offers_another_protocol_is_stored_or_kept_whole(
    edge: EdgeHouse, sent: bytes, pieces: int
) -> None:
    head = (
        b"POST /alerts/alertmanager HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
        b"Authorization: Bearer %b\r\n%bContent-Length: %d\r\n\r\n" % (TOKEN.encode(), JDK, len(sent))
    )

    whole = (head + sent,) if pieces == 1 else (head, sent)
    answers = edge.speak(*whole, LAST)

    assert re.findall(rb"HTTP/1\.1 (\d+)", answers) == [b"200" if sent == body() else b"400", b"404"]
    assert [one.body for one in edge.ledger.taken] == ([sent] if sent == body() else [])
    assert [kept for _, kept, _ in edge.ledger.kept] == ([] if sent == body() else [sent])


@pytest.mark.parametrize(
    "head",
    [
        b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n",
        b"CONNECT /in/slack HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\n",
        b"POST /in/slack HTTP/2.0\r\nHost: a\r\nContent-Length: 8\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"POST http://b/in/slack HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\n",
        b"POST /in/slack HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        b"POST /in/slack HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 8\r\n\r\n",
        b"POST /in/slack HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST /in/slack HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\nContent-Length: 8\r\n\r\n",
        b"POST /in/slack HTTP/1.1\r\nHost: a\r\nContent-Length: 8, 8\r\n\r\n",
        b"POST /in/slack HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\nAuthorization: a\r\nAuthorization: b\r\n\r\n",
        b"POST /in/slack HTTP/1.1\r\nHost: a\r\nX: y\r\n Content-Length: 8\r\n\r\n",
        b"POST /in/slack HTTP/1.1\r\nHost: a\nContent-Length: 8\r\n\r\n",
        b"POST /in/slack HTTP/1.1\r\nHost: a\r\nX: \x00\r\nContent-Length: 8\r\n\r\n",
        b"POST /in/slack HTTP/1.1\r\nHost: a\r\nContent-Length : 8\r\n\r\n",
    ],
)
def test_what_can_be_read_in_two_ways_is_refused_and_nothing_after_it_is_read(
    house: WebHouse, slack: Ears, head: bytes
) -> None:
    slack.heard.clear()

    answers = told(house.port, head + b"8\r\n12345678\r\n0\r\n\r\n" + SMUGGLED + LAST)

    assert answers.startswith(b"HTTP/1.1 400 ")
    assert answers.count(b"HTTP/1.1 ") == 1
    assert b"connection: close" in answers
    assert slack.heard == []


@pytest.mark.parametrize("path", [b"/in/slack", b"/livez"])
def test_whoever_says_no_more_after_the_request_is_answered(house: WebHouse, slack: Ears, path: bytes) -> None:
    slack.next = WebhookResponse(body=b"taken")
    head = b"POST %b HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nword" % path
    with socket.create_connection(("127.0.0.1", house.port), timeout=60) as line:
        line.sendall(head + LAST.replace(b"Connection: close\r\n", b""))
        line.shutdown(socket.SHUT_WR)

        answers = hear(line)

    assert answers.count(b"HTTP/1.1 ") == 2
    assert answers.endswith(b"alive\n")


@pytest.mark.parametrize("sent", [body(), b"{"])
@pytest.mark.parametrize("more", [b"", b"\r\n", b"junk", b"GET /", b"\x00" * 4096])
@pytest.mark.parametrize("over", [True, False])
def test_an_alert_that_was_whole_is_stored_and_answered_whatever_follows_it(
    edge: EdgeHouse, sent: bytes, more: bytes, *, over: bool
) -> None:
    with socket.create_connection(("127.0.0.1", edge.port), timeout=60) as line:
        line.sendall(webhook(sent) + more)
        if over:
            line.shutdown(socket.SHUT_WR)

        heard = b""
        while not heard.endswith(b"}") and (piece := line.recv(65536)):
            heard += piece
        rest = hear(line) if over else b""

    assert heard.startswith(b"HTTP/1.1 200 " if sent == body() else b"HTTP/1.1 400 ")
    assert (heard + rest).count(b"HTTP/1.1 200 ") == (1 if sent == body() else 0)
    assert len(edge.ledger.taken) + len(edge.ledger.kept) == 1


def test_a_request_that_was_not_whole_when_its_sender_fell_silent_is_nothing(edge: EdgeHouse) -> None:
    with socket.create_connection(("127.0.0.1", edge.port), timeout=60) as line:
        line.sendall(webhook(body())[:-1])
        line.shutdown(socket.SHUT_WR)

        assert hear(line) == b""

    assert edge.post(body(alert(fingerprint="f" * 16))).status == 200
    assert len(edge.ledger.taken) == 1
    assert edge.ledger.kept == []


def test_a_sender_that_has_said_all_is_answered_also_after_a_long_time(tmp_path: Path) -> None:
    slow = SlowEars("slack")
    with (
        WebHouse(tmp_path, channels={"slack": slow}) as house,
        socket.create_connection(("127.0.0.1", house.port), timeout=60) as line,
    ):
        line.sendall(b"POST /in/slack HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx")
        line.shutdown(socket.SHUT_WR)
        assert slow.entered.wait(60)
        slow.go_on.set()

        assert hear(line).endswith(b"taken")


def test_a_sender_that_asks_first_whether_to_send_the_body_is_told_to(edge: EdgeHouse) -> None:
    sent = body()
    head, _, _ = webhook(sent).partition(b"\r\n\r\n")
    with socket.create_connection(("127.0.0.1", edge.port), timeout=60) as line:
        line.sendall(head + b"\r\nExpect: 100-continue\r\n\r\n")
        assert line.recv(65536).startswith(b"HTTP/1.1 100 ")
        line.sendall(sent)

        assert line.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_a_body_that_nobody_waits_for_is_not_waited_for(house: WebHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.web.http_protocol._HEAD_WITHIN_S", 0.05)

    answers = told(house.port, b"POST /nothing HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nx")

    assert answers.startswith(b"HTTP/1.1 404 ")
    assert answers.count(b"HTTP/1.1 ") == 1


def test_after_such_a_body_the_next_request_is_answered_and_the_connection_ends_when_it_is_idle() -> None:
    with EdgeHouse(keep_alive_s=1) as edge, socket.create_connection(("127.0.0.1", edge.port), timeout=60) as line:
        line.sendall(webhook(b"x" * 100, token="no")[:-1])
        assert line.recv(65536).startswith(b"HTTP/1.1 401 ")
        line.sendall(b"x" + webhook(body())[:-1])
        line.sendall(webhook(body())[-1:])

        heard = hear(line)

    assert heard.count(b"HTTP/1.1 200 ") == 1


def test_a_webhook_that_a_proxy_sends_again_after_a_reset_has_one_effect(tmp_path: Path) -> None:
    with FakePagerDuty() as pagerduty:
        channels = {"pagerduty": {"routing_key": ROUTING_KEY, "events_url": pagerduty.url}}
        with Vakhta(tmp_path, channels) as bot:
            bot.start()
            sent = webhook(body(alert(labels={"alertname": "Retried", "severity": "critical"})), token=BOT_TOKEN)
            for cut in (1, len(sent) // 2, len(sent) - 1, len(sent), len(sent)):
                with socket.create_connection(("127.0.0.1", bot.port), timeout=60) as line:
                    line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # close() resets
                    line.sendall(sent[:cut])

            with socket.create_connection(("127.0.0.1", bot.port), timeout=60) as line:
                line.sendall(sent)
                answer = line.recv(65536)

            assert answer.startswith(b"HTTP/1.1 200 ")
            assert wait_for(lambda: pagerduty.became() == ["opened"])
            assert len(bot.incidents()) == 1


def webhook(sent: bytes, *, token: str = TOKEN) -> bytes:
    head = (
        f"POST /alerts/alertmanager HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {token}\r\nContent-Length: {len(sent)}\r\n\r\n"
    )
    return head.encode() + sent


def told(port: int, sent: bytes) -> bytes:
    """Everything answered to these bytes on a new connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as line:
        with suppress(ConnectionError):  # it is refused before all of it is sent
            line.sendall(sent)
        return hear(line)


def hear(line: socket.socket) -> bytes:
    """The bytes received until the other end hangs up."""
    heard = b""
    with suppress(ConnectionResetError):  # how it hangs up on what it has not read
        while piece := line.recv(65536):
            heard += piece
    return heard
