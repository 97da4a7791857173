"""The fast path of an ordinary webhook: what takes it, and that its answers are those of the slow path.

test_alerts.py and test_alert_bodies.py check that both paths give the same answers to everything: they run on each.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from bot.core.alert import AlertBatch
from bot.integrations.alertmanager.source import AlertmanagerSource
from bot.web.alert_answers import AlertAnswer, IntakeReceipt
from bot.web.alerts import AlertsEndpoint, token_digest
from bot.web.alerts_fast_path import FastPath
from tests.alerts.alerts_of import alert, body
from tests.web.edge_house import TOKEN, EdgeHouse, Stored
from tests.web.web_house import wait_for

pytestmark = pytest.mark.waits

HEAD = (
    b"POST /alerts/alertmanager HTTP/1.1\r\nHost: localhost:8080\r\nUser-Agent: Alertmanager/0.28.1\r\n"
    b"Content-Length: %d\r\nAuthorization: Bearer " + TOKEN.encode() + b"\r\nContent-Type: application/json\r\n\r\n"
)


def webhook(sent: bytes = body()) -> bytes:
    return HEAD % len(sent) + sent


class Ways:
    """A fast path on an intake that stores at once; `taken` and `told` are its batches and answers."""

    def __init__(self) -> None:
        self.taken: list[AlertBatch] = []
        self.told: list[AlertAnswer] = []
        intake = AlertsEndpoint(
            {"alertmanager": AlertmanagerSource(lambda: datetime.now(UTC))},
            {"alertmanager": [token_digest(SecretStr(TOKEN))]},
            submit=self._store,
            quarantine=self._never,
            on_refused=self._never,
        )
        self._fast_path = FastPath(intake)

    def take(self, data: bytes) -> bool:
        return self._fast_path.try_request(data, self.told.append)

    def _store(self, delivered: AlertBatch, done: Callable[[IntakeReceipt | Exception], None]) -> None:
        self.taken.append(delivered)
        done(Stored(1))

    def _never(self, *_: object) -> None:
        raise AssertionError("the fast path does nothing that it does not finish")


def test_what_alertmanager_sends_on_an_ordinary_day_goes_the_short_way() -> None:
    ways = Ways()

    assert ways.take(webhook())
    assert [one.body for one in ways.taken] == [body()]
    assert [answer.status for answer in ways.told] == [200]


def test_what_is_to_follow_the_reading_comes_once_at_its_end_and_in_the_same_turn_of_the_loop() -> None:
    ways = Ways()
    fast_path = ways._fast_path
    order: list[object] = []

    class Line:
        def send_answer(self, answer: AlertAnswer) -> None:
            order.append(answer.status)
            if order == [200]:
                assert fast_path.after_reading(lambda: order.append("woken"))

        def use_slow_path(self, data: bytes) -> None:
            raise AssertionError(data)

    async def offer_two() -> None:
        loop = asyncio.get_running_loop()
        for line in (Line(), Line()):
            assert fast_path.offer(webhook(), line, loop)
        loop.call_soon(order.append, "the loop's next turn")
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    asyncio.run(offer_two())

    assert order == [200, 200, "woken", "the loop's next turn"]
    assert not fast_path.after_reading(lambda: order.append("never"))


@pytest.mark.parametrize(
    ("was", "sent"),
    [
        (b"POST", b"PUT"),
        (b"/alerts/alertmanager", b"/alerts/nagios"),
        (b"/alerts/alertmanager", b"/alerts/alertmanager?a=b"),
        (b"/alerts/alertmanager", b"/alerts/%61lertmanager"),
        (b"HTTP/1.1", b"HTTP/1.0"),
        (b"Host: localhost:8080\r\n", b""),
        (b"Host: localhost:8080", b"Host: local host"),
        (b"Host: localhost:8080", b"Host: a\r\nHost: b"),
        (b"Host: localhost:8080", b"Host : localhost"),
        (b"Host: localhost:8080", b"Host:localhost"),
        (b"Host: localhost:8080", b"Host: localhost\r\n folded"),
        (b"Host: localhost:8080", b"Host: localhost\nX-Real-Ip: 1"),
        (b"Host: localhost:8080", b"Host: localhost\r"),
        (b"User-Agent: Alertmanager/0.28.1", b"User-Agent: caf\xc3\xa9"),
        (b"User-Agent: Alertmanager/0.28.1", b"User-Agent: \x00"),
        (b"User-Agent: Alertmanager/0.28.1", b"Connection: close"),
        (b"User-Agent: Alertmanager/0.28.1", b"Connection: content-length"),
        (b"User-Agent: Alertmanager/0.28.1", b"Transfer-Encoding: chunked"),
        (b"User-Agent: Alertmanager/0.28.1", b"Transfer-Encoding: identity"),
        (b"User-Agent: Alertmanager/0.28.1", b"Expect: 100-continue"),
        (b"User-Agent: Alertmanager/0.28.1", b"Upgrade: h2c"),
        (b"User-Agent: Alertmanager/0.28.1", b"Content-Encoding: gzip"),
        (b"User-Agent: Alertmanager/0.28.1", b"X-Unheard-Of: 1"),
        (b"User-Agent: Alertmanager/0.28.1", b"Content-Length: 1"),
        (b"User-Agent: Alertmanager/0.28.1", b"A: " + b"b" * 4096),
        (b"Content-Length: ", b"Content-Length: 0"),
        (b"Content-Length: ", b"Content-Length: +"),
        (b"Content-Length: ", b"Content-Length: 1"),
        (b"application/json", b"text/plain"),
        (TOKEN.encode(), b"no"),
        (b"Authorization: Bearer", b"Authorization: Basic"),
        (b'"version":"4"', b'"version":"3"'),
        (b"{", b"["),
    ],
)
def test_whatever_is_unusual_goes_the_long_way(was: bytes, sent: bytes) -> None:
    ways = Ways()
    usual = webhook()
    assert was in usual

    assert not ways.take(usual.replace(was, sent, 1))
    assert (ways.taken, ways.told) == ([], [])


@pytest.mark.parametrize("cut", [-1, 1])
def test_a_part_of_a_request_or_more_than_one_goes_the_long_way(cut: int) -> None:
    ways = Ways()

    assert not ways.take(webhook()[:-1] if cut < 0 else webhook() + b"P")
    assert ways.taken == []


@settings(max_examples=300)
@given(st.binary(max_size=40), st.integers(0, len(webhook())), st.integers(0, 8))
def test_no_bytes_break_it(junk: bytes, at: int, over: int) -> None:
    usual = webhook()

    Ways().take(usual[:at] + junk + usual[at + over :])


@pytest.fixture(scope="module")
def edge() -> Iterator[EdgeHouse]:
    with EdgeHouse() as house:
        yield house


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(1, len(webhook()) - 1), sent=st.sampled_from([body(), body(alert(status="resolved"))]))
def test_one_write_or_two_make_no_difference_to_the_answer(edge: EdgeHouse, cut: int, sent: bytes) -> None:
    answers = []
    for pieces in ([webhook(sent)], [webhook(sent)[:cut], webhook(sent)[cut:]]):
        vars(edge.ledger).update(vars(type(edge.ledger)()))
        answers.append(ask(edge, *pieces))

    assert answers[0] == answers[1]


def ask(edge: EdgeHouse, *pieces: bytes) -> tuple[bytes, list[bytes], bytes]:
    """Status line, header fields without the time, and body of one answer on a connection that stays open."""
    with socket.create_connection(("127.0.0.1", edge.port), timeout=60) as line:
        for piece in pieces:
            line.sendall(piece)
        return read(line)


def test_the_server_gives_ordinary_webhooks_to_the_fast_path(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[bool] = []
    usual = FastPath.try_request

    def noted(self: FastPath, data: bytes, tell: Callable[[AlertAnswer], None]) -> bool:
        taken.append(usual(self, data, tell))
        return taken[-1]

    monkeypatch.setattr(FastPath, "try_request", noted)
    with EdgeHouse() as edge:
        status, _, _ = ask(edge, webhook())

    assert status == b"HTTP/1.1 200 OK"
    assert taken == [True]


def read(line: socket.socket) -> tuple[bytes, list[bytes], bytes]:
    heard = b""
    while b"\r\n\r\n" not in heard:
        heard += line.recv(65536)
    head, _, sent = heard.partition(b"\r\n\r\n")
    length = int(re.search(rb"content-length: (\d+)", head)[1])  # type: ignore[index]  # every answer has it
    while len(sent) < length:
        sent += line.recv(65536)
    status, *fields = head.split(b"\r\n")
    return status, sorted(field for field in fields if not field.startswith(b"date:")), sent


def test_what_is_sent_before_the_answer_is_answered_after_it() -> None:
    with EdgeHouse() as edge, socket.create_connection(("127.0.0.1", edge.port), timeout=60) as line:
        edge.ledger.held = []
        line.sendall(webhook())
        wait_for(lambda: edge.ledger.held)
        line.sendall(webhook(body(alert(fingerprint="f" * 16)))[:-10])
        line.sendall(webhook(body(alert(fingerprint="f" * 16)))[-10:])
        edge.ledger.held[0]()
        first = read(line)
        wait_for(lambda: len(edge.ledger.held or ()) == 2)
        edge.ledger.held[1]()
        second = read(line)

    assert (first[0], second[0]) == (b"HTTP/1.1 200 OK",) * 2
    assert [len(one.alerts) for one in edge.ledger.taken] == [1, 1]


def test_a_sender_that_hangs_up_before_the_answer_has_its_alerts_stored() -> None:
    with EdgeHouse() as edge:
        edge.ledger.held = []
        with socket.create_connection(("127.0.0.1", edge.port), timeout=60) as line:
            line.sendall(webhook())
            wait_for(lambda: edge.ledger.held)
        edge.ledger.held[0]()
        edge.ledger.held = None

        assert edge.post(body()).said["status"] == "duplicate"


@pytest.mark.parametrize(
    ("sent", "kept", "alarms"),
    [
        (webhook(b"{"), [("alertmanager", b"{", "bad_json")], []),
        (webhook().replace(TOKEN.encode(), b"x"), [], [("alertmanager", "auth_invalid")]),
    ],
)
def test_what_is_wrong_is_noticed_also_of_a_sender_that_says_no_more(
    sent: bytes, kept: list[object], alarms: list[object]
) -> None:
    with EdgeHouse() as edge:
        with socket.create_connection(("127.0.0.1", edge.port), timeout=60) as line:
            line.sendall(sent)
            line.shutdown(socket.SHUT_WR)
        wait_for(lambda: edge.ledger.kept or edge.ledger.alarms)

        assert (edge.ledger.kept, edge.ledger.alarms) == (kept, alarms)


def test_a_stop_answers_first_what_is_under_way_and_says_that_it_was_the_last() -> None:
    with EdgeHouse() as edge, socket.create_connection(("127.0.0.1", edge.port), timeout=60) as line:
        edge.ledger.held = []
        line.sendall(webhook())
        wait_for(lambda: edge.ledger.held)
        edge.begin_to_stop()
        wait_for(lambda: refuses(edge.port))
        edge.ledger.held[0]()

        assert b"connection: close" in read(line)[1]
        assert line.recv(1) == b""


def refuses(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=60).close()
    except ConnectionRefusedError:
        return True
    return False


def test_a_connection_that_falls_idle_after_its_answer_is_closed_in_time() -> None:
    with EdgeHouse(keep_alive_s=0) as edge, socket.create_connection(("127.0.0.1", edge.port), timeout=60) as line:
        edge.ledger.held = []
        line.sendall(webhook())
        wait_for(lambda: edge.ledger.held)
        edge.ledger.held[0]()

        assert read(line)[0] == b"HTTP/1.1 200 OK"
        assert line.recv(1) == b""
