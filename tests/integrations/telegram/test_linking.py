"""Telegram: linking an account. Rows are those of the table of bad inputs."""

from __future__ import annotations

from typing import Any

import pytest

from bot.core.request import UNKNOWN_PRINCIPAL
from bot.integrations.telegram.channel import Telegram
from tests.fakes.door import ANA, SmallDoor
from tests.fakes.telegram import FakeTelegram
from tests.integrations.telegram.room import CHAT, sent


def test_a_code_reaches_the_house_from_somebody_unlinked_in_private(
    fake: FakeTelegram, door: SmallDoor, channel: Telegram
) -> None:
    sent(channel, fake.says("/link ABCDE-12345", chat=9009, user=9009))

    (ask,) = door.asks
    assert (ask.by, ask.account, ask.text, ask.private) == (UNKNOWN_PRINCIPAL, "9009", "link ABCDE-12345", True)
    assert (fake.card.chat_id, fake.card.text) == (9009, "Done: link ABCDE-12345")


def test_row_72_only_a_private_chat_is_private(fake: FakeTelegram, door: SmallDoor, channel: Telegram) -> None:
    for chat in (1001, CHAT):
        sent(channel, fake.says("/link", chat=chat))

    assert [(ask.by, ask.account, ask.private) for ask in door.asks] == [(ANA, "1001", True), (ANA, "1001", False)]


def test_row_72_a_stranger_in_the_incident_chat_is_heard_as_nobody_and_not_in_private(
    fake: FakeTelegram, door: SmallDoor, channel: Telegram
) -> None:
    sent(channel, fake.says("/link ABCDE-12345", user=9009))

    assert [(ask.by, ask.private) for ask in door.asks] == [(UNKNOWN_PRINCIPAL, False)]


@pytest.mark.parametrize(
    "mark", [{"forward_origin": {"type": "user"}}, {"via_bot": {"id": 5}}, {"sender_chat": {"id": 1}}]
)
def test_rows_69_and_70_a_code_in_words_that_are_not_the_senders_own_links_nothing(
    fake: FakeTelegram, door: SmallDoor, channel: Telegram, mark: dict[str, Any]
) -> None:
    sent(channel, fake.says("/link ABCDE-12345", chat=9009, user=9009, **mark))

    assert (door.heard, door.unknown) == ([], [])
    assert "Nothing was done." in fake.card.text


def test_row_70_an_edited_code_links_nothing(fake: FakeTelegram, door: SmallDoor, channel: Telegram) -> None:
    sent(channel, fake.edits("/link ABCDE-12345", user=9009))

    assert (door.heard, door.unknown) == ([], [])


def test_row_71_a_button_cannot_carry_a_code(fake: FakeTelegram, door: SmallDoor, channel: Telegram) -> None:
    sent(channel, fake.presses(600, "link ABCDE-12345", user=9009))

    assert (door.heard, [flash.text for flash in fake.flashes]) == ([], ["Unknown or expired button."])
