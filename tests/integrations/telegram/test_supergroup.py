"""A group that becomes a supergroup has another id: known by what comes in, by what goes out, and after a restart."""

from __future__ import annotations

from typing import Any

import pytest

from bot.core.message import MessageKind
from bot.integrations.telegram.channel import Telegram
from bot.store.channel_facts import StoredKeptFacts
from tests.fakes.door import SmallDoor
from tests.fakes.telegram import FakeTelegram
from tests.house import House
from tests.integrations.telegram.room import CHAT, notice, opened, sent, settings

NEW = -1002003004005


class Notebook:
    """Facts in memory. `closed`: nothing can be written down."""

    def __init__(self) -> None:
        self.kept: dict[str, str] = {}
        self.closed = False

    def recall(self, name: str) -> str | None:
        return self.kept.get(name)

    def remember(self, name: str, value: str) -> bool:
        if not self.closed:
            self.kept[name] = value
        return not self.closed


@pytest.fixture
def notebook() -> Notebook:
    return Notebook()


def started(fake: FakeTelegram, door: SmallDoor, notebook: Notebook, **more: Any) -> Telegram:
    channel = Telegram(settings(fake, **more))
    channel.learn_into(notebook)
    before = opened(fake)
    channel.start(door)
    fake.wait(lambda: opened(fake) > before, "listening")
    fake.wait(lambda: channel._handler is not None, "its own name")
    return channel


def leaves(fake: FakeTelegram) -> dict[str, Any]:
    """What Telegram says in the old group."""
    update = fake.says("", chat=CHAT, migrate_to_chat_id=NEW)
    del update["message"]["text"]
    return update


def arrives(fake: FakeTelegram) -> dict[str, Any]:
    """What it says in the new one."""
    update = fake.says("", chat=NEW, migrate_from_chat_id=CHAT)
    del update["message"]["text"]
    return update


@pytest.mark.parametrize("says", [leaves, arrives])
def test_it_is_known_by_what_comes_in_before_anything_was_sent(
    fake: FakeTelegram, door: SmallDoor, notebook: Notebook, says: Any
) -> None:
    channel = started(fake, door, notebook)
    try:
        fake.migrate(CHAT, NEW)
        sent(channel, says(fake))
        sent(channel, fake.says("/ack 42", chat=NEW))
        ref = channel.deliver(notice())
    finally:
        channel.stop()

    assert [ask.text for ask in door.asks] == ["ack 42"]
    assert ref is not None
    assert ref.startswith(f"{NEW}:")
    assert [call for call in fake.received if call.fields.get("chat_id") == str(CHAT)] == []


@pytest.mark.parametrize("by", ["what comes in", "what goes out", "a message of its own"])
def test_it_is_known_after_a_restart(fake: FakeTelegram, door: SmallDoor, notebook: Notebook, by: str) -> None:
    channel = started(fake, door, notebook)
    fake.migrate(CHAT, NEW)
    if by == "what comes in":
        sent(channel, arrives(fake))
    elif by == "what goes out":
        channel.deliver(notice())
    else:
        channel.post("audit log: 7", None)
    channel.stop()
    before = len(fake.received)

    channel = started(fake, door, notebook)
    try:
        channel.deliver(notice(MessageKind.CARD))
        sent(channel, fake.says("/ack 42", chat=NEW))
    finally:
        channel.stop()

    assert [call for call in fake.received[before:] if call.fields.get("chat_id") == str(CHAT)] == []
    assert [ask.text for ask in door.asks] == ["ack 42"]


def test_what_could_not_be_kept_is_kept_at_the_next_occasion(
    fake: FakeTelegram, door: SmallDoor, notebook: Notebook
) -> None:
    channel = started(fake, door, notebook)
    try:
        fake.migrate(CHAT, NEW)
        notebook.closed = True
        channel.deliver(notice())
        notebook.closed = False
        channel.deliver(notice())
    finally:
        channel.stop()

    assert list(notebook.kept.values()) == [str(NEW)]


def test_another_chat_in_the_settings_counts_more_than_what_was_learned(
    fake: FakeTelegram, door: SmallDoor, notebook: Notebook
) -> None:
    notebook.remember(f"supergroup of {CHAT}", str(NEW))
    fake.chats.add(-777)

    channel = started(fake, door, notebook, chat_id=-777)
    try:
        ref = channel.deliver(notice())
    finally:
        channel.stop()

    assert ref is not None
    assert ref.startswith("-777:")


def test_a_group_that_is_not_ours_moves_nothing(fake: FakeTelegram, door: SmallDoor, notebook: Notebook) -> None:
    channel = started(fake, door, notebook)
    try:
        sent(channel, fake.says("", chat=-555, migrate_to_chat_id=NEW))
        sent(channel, fake.says("", chat=NEW, migrate_from_chat_id=-555))
        ref = channel.deliver(notice())
    finally:
        channel.stop()

    assert ref is not None
    assert ref.startswith(f"{CHAT}:")
    assert notebook.kept == {}


def test_a_result_that_belongs_to_a_message_of_the_old_group_is_said_in_the_new_one(
    fake: FakeTelegram, door: SmallDoor, notebook: Notebook
) -> None:
    channel = started(fake, door, notebook)
    try:
        fake.migrate(CHAT, NEW)
        sent(channel, arrives(fake))
        at = channel.post("done", f"{CHAT}:600")
    finally:
        channel.stop()

    assert at.startswith(f"{NEW}:")


def test_the_database_keeps_it_for_each_channel(house: House) -> None:
    facts = StoredKeptFacts(house.store, "telegram")
    empty = facts.recall("a")

    assert facts.remember("a", "1")
    assert facts.remember("a", "2")

    assert (empty, facts.recall("a")) == (None, "2")
    assert StoredKeptFacts(house.store, "slack").recall("a") is None
