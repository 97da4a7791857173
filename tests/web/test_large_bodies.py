"""Large bodies: one source does not block another, and nothing is parsed for a sender that has left."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import pytest

from bot.core.alert import AlertBatch
from tests.alerts.alerts_of import body
from tests.web.edge_house import OTHER_TOKEN, TOKEN, EdgeHouse
from tests.web.web_house import wait_for

pytestmark = pytest.mark.waits

LARGE = b"x" * 200_000
OTHERS = {"Authorization": f"Bearer {OTHER_TOKEN}"}


class Hard:
    """A source whose bodies take as long to parse as the test says."""

    name = "hard"

    def __init__(self) -> None:
        self.begun: list[bytes] = []
        self.go_on = threading.Event()

    def read(self, headers: Mapping[str, str], body: bytes) -> AlertBatch:
        self.begun.append(body)
        assert self.go_on.wait(60), "nobody let it go on"
        return AlertBatch(source="hard", group="g", alerts=(), body=body[:1])


@pytest.fixture
def hard() -> Iterator[Hard]:
    made = Hard()
    yield made
    made.go_on.set()


@pytest.fixture
def edge(hard: Hard) -> Iterator[EdgeHouse]:
    with EdgeHouse(more={"hard": hard}) as house:
        yield house
        hard.go_on.set()


@contextmanager
def sending(edge: EdgeHouse, sent: bytes) -> Iterator[socket.socket]:
    """Somebody who has sent all of a body to the source that takes long, and waits; who leaves does so by a reset.

    Who only closes looks like a sender that has no more to say and waits for its answer, and is read for.
    """
    head = f"POST /alerts/hard HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n"
    with socket.create_connection(("127.0.0.1", edge.port), timeout=60) as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        line.sendall(f"{head}Content-Length: {len(sent)}\r\n\r\n".encode() + sent)
        yield line


def waiting(edge: EdgeHouse) -> int:
    """How many bodies of that source are being parsed or wait."""
    return edge.app._large_bodies._waiting["hard"]


def test_six_large_bodies_of_one_source_keep_none_of_another_out(edge: EdgeHouse, hard: Hard) -> None:
    sent = b"x" * (14 * 2**20)
    with ExitStack() as crowd:
        for _ in range(6):
            crowd.enter_context(sending(edge, sent))
        wait_for(lambda: waiting(edge) == 6)

        answers = [edge.post(body(extra="x" * 200_000), OTHERS, path="/alerts/other") for _ in range(6)]

        assert {answer.status for answer in answers} == {200}
        assert len(hard.begun) == 2


def test_a_body_whose_sender_left_before_its_turn_is_never_read(edge: EdgeHouse, hard: Hard) -> None:
    with sending(edge, LARGE), sending(edge, LARGE):
        wait_for(lambda: len(hard.begun) == 2)
        with sending(edge, b"left" + LARGE):
            wait_for(lambda: waiting(edge) == 3)
        wait_for(lambda: waiting(edge) == 2)

        with sending(edge, b"stayed" + LARGE) as line:
            wait_for(lambda: waiting(edge) == 3)
            hard.go_on.set()
            heard = line.recv(4096)

    assert heard.startswith(b"HTTP/1.1 200 ")
    assert [one[:6] for one in hard.begun] == [b"xxxxxx", b"xxxxxx", b"stayed"]
    assert edge.ledger.kept == []


def test_a_sender_that_leaves_in_the_middle_of_its_turn_is_forgotten_and_the_thread_is_not(
    edge: EdgeHouse, hard: Hard
) -> None:
    with sending(edge, LARGE), sending(edge, LARGE):
        wait_for(lambda: len(hard.begun) == 2)
    wait_for(lambda: waiting(edge) == 0)

    with sending(edge, b"next" + LARGE) as line:
        wait_for(lambda: waiting(edge) == 1)
        began_too_early = len(hard.begun) > 2  # both threads are still at what nobody waits for
        hard.go_on.set()
        heard = line.recv(4096)

    assert not began_too_early
    assert heard.startswith(b"HTTP/1.1 200 ")
    assert len(edge.ledger.taken) == 1


def test_more_of_one_source_than_can_wait_are_told_to_come_again_and_nothing_is_kept(
    edge: EdgeHouse, hard: Hard
) -> None:
    with ExitStack() as crowd, ThreadPoolExecutor(1) as beside:
        lines = [crowd.enter_context(sending(edge, LARGE)) for _ in range(16)]
        wait_for(lambda: waiting(edge) == 16)

        refused = beside.submit(edge.post, LARGE, path="/alerts/hard").result(60)
        hard.go_on.set()
        heard = [line.recv(4096) for line in lines]

    assert (refused.status, refused.headers["retry-after"]) == (503, "5")
    assert "Send it again" in refused.error["message"]
    assert edge.ledger.kept == []
    assert all(answer.startswith(b"HTTP/1.1 200 ") for answer in heard)
