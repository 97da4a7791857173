"""Linking through real channels: a code shown in Slack's direct message is sent in Telegram's private chat."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from bot.channels.slack import Slack
from bot.channels.telegram import Telegram
from tests.fakes.slack import FakeSlack
from tests.fakes.telegram import FakeTelegram
from tests.house import BO, House, alert
from tests.plugs.slack.notices import hear, section
from tests.plugs.telegram_room import SIGNED, hears, others, settings


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)


class Chats:
    """Slack and Telegram before one house. Bo has Slack's account U2."""

    def __init__(self, house: House, slack: FakeSlack, telegram: FakeTelegram) -> None:
        house.settle({("slack", "U2"): BO})
        self.fakes = (slack, telegram)
        self.slack = Slack(section(slack))
        self.telegram = Telegram(settings(telegram))
        self.slack.start(house.desk)
        self.telegram.start(house.desk)
        telegram.wait(lambda: hears(self.telegram), "Telegram to listen")

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
def chats(house: House) -> Iterator[Chats]:
    with FakeSlack() as slack, FakeTelegram() as telegram:
        made = Chats(house, slack, telegram)
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
    assert linked == "This account (telegram: 7) is Bo's from now on."
    assert after == "Incident 1 is yours: HighErrorRate"
    assert house.incident().owner == "bo"
    assert chats.in_slack("/incidents").startswith("Since 2026-11-23 12:00 UTC the telegram account 7 is yours.")


def test_row_72_nothing_of_it_happens_where_others_read(chats: Chats) -> None:
    asked = chats.in_slack("/vakhta", "link")
    line = re.findall(r"^/link \S+$", chats.in_slack("/link", channel_id="D1"), re.MULTILINE)[0]

    sent_to_all = chats.in_telegram(line)

    assert (asked, sent_to_all) == ("Send this in private. Nothing was done.",) * 2
    assert chats.in_telegram(line, chat=7) == "Code not valid. Get a new one."
