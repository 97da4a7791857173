"""An ask that takes longer than Slack waits: it goes on, is done once, and is answered when it ends."""

from __future__ import annotations

import json
from collections.abc import Iterator
from threading import Thread
from typing import Any

import pytest

import commands
from bot.core.action import Action
from bot.core.command import Command
from bot.core.request import Reply
from bot.integrations.slack.channel import Slack
from tests.fakes.door import ANA, SmallDoor
from tests.fakes.slack import FakeSlack
from tests.integrations.slack.notices import hear, section

pytestmark = pytest.mark.waits


@pytest.fixture
def door() -> Iterator[SmallDoor]:
    verbs: dict[str, Command[Any] | Action[Any]] = {**commands.find(), **commands.actions()}
    with SmallDoor(people={("slack", "U1"): ANA}, verbs=verbs) as small:
        yield small


@pytest.fixture
def slack(fake: FakeSlack, door: SmallDoor) -> Iterator[Slack]:
    """A channel that stops waiting at once, before a gateway that does not answer yet."""
    channel = Slack(section(fake), ack_timeout_s=0.05)
    channel.start(door)
    fake.wait(lambda: channel.health_problem() is None, "the introduction")
    door.unlocked.clear()
    yield channel
    door.unlocked.set()
    channel.stop()


def test_a_command_is_told_to_wait_and_then_its_answer(fake: FakeSlack, slack: Slack, door: SmallDoor) -> None:
    heard = hear(slack, fake, fake.command("/ack", "42"))
    door.unlocked.set()

    fake.wait(lambda: len(fake.whispers) == 1, "the answer")
    assert json.loads(heard.body) == {
        "response_type": "ephemeral",
        "text": "Still working on it. The result will follow here.",
    }
    assert [ask.text for ask in door.asks] == ["ack 42"]
    assert [one.text for one in fake.whispers] == ["Done: ack 42"]


def test_an_outcome_for_all_is_told_to_all_however_late(fake: FakeSlack, slack: Slack, door: SmallDoor) -> None:
    door.answer_next(Reply(text="api has 6 replicas.", shared=True))

    hear(slack, fake, fake.command("/scale", "api 6"))
    door.unlocked.set()

    fake.wait(lambda: len(fake.messages) == 1, "the outcome")
    assert "api has 6 replicas." in fake.messages[0].shown


def test_a_press_and_a_mention_are_acknowledged_in_time_and_answered_later(
    fake: FakeSlack, slack: Slack, door: SmallDoor
) -> None:
    fake.say("the api is down")
    root = fake.messages[0].ts

    pressed = hear(slack, fake, fake.press("ack 42"))
    mentioned = hear(slack, fake, fake.mention("note 42 I look", thread=root))
    door.unlocked.set()

    fake.wait(lambda: len(fake.whispers) == 2, "both answers")
    assert (pressed.status, mentioned.status) == (200, 200)
    assert sorted(ask.text for ask in door.asks) == ["ack 42", "note 42 I look"]


def test_what_slack_sends_again_meanwhile_is_one_act(fake: FakeSlack, slack: Slack, door: SmallDoor) -> None:
    mention = fake.mention("note 42 I look")

    hear(slack, fake, mention)
    hear(slack, fake, mention)
    door.unlocked.set()

    door.wait_for_heard(2)
    assert [ask.text for ask in door.asks] == ["note 42 I look"]


def test_a_form_closes_in_time_and_its_answer_follows(fake: FakeSlack, slack: Slack, door: SmallDoor) -> None:
    hear(slack, fake, fake.command("/severity"))
    fake.wait(lambda: len(fake.views.modals) == 1, "the form")

    wrong = fake.views.answered(hear(slack, fake, fake.views.submit({"Incident": "42", "Severity": "warning"})).body)
    door.unlocked.set()

    fake.wait(lambda: any("severity #42 warning" in one.text for one in fake.whispers), "the answer")
    assert wrong == {}


def test_what_breaks_after_its_time_is_told_and_logged(
    fake: FakeSlack, slack: Slack, door: SmallDoor, caplog: pytest.LogCaptureFixture
) -> None:
    door.answer_next(OSError("the disk is full"))

    hear(slack, fake, fake.command("/ack", "42"))
    door.unlocked.set()

    fake.wait(lambda: len(fake.whispers) == 1, "the answer")
    assert fake.whispers[0].text.startswith("The bot failed on this.")
    assert "the disk is full" in caplog.text


def test_a_stop_waits_for_what_has_begun(fake: FakeSlack, slack: Slack, door: SmallDoor) -> None:
    hear(slack, fake, fake.command("/ack", "42"))

    stopping = Thread(target=slack.stop)
    stopping.start()
    door.unlocked.set()
    stopping.join(60)

    assert [ask.text for ask in door.asks] == ["ack 42"]
    assert [one.text for one in fake.whispers] == ["Done: ack 42"]
