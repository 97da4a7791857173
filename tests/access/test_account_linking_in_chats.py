"""Linking through real channels: a code shown in Slack's direct message is sent in Telegram's private chat."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from bot.integrations.slack.channel import Slack
from bot.integrations.telegram.channel import Telegram
from tests.fakes.slack import FakeSlack
from tests.fakes.telegram import FakeTelegram
from tests.house import BO, House, alert
from tests.integrations.slack.notices import hear, section
from tests.integrations.telegram.room import SIGNED, hears, others, settings

pytestmark = pytest.mark.waits


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)


class Chats:
    """One bot in Slack and Telegram that knows one account of Bo's."""

    def __init__(self, house: House, slack: FakeSlack, telegram: FakeTelegram, account: tuple[str, str]) -> None:
        house.settle({account: BO})
        self.fakes = (slack, telegram)
        self.slack = Slack(section(slack))
        self.telegram = Telegram(settings(telegram))
        self.slack.start(house.dispatcher)
        self.telegram.start(house.dispatcher)
        telegram.wait(lambda: hears(self.telegram), "Telegram to listen")
        house.reports = replace(house.reports, messengers={"slack": self.slack, "telegram": self.telegram})
        house.tending = replace(house.tending, reports=house.reports)

    def close(self) -> None:
        self.slack.stop()
        self.telegram.stop()

    def in_slack(self, command: str, text: str = "", **where: str) -> str:
        heard = hear(self.slack, self.fakes[0], self.fakes[0].command(command, text, user="U2", **where))
        return str(json.loads(heard.body)["text"])

    def in_telegram(self, text: str, **where: Any) -> str:
        body = json.dumps(self.fakes[1].says(text, user=7, **where)).encode()
        self.telegram.receive(SIGNED, body)
        assert self.telegram._live is not None
        self.telegram._live.loop.run(others())
        return list(self.fakes[1].posts.values())[-1].text


@pytest.fixture
def account() -> tuple[str, str]:
    return "slack", "U2"


@pytest.fixture
def chats(house: House, account: tuple[str, str]) -> Iterator[Chats]:
    with FakeSlack() as slack, FakeTelegram() as telegram:
        made = Chats(house, slack, telegram, account)
        yield made
        made.close()


def test_a_person_of_slack_becomes_the_same_person_in_telegram(house: House, chats: Chats) -> None:
    house.hears(alert())
    before = chats.in_telegram("/ack 1", chat=7)
    shown = chats.in_slack("/vakhta", "link", channel_id="D1")
    line = re.findall(r"^/link \S+$", shown, re.MULTILINE)[0]

    linked = chats.in_telegram(line, chat=7)
    after = chats.in_telegram("/ack 1", chat=7)

    assert before == "Link your account first: /link. Nothing was done."
    assert linked == "This account (telegram: 7) is linked to Bo."
    assert after == "Incident 1 is yours: HighErrorRate"
    assert house.incident().owner == "bo"
    assert chats.in_slack("/incidents").startswith("The telegram account 7 was linked to you at 2026-11-23 12:00 UTC.")


def test_row_72_nothing_of_it_happens_where_others_read(chats: Chats) -> None:
    asked = chats.in_slack("/vakhta", "link")
    line = re.findall(r"^/link \S+$", chats.in_slack("/link", channel_id="D1"), re.MULTILINE)[0]

    sent_to_all = chats.in_telegram(line)

    assert (asked, sent_to_all) == ("Send this in a private chat. Nothing was done.",) * 2
    assert chats.in_telegram(line, chat=7) == "Code not valid. Nothing was done. Get a new one: link."


def test_whoever_asked_is_told_in_their_direct_messages_without_asking(house: House, chats: Chats) -> None:
    shown = chats.in_slack("/vakhta", "link", channel_id="D1")
    chats.in_telegram(re.findall(r"^/link \S+$", shown, re.MULTILINE)[0], chat=7)

    house.tends()

    (told,) = [one for one in chats.fakes[0].messages if one.channel == "DU2"]
    assert told.text.startswith("The telegram account 7 was linked to you at 2026-11-23 12:00 UTC.")
    assert chats.in_slack("/incidents") == "There are no unresolved incidents."


@pytest.mark.parametrize("account", [("telegram", "7")])
def test_whoever_asked_in_telegram_is_told_in_their_private_chat(house: House, chats: Chats) -> None:
    shown = chats.in_telegram("/link", chat=7)
    chats.in_slack("/vakhta", re.findall(r"^/(link \S+)$", shown, re.MULTILINE)[0], channel_id="D1")

    house.tends()

    last = list(chats.fakes[1].posts.values())[-1]
    assert (last.chat_id, last.text[:54]) == (7, "The slack account U2 was linked to you at 2026-11-23 1")
