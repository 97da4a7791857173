"""A plan in Telegram: a message with buttons for everybody in the chat, and none once it is used."""

from __future__ import annotations

import pytest

from bot.core.message import Card
from bot.core.request import Reply
from bot.integrations.telegram.channel import Telegram
from tests.fakes.door import SmallDoor
from tests.fakes.telegram import FakeTelegram
from tests.integrations.telegram.room import CHAT, sent

HANDLE = "0123456789abcdef" * 2
BUTTONS = {"Approve": f"yes {HANDLE}", "Drop it": f"no {HANDLE}"}
CARD = Card(title="Ana asks: silence job=api for 1h", lines=("It covers 3 alerts",), buttons=BUTTONS)
PLAN = Reply(text="\n".join((CARD.title, *CARD.lines)), card=CARD)


@pytest.fixture
def plan(fake: FakeTelegram, door: SmallDoor, channel: Telegram) -> int:
    """The message of a plan that stands in the chat."""
    door.answer_next(PLAN)
    sent(channel, fake.says("/silence job=api for 1h"))
    return fake.card.message_id


def test_a_plan_has_its_buttons_in_the_chat(fake: FakeTelegram, plan: int) -> None:
    assert fake.posts[CHAT, plan].buttons == BUTTONS
    assert "It covers 3 alerts" in fake.card.text


def test_the_outcome_is_told_to_all_and_the_buttons_are_gone(
    fake: FakeTelegram, door: SmallDoor, channel: Telegram, plan: int
) -> None:
    door.answer_next(Reply(text="Silence 7 stands.", shared=True, plan_closed=True))

    sent(channel, fake.presses(plan, f"yes {HANDLE}", keyboard=tuple(BUTTONS.values())))

    outcome = list(fake.posts.values())[-1]
    assert [(flash.text, flash.alert) for flash in fake.flashes] == [("Silence 7 stands.", False)]
    assert (outcome.text, outcome.reply_to) == ("Silence 7 stands.", plan)
    assert fake.posts[CHAT, plan].buttons == {}
    assert "It covers 3 alerts" in fake.posts[CHAT, plan].text


def test_a_second_click_hears_the_gates_own_answer(
    fake: FakeTelegram, door: SmallDoor, channel: Telegram, plan: int
) -> None:
    door.answer_next(Reply(text="Plan 01234567 was approved before.", ok=False, plan_closed=True))

    sent(channel, fake.presses(plan, f"yes {HANDLE}"))

    assert [(flash.text, flash.alert) for flash in fake.flashes] == [("Plan 01234567 was approved before.", True)]
    assert len(fake.posts) == 1
    assert fake.posts[CHAT, plan].buttons == {}


def test_words_that_only_begin_like_a_plans_are_no_button(
    fake: FakeTelegram, door: SmallDoor, channel: Telegram, plan: int
) -> None:
    sent(channel, fake.presses(plan, "yes 01234567"))

    assert [flash.text for flash in fake.flashes] == ["Unknown or expired button."]
    assert len(door.asks) == 1
