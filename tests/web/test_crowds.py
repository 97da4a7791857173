"""Floods of unauthenticated requests: they delay an alert only by a fixed amount, and do not flood the log."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Self

import pytest

from tests.web.edges import Ears, SlowEars
from tests.web.test_framing_over_http import told
from tests.web.web_house import WebHouse, wait_for

pytestmark = pytest.mark.waits

LIVE = b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n"
ASKED = b"POST /in/slack HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx"
ALERT = b"POST /alerts/any HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
CHUNKED = b"POST /in/slack HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
#: The maximum that uvloop reads at once.
READ = 256 * 1024


class Crowd:
    """Connections that send the same bytes over and over, and read nothing."""

    def __init__(self, port: int, sent: bytes, *, of: int) -> None:
        self._stack = ExitStack()
        self._over = threading.Event()
        self.lines = [self._stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(of)]
        self.taken = [0] * of
        self._threads = [threading.Thread(target=self._send, args=(number, sent)) for number in range(of)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(60)
        self._stack.close()

    def _send(self, number: int, sent: bytes) -> None:
        line = self.lines[number]
        line.settimeout(0.05)
        with suppress(ConnectionError):
            while not self._over.is_set():
                with suppress(TimeoutError):
                    self.taken[number] += line.send(sent)


@pytest.mark.parametrize("of", [40, 100])
def test_a_connection_is_not_read_beyond_the_request_that_is_being_answered(tmp_path: Path, of: int) -> None:
    slow = SlowEars("slack")
    with WebHouse(tmp_path, channels={"slack": slow}) as house:
        with Crowd(house.port, ASKED * 5000, of=of):
            assert slow.entered.wait(60)
            wait_for(lambda: len(house.connections()) == of)

            answers = [told(house.port, ALERT) for _ in range(50)]

            held = [len(one.conn.trailing_data[0]) + len(one._ahead) for one in house.connections()]
            under_way = house.under_way()
        slow.go_on.set()

    assert {one[:12] for one in answers} == {b"HTTP/1.1 200"}
    assert under_way <= 2 * of  # one that has just been answered may not have ended
    assert max(held) <= 3 * READ
    assert sum(held) > 0


@pytest.mark.parametrize("sent", [LIVE * 5000, (CHUNKED + b"1\r\na\r\n" * 5000 + b"0\r\n\r\n") * 20])
@pytest.mark.parametrize("of", [40, 100])
def test_an_alert_waits_for_a_few_requests_of_each_and_no_more(tmp_path: Path, sent: bytes, of: int) -> None:
    with WebHouse(tmp_path, channels={"slack": Ears("slack")}) as house, Crowd(house.port, sent, of=of) as crowd:
        wait_for(lambda: house.answered() > of or sum(crowd.taken) > of * READ)

        waited = [house.answered_while(lambda: told(house.port, ALERT)) for _ in range(20)]

    # A few iterations of the loop, and the answers sent while this thread waits for the GIL.
    assert max(waited) <= 100 * of


HANG_UPS = {
    "nothing": b"",
    "half a head": LIVE[:20],
    "a request": LIVE,
    "many requests": LIVE * 5000,
    "many that are answered late": ASKED * 5000,
    "half a body": ASKED[:-1],
    "half an alert": ALERT[:-1],
    "half a chunk": CHUNKED + b"5\r\nab",
    "a bad chunk": CHUNKED + b"x\r\n",
    "a bad chunk after a good one": CHUNKED + b"1\r\na\r\nx\r\n" + LIVE,
    "junk": b"\x00" * 100,
    "a page": b"GET /api/incidents HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "a stream": b"GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebHouse]:
    with WebHouse(tmp_path_factory.mktemp("left"), channels={"slack": Ears("slack")}) as house:
        yield house


def leave(port: int, sent: bytes, *, reset: bool) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=60) as line:
        if reset:
            line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        line.settimeout(0.2)
        with suppress(TimeoutError, ConnectionError):
            line.sendall(sent)


@pytest.mark.parametrize("reset", [True, False])
@pytest.mark.parametrize("sent", HANG_UPS.values(), ids=HANG_UPS)
def test_hanging_up_writes_a_line_a_second_and_no_trace_and_leaves_nothing_behind(
    house: WebHouse, caplog: pytest.LogCaptureFixture, sent: bytes, *, reset: bool
) -> None:
    for _ in range(20):
        leave(house.port, sent, reset=reset)
    house.bell.send_line("left", "what is written to a stream that nobody reads tells that it is cut off")

    assert told(house.port, ALERT).startswith(b"HTTP/1.1 200 ")
    assert wait_for(lambda: house.under_way() == 0 and not house.connections(), within_s=60)
    assert [record.getMessage() for record in caplog.records if record.exc_info] == []
    told_of = {record.getMessage() for record in caplog.records}
    # After a reset, the connection has no owner any more when the bot looks it up.
    assert told_of <= {"Invalid HTTP request received.", "a connection of no person's account was refused"}


def test_an_answer_to_somebody_who_has_gone_meanwhile_leaves_no_trace(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    slow = SlowEars("slack")
    with WebHouse(tmp_path, channels={"slack": slow}) as house:
        with ExitStack() as lines:
            for _ in range(8):
                line = lines.enter_context(socket.create_connection(("127.0.0.1", house.port)))
                line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                line.sendall(ASKED * 2)  # with the second it is not read on, so that a reset is seen when it is written
            wait_for(lambda: house.under_way() == 8)
            assert slow.entered.wait(60)
        slow.go_on.set()

        assert wait_for(lambda: house.under_way() == 0 and not house.connections())

    assert [record.getMessage() for record in caplog.records if record.levelname != "INFO"] == []
