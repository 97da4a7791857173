"""Telegram, listening: webhook and polling, from start to stop."""

from __future__ import annotations

import threading

import pytest
from pydantic import SecretStr

from bot.core.errors import Undelivered
from bot.integrations.telegram.channel import Telegram
from tests.fakes.door import SmallDoor
from tests.fakes.telegram import FakeTelegram
from tests.integrations.telegram.room import SECRET, listening, notice, settings

pytestmark = pytest.mark.waits


def test_the_webhook_is_set_with_its_secret_and_only_what_is_heard(fake: FakeTelegram, channel: Telegram) -> None:
    assert fake.webhook == {
        "url": "https://bot.example.net/in/telegram",
        "secret_token": SECRET,
        "allowed_updates": ["message", "callback_query"],
    }
    assert channel.health_problem() is None


def test_polling_ends_a_webhook_and_hears_commands_and_buttons(fake: FakeTelegram, door: SmallDoor) -> None:
    fake.webhook = {"url": "https://old.example.net"}
    fake.says("/incidents")

    with listening(fake, door, mode="polling") as channel:
        door.wait_for_asks(1)
        fake.presses(600, "ack 42")
        door.wait_for_asks(2)
        fake.wait(lambda: bool(fake.flashes and fake.posts), "both answers")

        assert channel.health_problem() is None
    assert [ask.text for ask in door.asks] == ["incidents", "ack 42"]
    assert not fake.calls("setWebhook")


def test_an_update_is_behind_us_only_when_the_door_has_done_with_it(fake: FakeTelegram, door: SmallDoor) -> None:
    door.answer_next(OSError("the store is down"))
    first, second = fake.says("/ack 42"), fake.says("/ack 43")

    with listening(fake, door, mode="polling"):
        door.wait_for_asks(2)
        fake.wait(lambda: not fake.pending, "the updates are behind us")

    assert [ask.text for ask in door.heard] == ["ack 42", "ack 42", "ack 43"]
    assert [ask.idempotency_key for ask in door.asks] == [f"update:{each['update_id']}" for each in (first, second)]


def test_a_crash_while_the_door_is_at_work_leaves_the_update_with_telegram(fake: FakeTelegram, door: SmallDoor) -> None:
    update = fake.says("/ack 42")
    for _ in range(9):
        door.answer_next(OSError("the store is down"))

    with listening(fake, door, mode="polling"):
        door.wait_for_heard(1)

    assert fake.pending == [update]
    assert door.asks == []


def test_an_update_that_always_fails_is_set_aside_and_its_author_is_told(
    fake: FakeTelegram, door: SmallDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.integrations.telegram.polling._FIRST_PAUSE_S", 0.0)
    for _ in range(9):
        door.answer_next(ZeroDivisionError("a bug"))
    fake.says("/ack 42")
    fake.says("/ack 43")

    with listening(fake, door, mode="polling"):
        door.wait_for_asks(1)
        fake.wait(lambda: len(fake.posts) == 2, "both answers")

    assert [ask.text for ask in door.asks] == ["ack 43"]
    assert any("may have been done" in posted.text for posted in fake.posts.values())


def test_an_update_that_the_library_cannot_read_does_not_hold_up_the_next(fake: FakeTelegram, door: SmallDoor) -> None:
    fake.updates(message={"from": 5, "chat": "nowhere"})
    fake.says("/ack 42")

    with listening(fake, door, mode="polling"):
        door.wait_for_asks(1)

    assert [ask.text for ask in door.asks] == ["ack 42"]


def test_a_second_poller_is_named_and_polling_goes_on_when_it_is_gone(fake: FakeTelegram, door: SmallDoor) -> None:
    fake.refuse_next("getUpdates", 409, "Conflict: terminated by other getUpdates request")

    with listening(fake, door, mode="polling") as channel:
        fake.wait(lambda: channel.health_problem() is not None, "the conflict is told")
        trouble = channel.health_problem() or ""
        fake.says("/ack 42")
        door.wait_for_asks(1)

        assert channel.health_problem() is None
    assert trouble.startswith("Another program polls with the same bot token")


def test_two_pollers_get_in_each_others_way(fake: FakeTelegram, door: SmallDoor) -> None:
    with listening(fake, door, mode="polling") as one, listening(fake, door, mode="polling") as other:
        fake.wait(lambda: bool(one.health_problem() or other.health_problem()), "one of them is told")


def test_a_wrong_token_is_told_and_does_not_show(fake: FakeTelegram, door: SmallDoor) -> None:
    channel = Telegram(settings(fake, token=SecretStr("1:other-token")))

    channel.start(door)
    fake.wait(lambda: channel.health_problem() is not None, "the trouble is told")
    channel.stop()

    assert "channels.telegram.token" in (channel.health_problem() or "")
    assert "1:other-token" not in f"{channel.health_problem()} {channel!r}"
    assert set(fake.faults) == {"Unauthorized"}
    fake.faults.clear()


@pytest.mark.parametrize("mode", ["polling", "webhook"])
def test_no_thread_outlives_the_channel_and_it_can_start_again(fake: FakeTelegram, door: SmallDoor, mode: str) -> None:
    before = ours()

    for _ in range(2):
        with listening(fake, door, mode=mode) as channel:
            assert ours() > before
            channel.deliver(notice())

    channel.stop()
    assert ours() == before
    assert len(fake.posts) == 2


def test_a_stop_ends_a_delivery_that_hangs(fake: FakeTelegram, door: SmallDoor) -> None:
    said: list[str] = []
    fake.answer_next(path="/sendMessage", hang=True)
    with listening(fake, door) as channel:
        hanging = threading.Thread(target=lambda: said.append(refusal(channel)))
        hanging.start()
        fake.wait(lambda: bool(fake.calls("sendMessage")), "the delivery is under way")
    hanging.join(60)

    assert said == ["The Telegram channel stopped meanwhile. The message may or may not have arrived."]


def refusal(channel: Telegram) -> str:
    with pytest.raises(Undelivered) as failed:
        channel.deliver(notice())
    return failed.value.message


def ours() -> set[str]:
    return {thread.name for thread in threading.enumerate() if thread.name.startswith("telegram")}
