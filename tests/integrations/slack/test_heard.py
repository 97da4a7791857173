"""What people do in Slack, and what they are told. Row numbers are those of the bad-input table."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from typing import Any

import pytest

from bot.core.request import UNKNOWN_PRINCIPAL, Reply
from bot.integrations.slack.channel import Slack
from tests.fakes.door import ANA, SmallDoor
from tests.fakes.slack import FakeSlack
from tests.fakes.slack_speech import Spoken
from tests.fakes.slack_values import member
from tests.integrations.slack.notices import INCIDENT, hear, post


@pytest.mark.parametrize("action_id", ["approve:7", "say:x", "", "say:0:evil"])
def test_row_48_an_unknown_button_says_that_it_is_old(
    fake: FakeSlack, slack: Slack, door: SmallDoor, action_id: str
) -> None:
    heard = hear(slack, fake, fake.press("ack 42", action_id=action_id))

    assert heard.status == 200
    assert door.heard == []
    assert fake.whispers[0].text.startswith("This button is from an older version.")


@pytest.mark.parametrize("kind", ["view_submission", "shortcut", "message_action", "view_closed", "block_suggestion"])
def test_row_48_an_unknown_callback_is_answered(fake: FakeSlack, slack: Slack, door: SmallDoor, kind: str) -> None:
    told = {"type": kind, "callback_id": "x", "team": {"id": "T1"}, "user": {"id": "U1"}, "view": {"type": "modal"}}

    heard = hear(slack, fake, Spoken(kind="interactive", payload=dict(told)))

    assert heard.status == 200
    assert door.heard == []


def test_row_48_a_button_without_words_says_that_it_is_old(fake: FakeSlack, slack: Slack, door: SmallDoor) -> None:
    heard = hear(slack, fake, fake.press(""))

    assert heard.status == 200
    assert door.heard == []
    assert fake.whispers[0].text.startswith("This button is from an older version.")


@pytest.mark.parametrize("link", ["open", "open:0", "open:4"])
def test_a_link_that_was_followed_is_acknowledged_in_silence(
    fake: FakeSlack, slack: Slack, door: SmallDoor, link: str
) -> None:
    heard = hear(slack, fake, fake.press("", action_id=link))

    assert (heard.status, fake.whispers, door.heard) == (200, [], [])


def test_row_49_a_refusal_of_the_house_reaches_the_asker_alone(fake: FakeSlack, slack: Slack, door: SmallDoor) -> None:
    door.answer_next(Reply(text="Plan 7f3a expired 12 min ago. Nothing was done. <!channel>", ok=False))

    heard = hear(slack, fake, fake.press("yes 7f3a"))

    assert heard.status == 200
    assert fake.whispers[0].text == "Plan 7f3a expired 12 min ago. Nothing was done. &lt;!channel&gt;"


def test_row_50_two_clicks_are_two_asks_of_the_same_person(fake: FakeSlack, slack: Slack, door: SmallDoor) -> None:
    ref = post(slack)
    clicks = [fake.sign(fake.press(f"ack {INCIDENT.marked}", message=ref)) for _ in range(2)]
    threads = [threading.Thread(target=slack.receive, args=click) for click in clicks]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert [ask.text for ask in door.asks] == [f"ack {INCIDENT.marked}"] * 2
    assert len({ask.idempotency_key for ask in door.asks}) == 2


@pytest.mark.parametrize(
    ("account", "why"),
    [
        ({"is_restricted": True}, "guest"),
        ({"is_ultra_restricted": True}, "guest"),
        ({"is_stranger": True}, "another company"),
        ({"team_id": "T2"}, "another company"),
        ({"deleted": True}, "deactivated"),
        ({"is_bot": True}, "bot"),
        ({"is_workflow_bot": True}, "bot"),
    ],
)
def test_row_53_only_full_members_of_our_workspace_are_heard(
    fake: FakeSlack, slack: Slack, door: SmallDoor, account: dict[str, object], why: str
) -> None:
    fake.users["U1"] = member("U1", **account)

    heard = hear(slack, fake, fake.command("/ack", "42"))

    said = json.loads(heard.body)["text"]
    assert heard.status == 200
    assert why in said
    assert "Nothing was done" in said
    assert door.heard == []


def test_row_53_a_stranger_of_a_shared_channel_is_told_why(fake: FakeSlack, slack: Slack, door: SmallDoor) -> None:
    pressed = fake.press("ack 42")
    mallory = {"user": {"id": "U1", "name": "mallory", "team_id": "T9"}}
    hear(slack, fake, replace(pressed, payload=pressed.payload | mallory))

    hear(slack, fake, fake.mention("ack 42", user_team="T9"))

    assert door.heard == []
    assert ["another company" in whisper.text for whisper in fake.whispers] == [True, True]
    assert fake.calls("users.info") == []


def test_row_53_slackbot_is_nobodys_account_whatever_slack_says_of_it(
    fake: FakeSlack, slack: Slack, door: SmallDoor
) -> None:
    fake.users["USLACKBOT"] = member("USLACKBOT")

    hear(slack, fake, fake.mention("ack 42", user="USLACKBOT"))

    assert door.heard == []
    assert "is a bot" in door.away[0][1]


def test_row_53_a_member_of_our_organisation_is_heard(fake: FakeSlack, slack: Slack, door: SmallDoor) -> None:
    fake.users["U1"] = member("U1", team_id="T7", enterprise_user={"id": "E1", "teams": ["T1", "T7"]})

    hear(slack, fake, fake.mention("ack 42", user_team="E1"))

    assert [ask.text for ask in door.asks] == ["ack 42"]


def test_while_slack_cannot_say_who_somebody_is_nothing_is_done(fake: FakeSlack, slack: Slack, door: SmallDoor) -> None:
    fake.answer_next(status=500, path="users.info")

    first = hear(slack, fake, fake.command("/ack", "42"))
    second = hear(slack, fake, fake.command("/ack", "42"))

    assert "Nothing was done" in json.loads(first.body)["text"]
    assert json.loads(second.body)["text"] == "Done: ack 42"
    assert len(door.asks) == 1


def test_who_somebody_is_is_asked_once_in_a_while(fake: FakeSlack, slack: Slack) -> None:
    for _ in range(3):
        hear(slack, fake, fake.command("/ack", "42"))

    assert len(fake.calls("users.info")) == 1


def test_row_54_somebody_unlinked_is_told_so(fake: FakeSlack, slack: Slack, door: SmallDoor) -> None:
    heard = hear(slack, fake, fake.command("/ack", "42", user="U2"))

    told = json.loads(heard.body)
    assert told["response_type"] == "ephemeral"
    assert told["text"] == "Link your account first: /link. Nothing was done."
    assert door.heard == []


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (("/vakhta", "ack 42"), "ack 42"),
        (("/vakhta", ""), "help"),
        (("/ack", "42"), "ack 42"),
        (("/resolve", "42"), "resolve 42"),
        (("/note", "42 it’s “fine” &amp; <http://api|api> `ok`"), 'note 42 it\'s "fine" & api ok'),
        (("/incidents", ""), "incidents"),
    ],
)
def test_row_66_slash_commands_are_words(
    slack: Slack, fake: FakeSlack, door: SmallDoor, typed: tuple[str, str], words: str
) -> None:
    heard = hear(slack, fake, fake.command(*typed))

    assert heard.content_type.startswith("application/json")
    assert door.asks[0].text == words
    assert door.asks[0].by == ANA
    assert door.asks[0].channel == "slack"


def test_a_mention_in_a_cards_thread_is_about_that_incident(fake: FakeSlack, slack: Slack, door: SmallDoor) -> None:
    ref = post(slack)
    door.standing["slack", ref] = 42

    hear(slack, fake, fake.mention("note disk is full", thread=ref))

    assert (door.asks[0].text, door.asks[0].incident_id) == ("note disk is full", 42)
    assert fake.whispers[0].user == "U1"
    assert fake.whispers[0].thread_ts == ref.rpartition(":")[2]


def test_a_mention_told_as_two_events_is_one_ask(fake: FakeSlack, slack: Slack, door: SmallDoor) -> None:
    first = fake.mention("ack", thread="C1:1.000001", ts="9.000001")
    second = fake.mention("ack", thread="C1:1.000001", ts="9.000001", type="message")

    hear(slack, fake, first)
    hear(slack, fake, second)

    assert len(door.asks) == 1
    assert len(fake.whispers) == 1


@pytest.mark.parametrize(
    "event",
    [
        {"edited": {"user": "U1", "ts": "2.1"}},
        {"bot_id": "B7"},
        {"user": "UBOT"},
        {"type": "message", "text": "we should ack 42", "thread_ts": "1.000001"},
        {"type": "message", "subtype": "message_changed", "thread_ts": "1.000001"},
        {"type": "reaction_added"},
        {"type": "channel_created", "channel": {"id": "C2"}},
        {"type": "user_change", "user": {"id": "U1"}},
    ],
)
def test_what_was_not_said_to_the_bot_now_is_taken_and_left_alone(
    fake: FakeSlack, slack: Slack, door: SmallDoor, event: dict[str, object]
) -> None:
    spoken = fake.mention("ack 42")
    said = spoken.payload["event"]
    assert isinstance(said, dict)

    heard = hear(slack, fake, replace(spoken, payload=spoken.payload | {"event": said | event}))

    assert heard.status == 200
    assert door.heard == []
    assert fake.whispers == []


@pytest.mark.parametrize("kind", ["app_mention", "message"])
@pytest.mark.parametrize(
    "mark",
    [
        {"app_id": "A9"},
        {"bot_profile": {"id": "B9", "app_id": "A9", "name": "Deploys", "deleted": False}},
        {"bot_profile": {}},
        {"display_as_bot": True},
        {"workflow_id": "Wf9"},
    ],
    ids=str,
)
def test_what_an_app_says_in_a_persons_name_is_refused_and_on_record(
    fake: FakeSlack, slack: Slack, door: SmallDoor, kind: str, mark: dict[str, Any]
) -> None:
    hear(slack, fake, fake.mention("ack 42", thread="C1:1.000001", type=kind, **mark))

    assert door.asks == []
    (ask, why) = door.away[0]
    assert (ask.account, ask.by, ask.text) == ("U1", UNKNOWN_PRINCIPAL, "ack 42")
    assert why.startswith("An app wrote this in your name. Nothing was done.")
    assert [(whisper.user, whisper.text) for whisper in fake.whispers] == [("U1", why)]
    assert fake.calls("users.info") == []


@pytest.mark.parametrize(
    "mark", [{"app_id": None}, {"app_id": ""}, {"bot_id": None}, {"client_msg_id": "c0ffee"}], ids=str
)
def test_what_a_person_typed_is_heard(fake: FakeSlack, slack: Slack, door: SmallDoor, mark: dict[str, Any]) -> None:
    hear(slack, fake, fake.mention("ack 42", **mark))

    assert [ask.text for ask in door.asks] == ["ack 42"]


def test_what_an_app_posts_with_a_persons_token_is_left_alone_as_slack_stamps_it_a_bots(
    fake: FakeSlack, slack: Slack, door: SmallDoor
) -> None:
    stamps: dict[str, Any] = {"bot_id": "B9", "app_id": "A9", "bot_profile": {"id": "B9", "app_id": "A9"}}

    hear(slack, fake, fake.mention("ack 42", **stamps))

    assert (door.heard, fake.whispers) == ([], [])


def test_an_answer_that_does_not_arrive_undoes_nothing(
    fake: FakeSlack, slack: Slack, door: SmallDoor, caplog: pytest.LogCaptureFixture
) -> None:
    spoken = fake.press("ack 42")
    url = str(spoken.payload["response_url"])
    fake.answer_next(reset=True, path=url.removeprefix(fake.url))

    heard = hear(slack, fake, spoken)

    assert heard.status == 200
    assert len(door.asks) == 1
    assert "a reply did not arrive in Slack" in caplog.text
    assert url not in caplog.text


def test_a_house_that_breaks_is_not_swallowed(fake: FakeSlack, slack: Slack, door: SmallDoor) -> None:
    door.answer_next(OSError("the disk is full"))

    with pytest.raises(OSError, match="disk"):
        hear(slack, fake, fake.command("/ack", "42"))


def test_headers_that_nobody_signed_cannot_steer_bolt(fake: FakeSlack, slack: Slack, door: SmallDoor) -> None:
    headers, body = fake.sign(fake.command("/ack", "42"))
    lazy = {"X-Slack-Bolt-Lazy-Only": "1", "X-Slack-Bolt-Lazy-Function-Name": "_on_command"}

    heard = slack.receive(headers | lazy, body)

    assert json.loads(heard.body)["text"] == "Done: ack 42"
    assert len(door.asks) == 1
