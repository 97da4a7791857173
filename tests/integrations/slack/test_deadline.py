"""A Slack that drips its answer, byte by byte, holds nobody longer than a call may take."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from bot.core.errors import Undelivered
from bot.integrations.slack.api import SlackWebApi, respond_to_url
from bot.integrations.slack.http_deadline import CallDeadline
from tests.running import until

pytestmark = pytest.mark.waits

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@dataclass(frozen=True)
class Dripping:
    url: str
    left: threading.Event  #: set when the other side has hung up before the server came to an end


@contextmanager
def dripping(first: bytes, drop: bytes) -> Iterator[Dripping]:
    """A server that says `first` and then `drop` for a minute, always sooner than a socket's time-out."""
    ended, left = threading.Event(), threading.Event()
    server = socket.create_server(("127.0.0.1", 0))

    def drip() -> None:
        peer, _ = server.accept()
        with peer:
            peer.recv(65536)
            try:
                peer.sendall(first)
                for _ in range(3000):
                    if ended.wait(0.02):
                        return
                    peer.sendall(drop)
            except OSError:
                left.set()

    thread = threading.Thread(target=drip, daemon=True)
    thread.start()
    yield Dripping(f"http://127.0.0.1:{server.getsockname()[1]}/", left)
    ended.set()
    thread.join(60)
    server.close()


@pytest.mark.parametrize(
    ("first", "drop"),
    [
        (HEAD, b"x: y\r\n"),
        (b"", b"H"),
        (HEAD + b"Content-Length: 100000\r\n\r\n", b" "),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
        (HEAD.replace(b"200 OK", b"500 Oh") + b"Content-Length: 100000\r\n\r\n", b" "),
    ],
    ids=["headers", "status line", "body", "chunks", "body of a failure"],
)
def test_a_call_ends_when_its_time_is_over(first: bytes, drop: bytes) -> None:
    with dripping(first, drop) as server:
        with pytest.raises(Undelivered) as late:
            SlackWebApi("xoxb-1", server.url, 0.3).call("users.info", {"user": "U1"})

        assert server.left.wait(60), "it waited until the server came to its end"

    assert late.value.message == "Slack did not answer users.info within 0.3 s."
    assert not late.value.permanent


def test_a_silent_slack_is_told_the_same_when_the_thread_that_cuts_comes_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CallDeadline, "_shut_down", lambda _: None)
    with dripping(b"", b"") as server, pytest.raises(Undelivered) as late:
        SlackWebApi("xoxb-1", server.url, 0.1).call("users.info", {"user": "U1"})

    assert late.value.message == "Slack did not answer users.info within 0.1 s."


def test_an_answer_to_the_asker_is_given_up_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.integrations.slack.api._RESPOND_S", 0.3)
    with dripping(HEAD, b"x: y\r\n") as server:
        with pytest.raises(Undelivered, match="did not accept a reply"):
            respond_to_url(server.url, {"text": "hello"})

        assert server.left.wait(60), "it waited until the server came to its end"


def test_an_answer_in_time_leaves_nothing_behind() -> None:
    body = json.dumps({"ok": True, "user": {"id": "U1"}}).encode()
    whole = HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body
    before = threading.active_count()
    with dripping(whole, b"") as server:
        told = SlackWebApi("xoxb-1", server.url, 60).call("users.info", {"user": "U1"})

    until(lambda: threading.active_count() <= before, "the threads have ended", within_s=30)
    assert told["user"] == {"id": "U1"}
