"""The Home tab of Slack: what is somebody's, for them alone, drawn when they open it and after each press."""

from __future__ import annotations

import json
import threading
from dataclasses import replace

import pytest

from bot.core.errors import Rejected
from bot.core.message import Card
from bot.core.request import UNKNOWN_PRINCIPAL, Reply
from bot.integrations.slack.channel import Slack
from tests.fakes.door import SmallDoor
from tests.fakes.slack import FakeSlack
from tests.fakes.slack_values import member
from tests.integrations.slack.notices import hear

HANDLE = "0123456789abcdef" * 2
CARD = Card(
    title="What is yours, Ana",
    lines=("Open incidents of yours: 1", "#42 critical open: High & <!channel> latency (3 firing)", "prod/api: Ana"),
    buttons={"Approve 01234567": f"yes {HANDLE}", "Drop 01234567": f"no {HANDLE}", "Acknowledge #42": "ack 42"},
)
MINE = Reply(text="\n".join((CARD.title, *CARD.lines)), card=CARD, requester_only=True)


@pytest.fixture
def home(fake: FakeSlack, slack: Slack, door: SmallDoor) -> FakeSlack:
    """U1's tab, open."""
    door.answer_next(MINE)
    hear(slack, fake, fake.views.opened())
    return fake


def test_whoever_opens_the_tab_is_shown_what_is_theirs(home: FakeSlack, door: SmallDoor) -> None:
    view = home.views.homes["U1"]

    assert [(ask.text, ask.by.id, ask.account, ask.private) for ask in door.asks] == [("home", "ana", "U1", True)]
    assert {label: button["value"] for label, button in view.buttons.items()} == CARD.buttons
    assert "#42 critical open: High &amp; &lt;!channel&gt; latency" in view.shown
    assert (home.messages, home.whispers) == ([], [])


def test_the_same_event_delivered_again_draws_nothing(fake: FakeSlack, slack: Slack, door: SmallDoor) -> None:
    opened = fake.views.opened()

    for _ in range(3):
        hear(slack, fake, opened)

    assert fake.views.published == ["U1"]
    assert len(door.asks) == 1


def test_one_who_goes_to_and_fro_between_tabs_costs_one_drawing(fake: FakeSlack, slack: Slack, door: SmallDoor) -> None:
    fake.users["U3"] = member("U3")

    for _ in range(20):
        hear(slack, fake, fake.views.opened())
        hear(slack, fake, fake.views.opened("U3"))

    assert fake.views.published == ["U1", "U3"]
    assert [ask.text for ask in door.heard] == ["home", "link"]


def test_of_many_openings_at_once_one_is_drawn(fake: FakeSlack, slack: Slack) -> None:
    opened = [fake.sign(fake.views.opened()) for _ in range(8)]
    threads = [threading.Thread(target=slack.receive, args=one) for one in opened]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert fake.views.published == ["U1"]


def test_after_a_while_it_is_drawn_anew(
    fake: FakeSlack, slack: Slack, door: SmallDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    hear(slack, fake, fake.views.opened())
    later = slack._home._now() + 6
    monkeypatch.setattr(slack._home, "_now", lambda: later)

    hear(slack, fake, fake.views.opened())

    assert fake.views.published == ["U1", "U1"]
    assert len({ask.idempotency_key for ask in door.asks}) == 2


def test_an_opening_that_the_house_could_not_answer_is_drawn_when_slack_tells_it_again(
    fake: FakeSlack, slack: Slack, door: SmallDoor
) -> None:
    opened = fake.views.opened()
    door.answer_next(OSError("the disk is full"))
    with pytest.raises(OSError, match="disk"):
        hear(slack, fake, opened)

    hear(slack, fake, opened)

    assert fake.views.published == ["U1"]


@pytest.mark.parametrize("tab", ["messages", "about", ""])
def test_other_tabs_ask_nothing(fake: FakeSlack, slack: Slack, door: SmallDoor, tab: str) -> None:
    heard = hear(slack, fake, fake.views.opened(tab=tab))

    assert heard.status == 200
    assert (door.heard, fake.views.published) == ([], [])


def test_somebody_unlinked_is_shown_how_to_link_and_nothing_else(
    fake: FakeSlack, slack: Slack, door: SmallDoor
) -> None:
    door.answer_next(Reply(text="This account is nobody's yet. Say `link`.", ok=False))

    hear(slack, fake, fake.views.opened("U2"))

    view = fake.views.homes["U2"]
    assert view.shown.startswith("This account is nobody's yet. Say `link`.\nAs of ")
    assert view.buttons == {}
    assert [(ask.text, ask.by, ask.private) for ask in door.heard] == [("link", UNKNOWN_PRINCIPAL, True)]


@pytest.mark.parametrize(
    ("account", "why"),
    [
        ({"is_restricted": True}, "guest"),
        ({"is_ultra_restricted": True}, "guest"),
        ({"is_stranger": True}, "another company"),
        ({"team_id": "T2"}, "another company"),
        ({"deleted": True}, "deactivated"),
        ({"is_bot": True}, "bot"),
    ],
)
def test_row_53_the_tab_shows_nothing_to_whoever_is_no_full_member(
    fake: FakeSlack, slack: Slack, door: SmallDoor, account: dict[str, object], why: str
) -> None:
    fake.users["U1"] = member("U1", **account)

    hear(slack, fake, fake.views.opened())

    assert door.heard == []
    assert [ask.text for ask, _ in door.away] == ["home"]
    assert why in fake.views.homes["U1"].shown
    assert fake.views.homes["U1"].buttons == {}


def test_a_stranger_who_presses_a_button_of_it_does_nothing(home: FakeSlack, slack: Slack, door: SmallDoor) -> None:
    pressed = home.views.press("ack 42")
    asked = len(door.asks)

    hear(slack, home, replace(pressed, payload=pressed.payload | {"user": {"id": "U1", "team_id": "T9"}}))

    assert len(door.asks) == asked
    assert "another company" in home.views.homes["U1"].shown


def test_the_answer_to_a_press_stands_on_top_of_the_tab_drawn_anew(
    home: FakeSlack, slack: Slack, door: SmallDoor
) -> None:
    door.answer_next(Reply(text="Incident 42 is yours: High <!channel> latency"))
    door.answer_next(replace(MINE, text="What is yours, Ana\nNone", card=replace(CARD, lines=("None",), buttons={})))

    heard = hear(slack, home, home.views.press("ack 42"))

    view = home.views.homes["U1"]
    assert heard.status == 200
    assert [(ask.text, ask.private, ask.incident_id) for ask in door.asks[1:]] == [
        ("ack 42", True, None),
        ("home", True, None),
    ]
    assert view.shown.startswith("Incident 42 is yours: High &lt;!channel&gt; latency\n")
    assert view.buttons == {}
    assert (home.messages, home.whispers, len(home.views.published)) == ([], [], 2)


def test_what_becomes_of_a_plan_is_told_in_the_tab_and_in_no_channel(
    home: FakeSlack, slack: Slack, door: SmallDoor
) -> None:
    door.answer_next(Reply(text="Silence 7 stands.", shared=True, plan_closed=True))
    door.answer_next(MINE)

    hear(slack, home, home.views.press(f"yes {HANDLE}"))

    assert home.views.homes["U1"].shown.startswith("Silence 7 stands.\n")
    assert (home.messages, home.whispers) == ([], [])


def test_a_plan_that_is_answered_with_a_newer_one_has_its_buttons_in_the_tab(
    home: FakeSlack, slack: Slack, door: SmallDoor
) -> None:
    newer = Card(title="Bo asks: turn 9", buttons={"Approve": "yes 1111", "Drop it": "no 1111"})
    door.answer_next(Reply(text="The world moved.\nBo asks: turn 9", card=newer, ok=False))
    door.answer_next(MINE)

    hear(slack, home, home.views.press(f"yes {HANDLE}"))

    view = home.views.homes["U1"]
    assert list(view.buttons) == ["Approve", "Drop it", *CARD.buttons]
    assert "The world moved." in view.shown
    assert home.messages == []


def test_a_press_delivered_twice_is_one_act_and_one_drawing(home: FakeSlack, slack: Slack, door: SmallDoor) -> None:
    pressed = home.views.press("ack 42")

    for _ in range(2):
        hear(slack, home, pressed)

    assert [ask.text for ask in door.asks] == ["home", "ack 42", "home"]
    assert len(home.views.published) == 2


def test_a_tab_that_cannot_be_drawn_undoes_nothing_and_is_logged(
    home: FakeSlack, slack: Slack, door: SmallDoor, caplog: pytest.LogCaptureFixture
) -> None:
    home.refuse_next("ratelimited", "views.publish")

    heard = hear(slack, home, home.views.press("ack 42"))

    assert heard.status == 200
    assert "ack 42" in [ask.text for ask in door.asks]
    assert "could not redraw a Home tab in Slack" in caplog.text
    assert len(home.calls("views.publish")) == 2


def test_the_largest_tab_and_the_largest_answer_fit_into_one_view(
    fake: FakeSlack, slack: Slack, door: SmallDoor
) -> None:
    large = Card(
        title="x" * 999,
        lines=tuple(f"{'ж<' * 450} https://a.test/{number}" for number in range(200)),
        buttons={f"Acknowledge #{number}": f"ack {number}" for number in range(40)},
    )
    door.answer_next(replace(MINE, card=large))
    hear(slack, fake, fake.views.opened())
    door.answer_next(Reply(text="moved\n" * 99, card=large))
    door.answer_next(replace(MINE, card=large))

    hear(slack, fake, fake.views.press("ack 1"))

    assert len(fake.views.published) == 2
    assert len(fake.views.homes["U1"].blocks) <= 100


@pytest.mark.parametrize("said", ["command", "mention"])
def test_what_is_somebodys_never_stands_in_a_channel(fake: FakeSlack, slack: Slack, door: SmallDoor, said: str) -> None:
    door.answer_next(MINE)

    if said == "mention":
        hear(slack, fake, fake.mention("home"))
    else:
        fake.responses.show(json.loads(hear(slack, fake, fake.command("/vakhta", "home")).body))

    assert fake.messages == []
    assert len(fake.whispers) == 1


def test_a_button_of_what_is_shown_to_one_alone_leaves_the_other_buttons(
    fake: FakeSlack, slack: Slack, door: SmallDoor
) -> None:
    """Slack does not tell what an ephemeral message held, so it could only be replaced by less."""
    door.answer_next(MINE)
    (drawn,) = [
        block for block in json.loads(hear(slack, fake, fake.command("/home")).body)["blocks"] if "elements" in block
    ]
    door.answer_next(Reply(text="Plan 01234567 was approved before, and runs once.", ok=False, plan_closed=True))
    where = {"type": "message", "message_ts": "1.2", "channel_id": "C1", "is_ephemeral": True}

    hear(slack, fake, fake.press(f"yes {HANDLE}", action_id=drawn["elements"][0]["action_id"], container=where))

    assert [whisper.text for whisper in fake.whispers] == ["Plan 01234567 was approved before, and runs once."]


def test_an_opening_without_an_id_is_refused(fake: FakeSlack, slack: Slack, door: SmallDoor) -> None:
    headers, body = fake.sign(fake.views.opened(event_id=""))

    with pytest.raises(Rejected, match="has no id"):
        slack.receive(headers, body)

    assert door.heard == []


def test_a_press_in_a_view_that_is_no_home_is_refused(home: FakeSlack, slack: Slack) -> None:
    pressed = home.views.press("ack 42")
    headers, body = home.sign(replace(pressed, payload=pressed.payload | {"view": {"type": "modal", "id": "V1"}}))

    with pytest.raises(Rejected, match="has no id"):
        slack.receive(headers, body)


def test_the_tab_is_drawn_over_the_socket_too(fake: FakeSlack, wired: Slack, door: SmallDoor) -> None:
    door.answer_next(MINE)

    fake.push(fake.views.opened())
    fake.push(fake.views.press("ack 42"))

    assert [ask.text for ask in door.asks] == ["home", "ack 42", "home"]
    assert fake.views.published == ["U1", "U1"]
