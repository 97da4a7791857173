"""Telegram's command menu: offered in both modes, only when it differs, and never in the way of hearing."""

from __future__ import annotations

from itertools import takewhile

import pytest

import commands
from bot.core.registry import Registry
from bot.integrations.telegram.channel import Telegram
from bot.integrations.telegram.menu import menu
from tests.fakes.door import ACK, Said, SmallDoor
from tests.fakes.telegram import FakeTelegram
from tests.integrations.telegram.room import listening, sent

pytestmark = pytest.mark.waits

OFFERED = [("ack", "take an incident"), ("break_glass", "take the rights for an emergency")]
REAL = Registry(commands=commands.find(), actions=commands.actions()).all


@pytest.mark.parametrize("mode", ["webhook", "polling"])
def test_whoever_types_a_slash_is_offered_the_verbs_with_what_they_do(
    fake: FakeTelegram, door: SmallDoor, mode: str
) -> None:
    with listening(fake, door, mode=mode):
        fake.wait(lambda: bool(fake.menu.shown), "the menu")

    assert fake.menu.shown == OFFERED
    assert len(fake.calls("setMyCommands")) == 1


def test_a_restart_sets_the_menu_only_when_it_differs(fake: FakeTelegram, door: SmallDoor) -> None:
    fake.menu.shown = list(OFFERED)

    with listening(fake, door):
        fake.wait(lambda: len(fake.calls("getMyCommands")) == 1, "the first look")
    door.offered = (ACK,)
    with listening(fake, door):
        fake.wait(lambda: fake.menu.shown == OFFERED[:1], "the new menu")

    assert len(fake.calls("setMyCommands")) == 1


@pytest.mark.parametrize("method", ["getMyCommands", "setMyCommands"])
@pytest.mark.parametrize("mode", ["webhook", "polling"])
@pytest.mark.parametrize("status", [400, 429, 502])
def test_a_menu_that_is_refused_is_logged_and_the_bot_hears(
    fake: FakeTelegram,
    door: SmallDoor,
    caplog: pytest.LogCaptureFixture,
    *,
    method: str,
    mode: str,
    status: int,
) -> None:
    fake.refuse_next(method, status, "no", **({"retry_after": 3} if status == 429 else {}))

    with listening(fake, door, mode=mode) as channel:
        fake.wait(lambda: "telegram command menu not set" in caplog.text, "the word of it")
        said = fake.says("/ack 42")
        if mode == "webhook":
            sent(channel, said)
        asks = door.wait_for_asks(1)
        fake.wait(lambda: channel.health_problem() is None, "it is well")

    assert [ask.text for ask in asks] == ["ack 42"]
    assert fake.menu.shown == []


def test_a_bug_in_the_menu_is_logged_and_the_bot_hears(
    fake: FakeTelegram, door: SmallDoor, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(door, "menu", lambda: 1 / 0)

    with listening(fake, door, mode="polling") as channel:
        fake.wait(lambda: "telegram command menu failed" in caplog.text, "the word of it")
        fake.says("/ack 42")
        door.wait_for_asks(1)

        assert channel.health_problem() is None


def test_every_verb_of_the_bot_is_offered_and_heard_when_it_is_tapped(
    fake: FakeTelegram, door: SmallDoor, channel: Telegram
) -> None:
    offered = menu(list(REAL.values()))
    fake.menu.take({"commands": [{"command": name, "description": said} for name, said in offered]})

    for name, _ in offered:
        sent(channel, fake.says(f"/{name}@vakhta_test_bot"))

    assert {ask.text for ask in door.asks} == REAL.keys()
    assert {name.replace("_", "-"): said for name, said in offered} == {verb: one.summary for verb, one in REAL.items()}


def test_what_is_whole_as_it_is_tapped_comes_first() -> None:
    offered = [REAL[name.replace("_", "-")] for name, _ in menu(list(REAL.values()))]

    of_a_card = list(takewhile(lambda one: "<incident>" in one.usage, offered))
    anywhere = list(takewhile(lambda one: "<" not in one.usage.partition(" [")[0], offered[len(of_a_card) :]))
    rest = [one.verb for one in offered[len(of_a_card) + len(anywhere) :]]

    assert [one.verb for one in of_a_card] == ["ack", "reopen", "resend", "resolve", "show", "unack"]
    assert {"help", "incidents", "whoami"} <= {one.verb for one in anywhere}
    assert {"assign", "note", "silence", "yes"} <= set(rest)


def test_what_telegram_would_not_take_is_left_out_or_cut() -> None:
    strange = [Said("ünlink", "ünlink", "says"), Said("v" * 33, "v" * 33, "says"), Said("mute", "mute", "")]
    many = [Said(f"v{at:03}", f"v{at:03}", "does it") for at in range(120)]

    assert menu([*strange, Said("long", "long", "x" * 300)]) == [("long", "x" * 256)]
    assert [name for name, _ in menu(many)] == [f"v{at:03}" for at in range(100)]
