"""Telegram, in: who is heard and who is not. Rows are those of the table of bad inputs."""

from __future__ import annotations

import json

import pytest
from pydantic import SecretStr

from bot.core.errors import Rejected
from bot.core.request import Reply
from bot.integrations.telegram.channel import Telegram
from tests.fakes.door import ANA, SmallDoor
from tests.fakes.telegram import FakeTelegram
from tests.integrations.telegram.room import CHAT, SIGNED, sent, settings


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("/ack 42", "ack 42"),
        ("/ACK@Vakhta_Test_Bot 42", "ack 42"),
        ("/note 42 the \u201cbig\u201d disk\nis full", 'note 42 the "big" disk\nis full'),
        ("/incidents", "incidents"),
        ("/vakhta ack\u00a042", "ack 42"),
        ("/vakhta /ack 42", "ack 42"),
        ("/vakhta", "help"),
        ("/start", "help"),
    ],
)
def test_a_command_is_asked_in_plain_words_and_answered_where_it_was_typed(
    fake: FakeTelegram, door: SmallDoor, channel: Telegram, typed: str, words: str
) -> None:
    update = fake.says(typed)

    assert sent(channel, update) == 200

    (ask,) = door.asks
    assert (ask.by, ask.text, ask.channel, ask.incident_id) == (ANA, words, "telegram", None)
    assert ask.idempotency_key == f"update:{update['update_id']}"
    assert (fake.card.chat_id, fake.card.reply_to) == (CHAT, update["message"]["message_id"])
    assert fake.card.text == f"Done: {words}"


def test_in_a_topic_the_answer_stays_in_the_topic(fake: FakeTelegram, channel: Telegram) -> None:
    sent(channel, fake.says("/incidents", message_thread_id=7, is_topic_message=True))

    assert fake.card.topic_id == 7


@pytest.mark.parametrize(
    ("typed", "words"), [("/ack", "ack"), ("ack", "ack"), ("note /var is full", "note /var is full")]
)
def test_a_reply_to_the_card_needs_no_number(
    fake: FakeTelegram, door: SmallDoor, channel: Telegram, typed: str, words: str
) -> None:
    sent(channel, fake.says(typed, to=600))

    assert [(ask.text, ask.incident_id) for ask in door.asks] == [(words, 42)]


def test_a_private_chat_with_a_listed_person_counts(fake: FakeTelegram, door: SmallDoor, channel: Telegram) -> None:
    sent(channel, fake.says("/ack 42", chat=1001))

    assert [ask.text for ask in door.asks] == ["ack 42"]
    assert fake.card.chat_id == 1001


def test_small_talk_is_ignored_also_in_a_topic_that_the_bot_opened(
    fake: FakeTelegram, door: SmallDoor, channel: Telegram
) -> None:
    opened = {"message_id": 7, "from": fake.bot, "forum_topic_created": {"name": "Incidents", "icon_color": 1}}

    sent(channel, fake.says("the disk is full, /ack 42 anybody?"))
    sent(channel, fake.says("/var/log is full"))
    sent(channel, fake.says("hello", message_thread_id=7, is_topic_message=True, reply_to_message=opened))

    assert (door.heard, fake.posts) == ([], {})


def test_somebody_unlinked_is_refused_and_told_why(fake: FakeTelegram, door: SmallDoor, channel: Telegram) -> None:
    sent(channel, fake.says("/ack 42", user=9009))

    assert door.heard == []
    assert fake.card.text == "Link your account first: /link. Nothing was done."


def test_a_foreign_group_gets_no_word_out_of_the_bot_but_a_listed_person_does(
    fake: FakeTelegram, door: SmallDoor, channel: Telegram
) -> None:
    fake.chats.add(-2002)

    sent(channel, fake.says("/ack 42", chat=-2002, user=9009))
    sent(channel, fake.says("/ack 42", chat=-2002, user=1001))

    assert door.heard == []
    assert fake.card.text == "Commands are accepted only in the incident chat or in a private chat. Nothing was done."


def test_an_answer_that_cannot_be_sent_is_logged_and_the_update_is_done(
    fake: FakeTelegram, door: SmallDoor, channel: Telegram, caplog: pytest.LogCaptureFixture
) -> None:
    fake.refuse_next("sendMessage", 403, "Forbidden: bot can't initiate conversation with a user")

    assert sent(channel, fake.says("/ack 42")) == 200

    assert len(door.asks) == 1
    assert "telegram reply not sent" in caplog.text


@pytest.mark.parametrize(
    "headers", [{}, {"X-Telegram-Bot-Api-Secret-Token": "wr\u00f6ng"}, {"x-telegram-bot-api-secret-token": ""}]
)
def test_row_67_without_the_secret_token_it_is_401_and_nothing_is_said(
    fake: FakeTelegram, door: SmallDoor, channel: Telegram, headers: dict[str, str]
) -> None:
    with pytest.raises(Rejected) as refused:
        channel.receive(headers, json.dumps(fake.says("/ack 42")).encode())

    assert (refused.value.status, refused.value.message) == (401, "")
    assert door.heard == []


def test_row_67_a_bot_without_a_secret_takes_no_webhook(fake: FakeTelegram, door: SmallDoor) -> None:
    channel = Telegram(settings(fake, mode="polling", secret_token=SecretStr("")))

    with pytest.raises(Rejected) as refused:
        channel.receive({"X-Telegram-Bot-Api-Secret-Token": ""}, b"{}")

    assert refused.value.status == 401


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"{", 400), (b"[]", 400), (b"\xff", 400), (b"[" * 200_000, 400), (b" " * ((1 << 20) + 1), 413)],
)
def test_a_body_that_is_no_update_is_refused(channel: Telegram, body: bytes, status: int) -> None:
    with pytest.raises(Rejected) as refused:
        channel.receive(SIGNED, body)

    assert refused.value.status == status


def test_before_the_bot_knows_its_name_telegram_is_asked_to_send_again(fake: FakeTelegram, door: SmallDoor) -> None:
    channel = Telegram(settings(fake))

    with pytest.raises(Rejected) as early:
        channel.receive(SIGNED, json.dumps(fake.says("/ack 42")).encode())

    assert early.value.status == 503


def test_row_68_an_update_seen_before_has_no_second_effect_and_no_second_answer(
    fake: FakeTelegram, door: SmallDoor, channel: Telegram
) -> None:
    asked, refused = fake.says("/ack 42"), fake.says("/ack 42", user=9009)

    statuses = [sent(channel, update) for update in (asked, refused, asked, refused)]

    assert statuses == [200] * 4
    assert len(door.asks) == 1
    assert len(fake.posts) == 2


def test_a_button_is_asked_for_the_presser_and_answered_to_him_alone(
    fake: FakeTelegram, door: SmallDoor, channel: Telegram
) -> None:
    update = fake.presses(600, "ack 42", keyboard=("ack 42", "resolve 42"))

    sent(channel, update)

    (ask,) = door.asks
    assert (ask.by, ask.text, ask.incident_id) == (ANA, "ack 42", 42)
    assert ask.idempotency_key == f"update:{update['update_id']}"
    assert [(flash.text, flash.alert) for flash in fake.flashes] == [("Done: ack 42", False)]
    assert fake.posts == {}


def test_a_button_works_before_its_card_is_known_and_after_it_was_edited_away(
    fake: FakeTelegram, door: SmallDoor, channel: Telegram
) -> None:
    sent(channel, fake.presses(601, "ack 42", keyboard=("ack 42",)))
    sent(channel, fake.presses(600, "ack 42"))

    assert [(ask.text, ask.incident_id) for ask in door.asks] == [("ack 42", None), ("ack 42", 42)]


def test_a_refused_button_says_why_in_an_alert_of_two_hundred_characters(
    fake: FakeTelegram, door: SmallDoor, channel: Telegram
) -> None:
    door.answer_next(Reply(text="Already resolved by Ben. " + "\U0001f600" * 200, ok=False))

    sent(channel, fake.presses(600, "ack 42"))
    sent(channel, fake.presses(600, "ack 42", user=9009))

    first, second = fake.flashes
    assert first.alert
    assert first.text.startswith("Already resolved by Ben. ")
    assert (second.alert, second.text) == (True, "Link your account first: /link. Nothing was done.")


def test_row_73_a_command_for_another_bot_is_ignored(fake: FakeTelegram, door: SmallDoor, channel: Telegram) -> None:
    assert sent(channel, fake.says("/ack@OtherBot 42")) == 200

    assert (door.heard, fake.posts) == ([], {})


def test_row_74_what_is_no_text_or_too_long_is_ignored(fake: FakeTelegram, door: SmallDoor, channel: Telegram) -> None:
    place = {"latitude": 1.0, "longitude": 2.0}
    updates = [
        fake.shows(sticker={"file_id": "x", "emoji": "\U0001f600"}),
        fake.shows(photo=[{"file_id": "x"}], caption="/ack 42"),
        fake.shows(location=place),
        fake.shows(poll={"id": "1", "question": "/ack 42?"}),
        fake.says("/note 42 " + "x" * 4087),
        fake.updates(my_chat_member={"chat": {"id": CHAT}}),
        fake.updates(message=["not", "an", "object"]),
        {"update_id": True},
        {},
    ]

    statuses = [sent(channel, update) for update in updates]

    assert statuses == [200] * len(updates)
    assert (door.heard, fake.posts) == ([], {})
