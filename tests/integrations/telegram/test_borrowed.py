"""Telegram, in: whose words are not their own, and buttons that nobody offered. Rows: the table of bad inputs."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from bot.core.incident import Status
from bot.integrations.telegram.channel import Telegram
from bot.integrations.telegram.updates import _CARD_COMMAND
from bot.notifications.card import CardSettings, incident_card
from tests.fakes.door import ANA, SmallDoor
from tests.fakes.telegram import FakeTelegram
from tests.integrations.telegram.room import INCIDENT, sent


def test_row_69_nobody_hides_behind_a_chat(fake: FakeTelegram, door: SmallDoor, channel: Telegram) -> None:
    door.people |= {("telegram", str(account)): ANA for account in (1087968824, 136817688, 777000)}
    updates = [
        fake.says_anonymously("/ack 42"),
        fake.says_as_channel("/ack 42"),
        fake.publishes("/ack 42"),
        fake.says("/ack 42", user=777000),
    ]

    statuses = [sent(channel, update) for update in updates]

    assert statuses == [200] * 4
    assert door.heard == []
    told = [posted.text.partition(" Nothing")[0] for posted in fake.posts.values()]
    assert told == ["Anonymous and channel posts cannot run commands."] * 4


def test_row_70_an_edited_or_forwarded_command_is_not_run_but_hinted_at(
    fake: FakeTelegram, door: SmallDoor, channel: Telegram
) -> None:
    updates = [fake.edits("/ack 42"), fake.forwards("/ack 42"), fake.says("/ack 42", via_bot={"id": 5})]

    statuses = [sent(channel, update) for update in updates]

    assert statuses == [200] * 3
    assert door.heard == []
    assert [posted.text.partition(" Nothing")[0] for posted in fake.posts.values()] == [
        "Edited, forwarded and automatic messages cannot run commands."
    ] * 3


@pytest.mark.parametrize(
    "mark",
    [
        {"forward_from": {"id": 9}},
        {"forward_date": 1},
        {"forward_sender_name": "Ben"},
        {"forward_from_chat": {"id": -9, "type": "channel"}},
        {"is_automatic_forward": True},
        {"sender_business_bot": {"id": 4, "is_bot": True}},
        {"is_from_offline": True},
        {"business_connection_id": "b1"},
        {"guest_bot_caller_user": {"id": 1001, "is_bot": False, "first_name": "Ana"}},
        {"guest_bot_caller_chat": {"id": -9, "type": "supergroup"}},
        {"guest_query_id": "g1"},
    ],
    ids=lambda mark: next(iter(mark)),
)
def test_row_70_words_that_are_not_the_senders_own_are_not_run(
    fake: FakeTelegram, door: SmallDoor, channel: Telegram, mark: dict[str, Any]
) -> None:
    sent(channel, fake.says("/ack 42", **mark))

    assert door.heard == []
    assert fake.card.text.startswith("Edited, forwarded and automatic messages cannot run commands.")


@pytest.mark.parametrize("words", ["note 42 pwned", "resolve 7 42", "show 42", "ack  42", "ack 42 x", "ack #42", "42"])
def test_row_71_a_card_that_telegram_no_longer_reports_carries_only_words_of_its_buttons(
    fake: FakeTelegram, door: SmallDoor, channel: Telegram, words: str
) -> None:
    sent(channel, fake.presses(600, words))

    assert [(flash.text, flash.alert) for flash in fake.flashes] == [("Unknown or expired button.", True)]
    assert door.heard == []


def test_row_71_a_forged_button_is_unknown(fake: FakeTelegram, door: SmallDoor, channel: Telegram) -> None:
    forged = [
        fake.presses(600, "x" * 64),
        fake.presses(600, ""),
        fake.presses(600, "/ack 42"),
        fake.presses(600, "ack 43"),
        fake.presses(601, "ack 42", keyboard=("ack 43",)),
        fake.presses(600, "ack 42", chat=-2002, keyboard=("ack 42",)),
    ]

    statuses = [sent(channel, update) for update in forged]

    assert statuses == [200] * len(forged)
    assert {(flash.text, flash.alert) for flash in fake.flashes} == {("Unknown or expired button.", True)}
    assert len(fake.flashes) == len(forged)
    assert door.heard == []


def test_a_press_of_a_bots_is_nobodys(fake: FakeTelegram, door: SmallDoor, channel: Telegram) -> None:
    pressed = fake.presses(600, "ack 42", keyboard=("ack 42",))
    pressed["callback_query"]["from"]["is_bot"] = True

    sent(channel, pressed)

    assert door.asks == []
    assert [flash.alert for flash in fake.flashes] == [True]
    assert door.away[0][0].account == "1001"


def test_a_cards_buttons_say_only_what_is_believed_of_a_card_that_is_no_longer_reported() -> None:
    said = {
        words
        for status in Status
        for words in incident_card(replace(INCIDENT, status=status), CardSettings(public_url="")).buttons.values()
    }

    assert all(_CARD_COMMAND.fullmatch(words) for words in said)
    assert said == {f"{verb} {INCIDENT.marked}" for verb in ("ack", "resolve")}
