"""Socket Mode over a real websocket, and readiness."""

from __future__ import annotations

import threading
import time
from itertools import count
from types import SimpleNamespace
from typing import Literal

import pytest
from pydantic import SecretStr
from slack_sdk.socket_mode.builtin.connection import Connection

from bot.integrations.slack import api
from bot.integrations.slack.channel import Slack
from tests.fakes.door import SmallDoor
from tests.fakes.slack import FakeSlack
from tests.integrations.slack.notices import section

pytestmark = pytest.mark.waits


def test_what_is_said_over_the_socket_is_done_before_it_is_acknowledged(
    fake: FakeSlack, wired: Slack, door: SmallDoor
) -> None:
    answer = fake.push(fake.command("/ack", "42"))
    fake.push(fake.press("resolve 42"))
    fake.push(fake.mention("incidents"))

    assert answer == {"response_type": "ephemeral", "text": "Done: ack 42"}
    assert [ask.text for ask in door.asks] == ["ack 42", "resolve 42", "incidents"]
    assert [whisper.text for whisper in fake.whispers] == ["Done: resolve 42", "Done: incidents"]


def test_what_another_workspace_sends_over_the_socket_is_acknowledged_and_left_alone(
    fake: FakeSlack, wired: Slack, door: SmallDoor
) -> None:
    answer = fake.push(fake.command("/ack", "42", team_id="T2"))

    assert answer is None
    assert door.heard == []


def test_an_unknown_button_over_the_socket_is_acknowledged(fake: FakeSlack, wired: Slack, door: SmallDoor) -> None:
    fake.push(fake.press("x", action_id="approve:1"))

    assert door.heard == []
    assert fake.whispers[0].text.startswith("This button is from an older version.")


def test_the_socket_moves_when_slack_asks_for_it(fake: FakeSlack, wired: Slack, door: SmallDoor) -> None:
    fake.ask_to_move()
    fake.push(fake.command("/ack", "42"))

    assert fake.socket.opened == 2
    assert len(door.asks) == 1


def test_the_socket_moves_though_its_reader_closes_the_old_one_at_that_moment(
    fake: FakeSlack, wired: Slack, door: SmallDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    close = Connection.close

    with monkeypatch.context() as once:

        def fails_first(session: Connection) -> None:
            once.setattr(Connection, "close", close)
            sock, session.sock = session.sock, None
            assert sock is not None
            sock.close()
            raise AttributeError("'NoneType' object has no attribute 'close'")

        once.setattr(Connection, "close", fails_first)
        fake.ask_to_move()
        fake.push(fake.command("/ack", "42"))

    assert len(door.asks) == 1


def test_the_socket_comes_back_after_the_server_ended_it(fake: FakeSlack, wired: Slack, door: SmallDoor) -> None:
    fake.socket.end_all()
    fake.wait(lambda: fake.socket.opened == 2, "the second connection")
    fake.push(fake.command("/ack", "42"))

    assert len(door.asks) == 1
    assert wired.health_problem() is None


def test_the_socket_comes_back_after_the_peer_vanished_without_a_word(
    fake: FakeSlack, wired: Slack, door: SmallDoor
) -> None:
    fake.socket.cut_all()
    fake.wait(lambda: fake.socket.opened == 2, "the second connection")
    fake.push(fake.command("/ack", "42"))

    assert len(door.asks) == 1


def test_a_peer_that_falls_silent_is_given_up_though_the_clock_went_back_meanwhile(
    fake: FakeSlack, wired: Slack, monkeypatch: pytest.MonkeyPatch
) -> None:
    minutes = count(step=60)
    an_hour_back = SimpleNamespace(
        time=lambda: time.time() - 3600, monotonic=lambda: time.monotonic() + next(minutes), sleep=time.sleep
    )
    monkeypatch.setattr(api, "time", an_hour_back)
    fake.wait(lambda: fake.socket.opened >= 2, "the second connection")


def test_a_slack_that_cannot_be_reached_at_the_start_is_tried_again(fake: FakeSlack, door: SmallDoor) -> None:
    fake.answer_next(status=503, path="auth.test")
    slack = Slack(section(fake, "socket"))

    slack.start(door)
    fake.wait(lambda: slack.health_problem() is None, "the connection")
    slack.stop()

    assert len(fake.calls("auth.test")) == 2


@pytest.mark.parametrize("mode", ["http", "socket"])
def test_a_bad_token_is_told_once_and_not_asked_for_ever(
    fake: FakeSlack, door: SmallDoor, caplog: pytest.LogCaptureFixture, mode: Literal["http", "socket"]
) -> None:
    slack = Slack(section(fake, mode).model_copy(update={"bot_token": SecretStr("xoxb-wrong")}))

    slack.start(door)
    fake.wait(lambda: "given up" in caplog.text, "the log line")
    slack.stop()

    assert "invalid_auth" in str(slack.health_problem())
    assert len(fake.calls("auth.test")) == 1
    assert "xoxb" not in caplog.text


def test_a_bad_app_token_is_told(fake: FakeSlack, door: SmallDoor, caplog: pytest.LogCaptureFixture) -> None:
    slack = Slack(section(fake, "socket").model_copy(update={"app_token": SecretStr("xapp-1-A1-1-wrong")}))

    slack.start(door)
    fake.wait(lambda: "given up" in caplog.text, "the log line")
    slack.stop()

    assert "apps.connections.open" in str(slack.health_problem())
    assert len(fake.calls("apps.connections.open")) == 1


def test_a_token_of_another_workspace_is_told(fake: FakeSlack, door: SmallDoor) -> None:
    slack = Slack(section(fake).model_copy(update={"team_id": "T2"}))

    slack.start(door)
    fake.wait(lambda: "workspace T1" in str(slack.health_problem()), "the verdict")
    slack.stop()


def test_stopping_is_prompt_and_leaves_no_thread(fake: FakeSlack, door: SmallDoor) -> None:
    before = set(threading.enumerate())
    slack = Slack(section(fake, "socket"))
    slack.start(door)
    fake.wait(lambda: slack.health_problem() is None, "the connection")
    ours = {thread for thread in threading.enumerate() if thread not in before and "fake" not in thread.name}
    began = time.monotonic()

    slack.stop()

    assert time.monotonic() - began < api._PING_S, "it waited for the next heartbeat"
    assert [thread.name for thread in ours if thread.is_alive() and "slack" in thread.name] == []
