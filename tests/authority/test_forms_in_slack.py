"""Forms with the real dispatcher: offered to those who may use the verb, and authorized like a typed command."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

import commands
from bot.core.action import Action
from bot.core.audit import Code
from bot.core.command import Command
from bot.core.request import Principal
from bot.integrations.slack.channel import Slack
from tests.authority.ground import ACCOUNTS, Ground, no_proxy
from tests.authority.table import KINDS, expected
from tests.fakes.slack import FakeSlack
from tests.fakes.slack_speech import Spoken
from tests.fakes.slack_values import member, object_of, rows_of
from tests.integrations.slack.notices import section

_EXPECTED = expected()


def _asks(usage: str) -> bool:
    """Whether it takes several arguments, and cannot do without one of them."""
    return usage.count("<") > 1 and "<" in re.sub(r"\[.*?\]", "", usage)


_VERBS: Mapping[str, Command[Any] | Action[Any]] = {**commands.find(), **commands.actions()}
_WITH_FORMS = sorted([*(verb for verb, one in _VERBS.items() if _asks(one.usage)), "turn"])
#: What follows duty is offered to those who may have it at another time.
_BY_DUTY = {("turn", "off-call")}
#: What is theirs only for a plan of their own is not offered before they have named it.
_BY_PLAN = {("yes", "asker")}


class Desk:
    """The channel C1, with everybody in it, who fill in forms."""

    def __init__(self, slack: Slack, fake: FakeSlack) -> None:
        self.slack = slack
        self.fake = fake

    def says(self, who: Principal, words: str) -> bytes:
        return self.hears(self.fake.command("/vakhta", words, user=f"U-{who.id or 'nobody'}"))

    def sends(self, who: Principal, values: Mapping[str, str]) -> Mapping[str, str]:
        """What is wrong with it, by label."""
        return self.fake.views.answered(self.hears(self.fake.views.submit(values, user=f"U-{who.id or 'nobody'}")))

    def hears(self, spoken: Spoken) -> bytes:
        headers, body = self.fake.sign(spoken)
        heard = self.slack.receive(headers, body)
        assert heard.status == 200
        return heard.body

    def whispered(self) -> str:
        return html.unescape(self.fake.whispers[-1].text)


def _opened(ground: Ground) -> Iterator[Desk]:
    with FakeSlack() as fake, no_proxy():
        fake.users |= {account: member(account) for account in [*(one for _, one in ACCOUNTS), "U-nobody"]}
        channel = Slack(section(fake))
        channel.start(ground.dispatcher)
        fake.wait(lambda: channel.health_problem() is None, "the introduction")
        yield Desk(channel, fake)
        channel.stop()


@pytest.fixture
def desk(ground: Ground) -> Iterator[Desk]:
    yield from _opened(ground)


@pytest.fixture
def still_desk(still: Ground) -> Iterator[Desk]:
    yield from _opened(still)


@pytest.mark.parametrize("kind", KINDS)
def test_a_form_is_offered_to_whoever_may_say_its_verb_and_leaves_no_trace(
    still: Ground, still_desk: Desk, kind: str
) -> None:
    stored, recorded = still.rows(), len(still.record())

    offered = {verb for verb in _WITH_FORMS if still_desk.says(KINDS[kind], verb) == b""}

    listed = {verb for verb in _WITH_FORMS if _EXPECTED[verb, kind] != "no" and (verb, kind) not in _BY_PLAN}
    asleep = listed if kind == "glass" else set()  # what sleeps behind the glass is typed
    by_duty = {verb for verb, one in _BY_DUTY if one == kind}
    assert offered == (listed | by_duty) - asleep
    assert len(still_desk.fake.views.modals) == len(offered)
    assert still.rows() == stored
    assert set(still.record(recorded)) <= {Code.DENIED, Code.REJECTED}
    assert len(still.record(recorded)) == len(_WITH_FORMS) - len(offered)


def test_known_names_are_chosen_from_a_list(desk: Desk) -> None:
    desk.says(KINDS["asker"], "turn")

    select = object_of(desk.fake.views.modals[-1].fields["Service"]["element"])
    assert select["type"] == "static_select"
    assert [one["value"] for one in rows_of(select["options"])] == ["prod/api", "prod/db", "prod/web", "staging/api"]


def test_what_is_filled_in_is_done_and_on_record_as_its_words(ground: Ground, desk: Desk) -> None:
    desk.says(KINDS["responder"], "note")
    recorded = len(ground.record())

    wrong = desk.sends(KINDS["responder"], {"Incident": "1", "Text": "it is the cache"})

    assert wrong == {}
    assert desk.whispered() == "Noted on incident 1."
    assert ground.record(recorded) == [Code.INTENT, Code.DONE]
    assert [event.text for event in ground.house.story() if "cache" in event.text] != []


def test_an_action_is_planned_where_it_was_said_and_nothing_is_done_before_the_yes(ground: Ground, desk: Desk) -> None:
    desk.says(KINDS["asker"], "turn")
    turned = list(ground.house.dials.turned)

    wrong = desk.sends(KINDS["asker"], {"Service": "prod/web", "Value": "6", "For": "30m"})

    (plan,) = desk.fake.messages
    assert wrong == {}
    assert "Ash asks: turn prod/web 6 for 30m" in plan.shown
    assert ground.house.dials.turned == turned
    assert ground.says(str(plan.buttons["Do it"]["value"]), KINDS["asker"]).ok


def test_what_the_grammar_refuses_is_not_asked_and_leaves_no_trace(ground: Ground, desk: Desk) -> None:
    desk.says(KINDS["responder"], "silence")
    stored, recorded = ground.rows(), len(ground.record())

    wrong = desk.sends(KINDS["responder"], {"Matchers": "everything", "For": "9d"})

    assert list(wrong) == ["Matchers", "For"]
    assert ground.rows() == stored
    assert ground.record(recorded) == []


def test_what_the_house_refuses_is_told_where_it_was_said(ground: Ground, desk: Desk) -> None:
    desk.says(KINDS["responder"], "note")

    wrong = desk.sends(KINDS["responder"], {"Incident": "999", "Text": "hm"})

    assert wrong == {}
    assert desk.whispered() == "Incident 999 does not exist. Nothing was done."


@pytest.mark.parametrize("kind", [kind for kind in KINDS if _EXPECTED["silence", kind] == "no"])
def test_a_form_that_somebody_else_opened_gives_nobody_a_right(still: Ground, still_desk: Desk, kind: str) -> None:
    still_desk.says(KINDS["responder"], "silence")
    stored, recorded = still.rows(), len(still.record())

    wrong = still_desk.sends(KINDS[kind], {"Matchers": "service=api", "For": "1h"})

    assert wrong == {}
    assert still_desk.whispered().startswith(("Denied: ", "Link your account first"))
    assert still.record(recorded) == [Code.DENIED]
    assert still.rows() == stored


def test_row_43_a_form_that_is_sent_again_has_no_second_effect(ground: Ground, desk: Desk) -> None:
    desk.says(KINDS["responder"], "note")
    sent = desk.fake.views.submit({"Incident": "1", "Text": "once"}, user="U-rae")
    desk.hears(sent)
    stored, recorded = ground.rows(), len(ground.record())

    desk.hears(sent)

    assert ground.rows() == stored
    assert ground.record(recorded) == [Code.REPLAYED]
    assert [whisper.text for whisper in desk.fake.whispers] == ["Noted on incident 1."] * 2
