"""What is somebody's, in Telegram: shown in private, with its buttons; in a group everybody reads, so not there."""

from __future__ import annotations

import pytest

from bot.core.message import Card
from bot.core.request import Reply
from bot.integrations.telegram.channel import Telegram
from tests.fakes.door import SmallDoor
from tests.fakes.telegram import FakeTelegram
from tests.integrations.telegram.room import sent

HANDLE = "0123456789abcdef" * 2
BUTTONS = {"Approve 01234567": f"yes {HANDLE}", "Drop 01234567": f"no {HANDLE}", "Acknowledge #42": "ack 42"}
CARD = Card(title="What is yours, Ana", lines=("#42 critical open: Disk full",), buttons=BUTTONS)
MINE = Reply(text="\n".join((CARD.title, *CARD.lines)), card=CARD, requester_only=True)
ANA_S = 1001


@pytest.fixture
def shown(fake: FakeTelegram, door: SmallDoor, channel: Telegram) -> int:
    """The message in Ana's private chat."""
    door.answer_next(MINE)
    sent(channel, fake.says("/home", chat=ANA_S))
    return fake.card.message_id


def test_in_private_it_is_shown_with_its_buttons(fake: FakeTelegram, shown: int) -> None:
    post = fake.posts[ANA_S, shown]

    assert "#42 critical open: Disk full" in post.text
    assert post.buttons == BUTTONS


@pytest.mark.parametrize("said", ["/home", "/vakhta home"])
def test_in_a_group_it_is_not_shown_but_where_to_ask_is(
    fake: FakeTelegram, door: SmallDoor, channel: Telegram, said: str
) -> None:
    door.answer_next(MINE)

    sent(channel, fake.says(said))

    (post,) = fake.posts.values()
    assert post.text.startswith("The answer is for you alone, and others read here.")
    assert "Disk full" not in post.text
    assert "Send <code>/home</code> to me in private." in post.html
    assert post.buttons == {}


def test_a_button_of_it_that_is_used_up_leaves_the_others(
    fake: FakeTelegram, door: SmallDoor, channel: Telegram, shown: int
) -> None:
    door.answer_next(Reply(text="Silence 7 stands.", shared=True, plan_closed=True))

    sent(channel, fake.presses(shown, f"yes {HANDLE}", chat=ANA_S, keyboard=tuple(BUTTONS.values())))

    assert door.asks[-1].text == f"yes {HANDLE}"
    assert fake.posts[ANA_S, shown].buttons == BUTTONS
