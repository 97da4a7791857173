"""A plan in Slack: everybody sees it with its buttons, and what became of it; used once, it has none."""

from __future__ import annotations

import json

from bot.core.message import Card
from bot.core.request import Reply
from bot.integrations.slack.channel import Slack
from tests.fakes.door import SmallDoor
from tests.fakes.slack import FakeSlack
from tests.integrations.slack.notices import hear

HANDLE = "0123456789abcdef" * 2
CARD = Card(
    title="Ana asks: silence job=api for 1h",
    lines=("It covers 3 alerts & more",),
    buttons={"Approve": f"yes {HANDLE}", "Drop it": f"no {HANDLE}"},
)
PLAN = Reply(text="\n".join((CARD.title, *CARD.lines)), card=CARD)


def shown(fake: FakeSlack, slack: Slack, door: SmallDoor) -> str:
    """The ts of the message of a plan that was asked for with a slash command."""
    door.answer_next(PLAN)
    heard = hear(slack, fake, fake.command("/silence", "job=api for 1h"))
    fake.responses.show(json.loads(heard.body))
    return fake.messages[-1].ts


def test_a_plan_asked_for_by_command_is_in_the_channel_with_its_buttons(
    fake: FakeSlack, slack: Slack, door: SmallDoor
) -> None:
    shown(fake, slack, door)

    (plan,) = fake.messages
    assert {label: button["value"] for label, button in plan.buttons.items()} == CARD.buttons
    assert "It covers 3 alerts" in plan.shown
    assert fake.whispers == []


def test_a_plan_asked_for_by_mention_stands_in_the_thread(fake: FakeSlack, slack: Slack, door: SmallDoor) -> None:
    fake.say("the api is noisy")
    root = fake.messages[0].ts
    door.answer_next(PLAN)

    hear(slack, fake, fake.mention("silence job=api for 1h", thread=root))

    assert fake.messages[1].thread_ts == root
    assert list(fake.messages[1].buttons) == ["Approve", "Drop it"]


def test_the_outcome_is_for_everybody_and_the_buttons_are_gone(fake: FakeSlack, slack: Slack, door: SmallDoor) -> None:
    ts = shown(fake, slack, door)
    door.answer_next(Reply(text="Silence 7 stands. <!channel>", shared=True, plan_closed=True))

    hear(slack, fake, fake.press(f"yes {HANDLE}", message=ts))

    plan, outcome = fake.messages
    assert door.asks[-1].text == f"yes {HANDLE}"
    assert (plan.buttons, "It covers 3 alerts" in plan.shown, "Silence 7 stands." in plan.shown) == ({}, True, True)
    assert (outcome.thread_ts, outcome.text, outcome.pings) == (ts, "Silence 7 stands. &lt;!channel&gt;", [])
    assert [whisper.text for whisper in fake.whispers] == ["Silence 7 stands. &lt;!channel&gt;"]


def test_the_outcome_draws_its_commands_for_everybody(fake: FakeSlack, slack: Slack, door: SmallDoor) -> None:
    ts = shown(fake, slack, door)
    door.answer_next(Reply(text="Silence 7 is set. `unsilence 7` ends it.", shared=True, plan_closed=True))

    hear(slack, fake, fake.press(f"yes {HANDLE}", message=ts))

    (post,) = fake.calls("chat.postMessage")
    assert (post.fields["text"], post.fields["mrkdwn"]) == ("Silence 7 is set. `unsilence 7` ends it.", True)
    assert "`unsilence 7` ends it." in fake.message(ts).shown


def test_the_first_of_two_approvals_leaves_the_buttons(fake: FakeSlack, slack: Slack, door: SmallDoor) -> None:
    ts = shown(fake, slack, door)
    door.answer_next(Reply(text="Approved by Cy; 1 more approval is needed: `yes`.", shared=True))

    hear(slack, fake, fake.press(f"yes {HANDLE}", message=ts))

    assert list(fake.message(ts).buttons) == ["Approve", "Drop it"]
    assert fake.messages[-1].text.startswith("Approved by Cy; 1 more")


def test_an_old_button_is_answered_to_its_presser_alone_and_taken_away(
    fake: FakeSlack, slack: Slack, door: SmallDoor
) -> None:
    ts = shown(fake, slack, door)
    door.answer_next(Reply(text="Plan 01234567 was approved before, and runs once.", ok=False, plan_closed=True))

    hear(slack, fake, fake.press(f"yes {HANDLE}", message=ts))

    assert [message.buttons for message in fake.messages] == [{}]
    assert [whisper.text for whisper in fake.whispers] == ["Plan 01234567 was approved before, and runs once."]


def test_a_secret_never_stands_in_the_channel(fake: FakeSlack, slack: Slack, door: SmallDoor) -> None:
    door.answer_next(Reply(text="Your code: 42", card=CARD, shared=True, secret=True))

    hear(slack, fake, fake.mention("link"))

    assert fake.messages == []
    assert [whisper.text for whisper in fake.whispers] == ["Your code: 42"]
