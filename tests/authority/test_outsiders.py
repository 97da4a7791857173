"""Every verb, used by those whom the channel refuses although the settings list them as admins.

The channels and the dispatcher are real; the platforms are strict fakes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import product

import pytest

from bot.access.identity import LINK_FIRST
from bot.core.audit import Code
from bot.core.request import Principal
from bot.integrations.slack.channel import Slack
from bot.integrations.telegram.channel import Telegram
from tests.authority.ground import Ground, Night, copy_of, no_proxy
from tests.authority.table import KINDS, SAID
from tests.fakes.slack import FakeSlack
from tests.fakes.slack_values import member
from tests.fakes.telegram import FakeTelegram
from tests.fakes.telegram_people import Update
from tests.integrations.slack.notices import section
from tests.integrations.telegram.room import CHAT, hears, listening, sent

_ADMIN = KINDS["admin"]
_GUEST, _OTHER = "your account is a guest", "your account belongs to another company"

#: In Slack: what is wrong with the account, and what it is told.
IN_SLACK: dict[str, tuple[dict[str, object], str]] = {
    "UGUEST": ({"is_restricted": True}, _GUEST),
    "UULTRA": ({"is_ultra_restricted": True}, _GUEST),
    "USTRANGER": ({"is_stranger": True}, _OTHER),
    "UELSEWHERE": ({"team_id": "T2"}, _OTHER),
    "UGONE": ({"deleted": True}, "your account is deactivated"),
    "UBOTTY": ({"is_bot": True}, "your account is a bot"),
}
#: In Telegram: how it is said.
IN_TELEGRAM: dict[str, Callable[[FakeTelegram, str], Update]] = {
    "anonymous admin": lambda fake, words: fake.says_anonymously(f"/{words}"),
    "as a channel": lambda fake, words: fake.says_as_channel(f"/{words}"),
    "channel post": lambda fake, words: fake.publishes(f"/{words}"),
    "edited": lambda fake, words: fake.edits(f"/{words}"),
    "forwarded": lambda fake, words: fake.forwards(f"/{words}"),
    "by way of a bot": lambda fake, words: fake.says(f"/{words}", via_bot={"id": 5, "is_bot": True}),
}
_LISTED: dict[tuple[str, str], Principal] = {
    **{("slack", account): _ADMIN for account in IN_SLACK},
    ("telegram", "1001"): _ADMIN,
    ("telegram", "1087968824"): _ADMIN,
    ("telegram", "136817688"): _ADMIN,
    ("slack", "U1"): _ADMIN,
}


@pytest.fixture(scope="module")
def ground(night: Night, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """One for all: nothing that is refused changes it, and each test looks that it has not."""
    made = copy_of(night, tmp_path_factory.mktemp("outside") / "vakhta.db", _LISTED)
    yield made
    made.close()


@pytest.fixture(scope="module")
def fake_slack() -> Iterator[FakeSlack]:
    with FakeSlack() as fake:
        fake.users |= {account: member(account, **wrong) for account, (wrong, _) in IN_SLACK.items()}
        fake.users["UNOBODY"] = member("UNOBODY")
        yield fake


@pytest.fixture(scope="module")
def slack(ground: Ground, fake_slack: FakeSlack) -> Iterator[Slack]:
    with no_proxy():
        channel = Slack(section(fake_slack))
        channel.start(ground.dispatcher)
        fake_slack.wait(lambda: channel.health_problem() is None, "the introduction")
        yield channel
        channel.stop()


@pytest.fixture(scope="module")
def fake_telegram() -> Iterator[FakeTelegram]:
    with FakeTelegram(chat_id=CHAT) as fake:
        yield fake


@pytest.fixture(scope="module")
def telegram(ground: Ground, fake_telegram: FakeTelegram) -> Iterator[Telegram]:
    with listening(fake_telegram, ground.dispatcher) as channel:
        fake_telegram.wait(lambda: hears(channel), "the channel is open")
        yield channel


def typed(slack: Slack, fake: FakeSlack, words: str, user: str) -> str:
    """What a slash command is answered with."""
    headers, body = fake.sign(fake.command("/vakhta", words, user=user))
    said = json.loads(slack.receive(headers, body).body)["text"]
    assert isinstance(said, str)
    return said


@pytest.mark.parametrize("account_and_verb", list(product(IN_SLACK, SAID)), ids=" ".join)
def test_row_53_who_is_no_full_member_of_our_slack_does_nothing_whatever_the_settings_say(
    ground: Ground, night: Night, slack: Slack, fake_slack: FakeSlack, account_and_verb: tuple[str, str]
) -> None:
    account, verb = account_and_verb
    stored, recorded = ground.rows(), len(ground.record())

    said = typed(slack, fake_slack, night.words(verb), account)

    assert said == f"Denied: {IN_SLACK[account][1]}. Nothing was done."
    assert ground.record(recorded) == [Code.DENIED]
    assert ground.rows() == stored


@pytest.mark.parametrize("verb", SAID)
def test_row_54_a_member_who_is_not_linked_is_shown_nothing(
    ground: Ground, night: Night, slack: Slack, fake_slack: FakeSlack, verb: str
) -> None:
    stored, recorded = ground.rows(), len(ground.record())

    said = typed(slack, fake_slack, night.words(verb), "UNOBODY")

    assert said == ("Send this in a private chat. Nothing was done." if verb == "link" else LINK_FIRST)
    assert len(ground.record(recorded)) == 1
    assert ground.rows() == stored


def test_a_member_who_is_listed_is_heard(ground: Ground, slack: Slack, fake_slack: FakeSlack) -> None:
    """Without this one the tests above would pass on a Slack that hears nobody."""
    assert typed(slack, fake_slack, "show 1", "U1").startswith("#1 ")


def test_who_comes_from_another_workspace_by_slacks_own_word_is_refused_and_on_record(
    ground: Ground, slack: Slack, fake_slack: FakeSlack
) -> None:
    stored, recorded = ground.rows(), len(ground.record())
    press = fake_slack.press("ack 1", user="U1", message="1.000001")
    press.payload["user"] = {"id": "U1", "team_id": "T2"}
    headers, body = fake_slack.sign(press)

    slack.receive(headers, body)
    slack.receive(headers, body)

    assert ground.record(recorded) == [Code.DENIED], "once, however often it is told"
    assert ground.rows() == stored


@pytest.mark.parametrize("way_and_verb", list(product(IN_TELEGRAM, SAID)), ids=" ".join)
def test_rows_69_and_70_words_that_nobody_can_be_held_to_do_nothing_in_telegram(
    ground: Ground, night: Night, telegram: Telegram, fake_telegram: FakeTelegram, way_and_verb: tuple[str, str]
) -> None:
    way, verb = way_and_verb
    stored, recorded = ground.rows(), len(ground.record())

    sent(telegram, IN_TELEGRAM[way](fake_telegram, night.words(verb)))

    last = list(fake_telegram.posts.values())[-1].text
    assert last.startswith(("Anonymous and channel posts cannot", "Edited, forwarded and automatic messages cannot"))
    assert ground.record(recorded) == [Code.DENIED]
    assert ground.rows() == stored


@pytest.mark.parametrize("verb", SAID)
def test_somebody_who_is_not_linked_is_shown_nothing_in_telegram(
    ground: Ground, night: Night, telegram: Telegram, fake_telegram: FakeTelegram, verb: str
) -> None:
    stored, recorded = ground.rows(), len(ground.record())

    sent(telegram, fake_telegram.says(f"/{night.words(verb)}", user=9009))

    last = list(fake_telegram.posts.values())[-1].text
    assert last == ("Send this in a private chat. Nothing was done." if verb == "link" else LINK_FIRST)
    assert len(ground.record(recorded)) == 1
    assert ground.rows() == stored


def test_a_person_who_is_listed_is_heard_in_telegram(
    ground: Ground, telegram: Telegram, fake_telegram: FakeTelegram
) -> None:
    sent(telegram, fake_telegram.says("/show 1"))

    assert list(fake_telegram.posts.values())[-1].text.startswith("#1 ")
