"""The Home tab with the real dispatcher: all see their own overview, and its buttons are authorized like typed text."""

from __future__ import annotations

import html
from collections.abc import Iterator

import pytest

from bot.core.audit import Code
from bot.integrations.slack.channel import Slack
from tests.authority.ground import ACCOUNTS, Ground, Night, no_proxy
from tests.authority.table import KINDS, expected
from tests.fakes.slack import FakeSlack
from tests.fakes.slack_speech import Spoken
from tests.fakes.slack_values import member
from tests.fakes.slack_views import View
from tests.integrations.slack.notices import section

_EXPECTED = expected()


class Tabs:
    """Everybody's Home tab."""

    def __init__(self, slack: Slack, fake: FakeSlack) -> None:
        self.slack = slack
        self.fake = fake

    def opens(self, kind: str) -> View:
        user = f"U-{KINDS[kind].id or 'nobody'}"
        self.hears(self.fake.views.opened(user))
        return self.fake.views.homes[user]

    def presses(self, kind: str, words: str) -> View:
        user = f"U-{KINDS[kind].id}"
        self.hears(self.fake.views.press(words, user=user))
        return self.fake.views.homes[user]

    def hears(self, spoken: Spoken) -> None:
        headers, body = self.fake.sign(spoken)
        assert self.slack.receive(headers, body).status == 200


@pytest.fixture
def tabs(ground: Ground) -> Iterator[Tabs]:
    with FakeSlack() as fake, no_proxy():
        fake.users |= {account: member(account) for account in [*(one for _, one in ACCOUNTS), "U-nobody"]}
        channel = Slack(section(fake))
        channel.start(ground.dispatcher)
        fake.wait(lambda: channel.health_problem() is None, "the introduction")
        yield Tabs(channel, fake)
        channel.stop()
        assert (fake.messages, fake.whispers) == ([], []), "something of a Home tab stood elsewhere"


@pytest.mark.parametrize("kind", KINDS)
def test_whoever_may_not_ask_what_is_theirs_sees_why_and_nothing_else(ground: Ground, tabs: Tabs, kind: str) -> None:
    recorded = len(ground.record())

    view = tabs.opens(kind)

    allowed = _EXPECTED["home", kind] == "yes"
    refused = Code.REJECTED if kind == "unlinked" else Code.DENIED
    assert ground.record(recorded) == [Code.ANSWERED if allowed else refused]
    assert ("On call:" in view.shown) == allowed
    assert allowed or (view.buttons, "prod/api" in view.shown, "HighErrorRate" in view.shown) == ({}, False, False)
    assert kind != "unlinked" or view.shown.startswith("This account (slack: U-nobody) is not linked to anybody.")


def test_an_opening_changes_nothing(ground: Ground, tabs: Tabs) -> None:
    stored = ground.rows()

    tabs.opens("on-call")

    assert ground.rows() == stored


def test_who_is_on_call_acknowledges_from_the_tab(ground: Ground, tabs: Tabs) -> None:
    view = tabs.opens("on-call")

    after = tabs.presses("on-call", str(view.buttons["Acknowledge #1"]["value"]))

    assert "#1 critical open: HighErrorRate" in view.shown
    assert after.shown.startswith("Incident 1 is yours: HighErrorRate api\n")
    assert "#1 critical acknowledged, Dia has it: HighErrorRate" in after.shown
    assert after.buttons == {}
    assert ground.house.incident().owner == "dia"


def test_a_plan_is_approved_from_the_tab_after_it_was_seen_there(ground: Ground, night: Night, tabs: Tabs) -> None:
    turned = len(ground.house.dials.turned)
    view = tabs.opens("approver")

    after = tabs.presses("approver", night.buttons["Approve"])

    assert "ash asks: turn prod/api 9" in html.unescape(view.shown)
    assert after.shown.startswith("prod/api is at 9.")
    assert after.shown.splitlines()[0].endswith("Requested by ash, approved by abe.")
    assert "turn prod/api 9" not in after.shown
    assert len(ground.house.dials.turned) == turned + 1


def test_whoever_asked_finds_no_yes_to_their_own_plan_and_may_drop_it(ground: Ground, night: Night, tabs: Tabs) -> None:
    view = tabs.opens("asker")

    after = tabs.presses("asker", night.buttons["Drop it"])

    assert [button["value"] for button in view.buttons.values()] == [night.buttons["Drop it"]]
    assert after.shown.startswith(f"Ash dropped plan {night.names['plan']}: turn prod/api 9. Nothing was done.")


def test_a_button_of_an_old_tab_is_judged_when_it_is_pressed(ground: Ground, night: Night, tabs: Tabs) -> None:
    tabs.opens("approver")
    turned = list(ground.house.dials.turned)
    ground.house.clock.pass_by(minutes=27)

    after = tabs.presses("approver", night.buttons["Approve"])

    assert after.shown.startswith(f"Plan {night.names['plan']} expired 12 min ago. Nothing was done.")
    assert ground.house.dials.turned == turned


def test_a_button_of_somebody_elses_tab_does_what_the_presser_may(ground: Ground, night: Night, tabs: Tabs) -> None:
    tabs.opens("approver")
    pressed = tabs.fake.views.press(night.buttons["Approve"], user="U-abe")
    vic = {"id": "U-vic", "name": "vic", "team_id": "T1"}
    turned, recorded = list(ground.house.dials.turned), len(ground.record())

    tabs.hears(Spoken(kind=pressed.kind, payload=pressed.payload | {"user": vic}))

    assert ground.house.dials.turned == turned
    assert ground.record(recorded) == [Code.DENIED, Code.ANSWERED]
    assert tabs.fake.views.homes["U-vic"].shown.startswith("Denied: ")


def test_row_43_a_press_sent_again_has_no_second_effect(ground: Ground, night: Night, tabs: Tabs) -> None:
    tabs.opens("approver")
    pressed = tabs.fake.views.press(night.buttons["Approve"], user="U-abe")
    tabs.hears(pressed)
    turned, drawn = list(ground.house.dials.turned), len(tabs.fake.views.published)

    tabs.hears(pressed)

    assert ground.house.dials.turned == turned
    assert len(tabs.fake.views.published) == drawn
