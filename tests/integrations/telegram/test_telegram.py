"""Telegram, out: what the channel puts into the chat, through the real library, against the strict fake."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

import pytest

from bot.core.alert import Severity
from bot.core.channel import RateLimit
from bot.core.errors import Refusal, Undelivered
from bot.core.message import MessageKind
from bot.integrations.telegram.api import TelegramApi
from bot.integrations.telegram.channel import Telegram
from tests.fakes.door import SmallDoor
from tests.fakes.telegram import TOKEN, FakeTelegram
from tests.integrations.telegram.room import BUTTONS, CHAT, hears, listening, notice, sent, settings


def test_a_card_is_posted_as_html_with_its_buttons(fake: FakeTelegram, channel: Telegram) -> None:
    ref = channel.deliver(notice(severity=Severity.CRITICAL))

    assert ref == fake.card.ref
    assert fake.card.html == "🔴 <b>Disk full</b>\napi-1 &amp; api-2 &lt; 5 %"
    assert fake.card.buttons == BUTTONS
    assert fake.card.topic_id is None


def test_a_card_is_edited_in_place(fake: FakeTelegram, channel: Telegram) -> None:
    ref = channel.deliver(notice())

    again = channel.deliver(notice(ref=ref, title="Disk fuller", buttons={}))

    assert again == ref
    assert (fake.card.text, fake.card.buttons, fake.card.edits) == ("🔵 Disk fuller\napi-1 & api-2 < 5 %", {}, 1)


def test_an_edit_that_changes_nothing_is_done(fake: FakeTelegram, channel: Telegram) -> None:
    ref = channel.deliver(notice())

    assert channel.deliver(notice(ref=ref)) == ref
    assert fake.card.edits == 0


def test_a_card_that_somebody_deleted_is_posted_anew(fake: FakeTelegram, channel: Telegram) -> None:
    ref = channel.deliver(notice())
    fake.delete(fake.card.message_id)

    again = channel.deliver(notice(ref=ref))

    assert again != ref
    assert again == fake.card.ref


def test_a_line_answers_the_card(fake: FakeTelegram, channel: Telegram) -> None:
    card = channel.deliver(notice())
    standing = fake.card

    line = channel.deliver(notice(MessageKind.LINE, ref=card, said="Ana has it <3"))

    assert line is not None
    posted = fake.posts[CHAT, int(line.rpartition(":")[2])]
    assert (posted.reply_to, posted.buttons) == (standing.message_id, {})
    # A phone's notification does not show what it replies to.
    assert posted.text == "🔴 #42 Disk full: Ana has it <3"


def test_a_line_arrives_also_when_its_card_is_deleted(fake: FakeTelegram, channel: Telegram) -> None:
    card = channel.deliver(notice())
    fake.delete(fake.card.message_id)

    channel.deliver(notice(MessageKind.LINE, ref=card, said="Ana has it"))

    assert (fake.card.text, fake.card.reply_to) == ("🔴 #42 Disk full: Ana has it", None)


def test_in_a_topic_card_and_line_carry_its_id(fake: FakeTelegram, door: SmallDoor) -> None:
    with listening(fake, door, topic_id=7) as channel:
        card = channel.deliver(notice())
        channel.deliver(notice(MessageKind.LINE, ref=card, said="Ana has it"))

    assert [posted.topic_id for posted in fake.posts.values()] == [7, 7]


@pytest.mark.parametrize("topics", [{7: False}, {}])
def test_a_closed_or_deleted_topic_is_named(fake: FakeTelegram, door: SmallDoor, topics: dict[int, bool]) -> None:
    fake.topics = topics
    with listening(fake, door, topic_id=7) as channel, pytest.raises(Undelivered) as failed:
        channel.deliver(notice())

    assert failed.value.permanent
    assert "topic is closed or deleted" in failed.value.message
    assert "channels.telegram.topic_id" in failed.value.message


def test_a_group_that_became_a_supergroup_is_followed(
    fake: FakeTelegram, door: SmallDoor, channel: Telegram, caplog: pytest.LogCaptureFixture
) -> None:
    card = channel.deliver(notice())
    fake.migrate(CHAT, -100999)

    anew = channel.deliver(notice(ref=card))
    channel.deliver(notice(MessageKind.LINE, ref=anew, said="Ana has it"))
    sent(channel, fake.says("/ack 42"))

    assert anew is not None
    assert anew.startswith("-100999:")
    assert len([call for call in fake.received if call.fields.get("chat_id") == str(CHAT)]) == 2
    assert any(record.__dict__.get("now") == -100999 for record in caplog.records)
    assert [ask.text for ask in door.asks] == ["ack 42"]


def test_html_that_telegram_cannot_read_is_sent_plain(fake: FakeTelegram, channel: Telegram) -> None:
    fake.refuse_next("sendMessage", 400, "Bad Request: can't parse entities: Unexpected end tag")

    channel.deliver(notice())

    assert (fake.card.html, fake.card.text) == ("", "🔵 Disk full\napi-1 & api-2 < 5 %")


def test_a_pause_that_telegram_asks_for_is_handed_on(fake: FakeTelegram, channel: Telegram) -> None:
    fake.refuse_next("sendMessage", 429, "Too Many Requests: retry after 7", retry_after=7)

    with pytest.raises(Undelivered) as failed:
        channel.deliver(notice())

    assert (failed.value.retry_after, failed.value.permanent) == (timedelta(seconds=7), False)
    assert len(fake.calls("sendMessage")) == 1


@pytest.mark.parametrize(
    ("status", "said", "refused"),
    [
        (403, "Forbidden: bot was kicked from the supergroup chat", Refusal.PLACE),
        (400, "Bad Request: chat not found", Refusal.PLACE),
        (400, "Bad Request: not enough rights to send text messages to the chat", Refusal.PLACE),
        (400, "Bad Request: TOPIC_CLOSED", Refusal.PLACE),
        (401, "Unauthorized", Refusal.KEY),
        (400, "Bad Request: message is too long", None),
    ],
)
def test_what_cannot_help_to_try_again_is_permanent(
    fake: FakeTelegram, channel: Telegram, status: int, said: str, refused: Refusal | None
) -> None:
    fake.refuse_next("sendMessage", status, said)

    with pytest.raises(Undelivered) as failed:
        channel.deliver(notice())

    assert (failed.value.permanent, failed.value.refused) == (True, refused)
    assert "channels.telegram." in failed.value.message


@pytest.mark.parametrize(
    "trouble",
    [
        {"status": 500, "body": b'{"ok": false, "description": "Internal Server Error"}'},
        {"status": 502, "body": b"<html>Bad gateway</html>"},
        {"status": 200, "body": b"<html>Log in to the Wi-Fi</html>"},
        {"status": 200, "body": b"{}"},
        {"status": 200, "body": b'{"ok": true, "result": []}'},
        {"reset": True},
    ],
)
def test_trouble_on_the_way_is_temporary_tried_once_and_without_the_token(
    fake: FakeTelegram, channel: Telegram, trouble: dict[str, Any]
) -> None:
    fake.answer_next(path="/sendMessage", **trouble)

    with pytest.raises(Undelivered) as failed:
        channel.deliver(notice())

    assert (failed.value.permanent, failed.value.retry_after) == (False, None)
    assert TOKEN not in f"{failed.value.message} {failed.value!r}"
    assert failed.value.__cause__ is None
    assert len(fake.calls("sendMessage")) == 1


def test_a_platform_that_does_not_answer_is_not_waited_for_for_ever(
    fake: FakeTelegram, channel: Telegram, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TelegramApi._call, "__kwdefaults__", {"within_s": 0.05})
    fake.answer_next(path="/sendMessage", hang=True)

    with pytest.raises(Undelivered, match="may or may not be there"):
        channel.deliver(notice())


def test_no_log_line_holds_the_token(fake: FakeTelegram, door: SmallDoor, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    with listening(fake, door, mode="polling") as channel:
        channel.deliver(notice())
        fake.answer_next(path="/sendMessage", status=401, body=b"{}")
        with pytest.raises(Undelivered):
            channel.deliver(notice())

    assert any(record.name.startswith("httpcore") for record in caplog.records)
    assert TOKEN not in caplog.text


def test_nothing_is_delivered_before_start_or_after_stop(fake: FakeTelegram, door: SmallDoor) -> None:
    channel = Telegram(settings(fake))
    with pytest.raises(Undelivered, match="not started"):
        channel.deliver(notice())

    with listening(fake, door) as channel:
        pass

    with pytest.raises(Undelivered, match="not started"):
        channel.deliver(notice())
    assert fake.posts == {}


def test_the_limits_are_those_of_the_kind_of_chat(fake: FakeTelegram) -> None:
    each, minute = RateLimit(count=1, per=timedelta(seconds=1.02)), RateLimit(count=20, per=timedelta(seconds=60.5))

    assert Telegram(settings(fake)).limits == (each, minute)
    assert Telegram(settings(fake, chat_id=1001)).limits == (each,)


def test_the_fake_keeps_telegrams_rate_limits(fake: FakeTelegram, channel: Telegram) -> None:
    fake.limited = True
    ref = channel.deliver(notice())

    with pytest.raises(Undelivered) as failed:
        channel.deliver(notice(ref=ref, title="Disk fuller"))

    assert failed.value.retry_after == timedelta(seconds=1)
    assert fake.refused == 1


def test_without_a_connection_nothing_was_sent_and_that_is_said(fake: FakeTelegram, door: SmallDoor) -> None:
    with listening(fake, door) as channel:
        fake.wait(lambda: hears(channel), "the channel is open")
        assert channel._live is not None
        assert channel._menu_task is not None
        channel._menu_task.result()  # what it still connects would be lost with the pool, and left open
        channel._live.loop.run(channel._live.bot._api.request.shutdown())
        channel._live.loop.run(channel._live.bot._api.request.initialize())
        fake.__exit__(None, None, None)

        with pytest.raises(Undelivered) as failed:
            channel.deliver(notice())

    assert not failed.value.permanent
    assert failed.value.message.endswith("Nothing was sent.")


def test_a_line_of_its_own_is_said_where_it_is_to_be(fake: FakeTelegram, channel: Telegram) -> None:
    at = channel.post("audit log: 7 <b>", None)

    assert at == f"{CHAT}:{fake.card.message_id}"
    assert fake.card.text == "audit log: 7 <b>"


def test_a_line_of_its_own_for_a_chat_that_is_not_there_is_undelivered(channel: Telegram) -> None:
    with pytest.raises(Undelivered, match="Chat not found"):
        channel.post("audit log: 7", "-1009")
