"""Cards and lines, delivered through the real SDK against the strict fake."""

from __future__ import annotations

import logging
from datetime import timedelta

import pytest
from msgspec import structs

from bot.core.errors import Refusal, Undelivered
from bot.core.incident import Status
from bot.integrations.slack.channel import Slack
from bot.integrations.slack.messages import SlackApiError
from bot.notifications.card import CardSettings
from bot.notifications.card import incident_card as draw
from tests.fakes.door import SmallDoor
from tests.fakes.slack import FakeSlack
from tests.fakes.slack_values import room
from tests.integrations.slack.notices import CARD, INCIDENT, card, line, post, section


def test_a_card_is_posted_with_its_buttons_and_a_line_for_the_phone(fake: FakeSlack, slack: Slack) -> None:
    ref = slack.deliver(card())

    message = fake.message(str(ref))
    assert ref == f"C1:{message.ts}"
    assert message.text == "🔴 CRITICAL #42 HighLatency · nobody has it yet"
    assert "3 firing, 2 ended" in message.shown
    assert message.buttons["Acknowledge"]["value"] == f"ack {INCIDENT.marked}"
    assert message.buttons["Open the board"]["url"] == CARD.link
    assert message.metadata == {
        "event_type": "vakhta",
        "event_payload": {"key": "n1", "thing": f"card {INCIDENT.marked}"},
    }


def test_a_line_of_its_own_is_said_where_it_is_to_be_and_pings_nobody(fake: FakeSlack, slack: Slack) -> None:
    fake.rooms["C9"] = room("C9")

    at = slack.post("audit log: 7 <!channel>", "C9")
    here = slack.post("audit log: 8", None)

    assert (at.partition(":")[0], here.partition(":")[0]) == ("C9", "C1")
    assert [(one.channel, one.text, one.pings) for one in fake.messages] == [
        ("C9", "audit log: 7 &lt;!channel&gt;", []),
        ("C1", "audit log: 8", []),
    ]


def test_a_card_is_edited_in_place(fake: FakeSlack, slack: Slack) -> None:
    ref = post(slack)

    done = structs.replace(INCIDENT, status=Status.RESOLVED, resolved_by="ana")
    again = slack.deliver(card(ref, told=draw(done, CardSettings(public_url="https://vakhta.test"))))

    assert again == ref
    assert len(fake.messages) == 1
    assert "✅" in fake.message(ref).text
    assert "*RESOLVED* (critical) by ana" in fake.message(ref).shown
    assert list(fake.message(ref).buttons) == ["Open the board"]


def test_a_card_that_somebody_deleted_is_posted_anew(fake: FakeSlack, slack: Slack) -> None:
    ref = post(slack)
    fake.forget(ref)

    anew = slack.deliver(card(ref))

    assert anew not in (None, ref)
    assert fake.message(str(anew)).buttons["Resolve"]["value"] == f"resolve {INCIDENT.marked}"


def test_a_line_stands_in_the_thread_of_its_card(fake: FakeSlack, slack: Slack) -> None:
    ref = post(slack)

    slack.deliver(line(ref, "@channel: Ana has it <!here> & more"))

    told = fake.messages[-1]
    assert told.thread_ts == ref.rpartition(":")[2]
    assert told.said == "@channel: Ana has it &lt;!here&gt; &amp; more"
    assert told.text == "🔴 #42 HighLatency · @channel: Ana has it &lt;!here&gt; &amp; more"
    assert told.pings == []


def test_the_notification_of_a_line_says_the_name_of_its_incident_once(fake: FakeSlack, slack: Slack) -> None:
    slack.deliver(line(post(slack), "Now critical, was warning: HighLatency."))

    assert fake.messages[-1].text == "🔴 #42 HighLatency · Now critical, was warning."


def test_a_command_in_a_line_is_drawn_and_edited_lines_keep_it(fake: FakeSlack, slack: Slack) -> None:
    ref = post(slack)

    slack.deliver(line(ref, "`undo 0123` undoes it."))
    slack.deliver(line(ref, "*Ana* has it", key="n9"))

    drawn, literal = (message.blocks[0]["text"] for message in fake.messages[-2:])
    assert drawn == {"type": "mrkdwn", "text": "`undo 0123` undoes it.", "verbatim": True}
    assert literal == {"type": "plain_text", "text": "*Ana* has it", "emoji": False}
    assert fake.messages[-2].text == '🔴 #42 HighLatency · "undo 0123" undoes it.'


def test_a_line_whose_blocks_slack_refuses_is_told_as_text(fake: FakeSlack, slack: Slack) -> None:
    ref = post(slack)
    fake.may_draw = False

    slack.deliver(line(ref, "`undo 0123` undoes it."))

    assert (fake.messages[-1].text, fake.messages[-1].blocks) == ("`undo 0123` undoes it.", [])


def test_a_line_whose_card_was_deleted_is_told_beside_it(fake: FakeSlack, slack: Slack) -> None:
    ref = post(slack)
    fake.forget(ref)

    slack.deliver(line(ref, "Ana has it"))

    assert [(told.text, told.thread_ts) for told in fake.messages] == [("#42 Ana has it", None)]


def test_a_card_left_behind_in_an_earlier_channel_is_posted_in_this_one(fake: FakeSlack, slack: Slack) -> None:
    ref = slack.deliver(card("C0:1700000000.000001"))

    assert ref == f"C1:{fake.messages[0].ts}"


def test_a_rate_limit_is_passed_on_and_not_waited_out(fake: FakeSlack, slack: Slack) -> None:
    fake.answer_next(status=429, retry_after=7, path="chat.postMessage")

    with pytest.raises(Undelivered) as caught:
        slack.deliver(card())

    assert caught.value.retry_after == timedelta(seconds=7)
    assert not caught.value.permanent
    assert len(fake.calls("chat.postMessage")) == 1


def test_the_fake_holds_one_message_a_second(door: SmallDoor) -> None:
    with FakeSlack(limited=True) as fake:
        slack = Slack(section(fake))
        slack.deliver(card(key="a"))

        with pytest.raises(Undelivered) as caught:
            slack.deliver(card(key="b"))

        assert caught.value.retry_after == timedelta(seconds=1)
        assert fake.window.refused == 1
        assert len(fake.messages) == 1


@pytest.mark.parametrize(
    "code",
    [
        "channel_not_found",
        "is_archived",
        "not_in_channel",
        "invalid_auth",
        "account_inactive",
        "token_revoked",
        "missing_scope",
        "no_permission",
        "restricted_action",
    ],
)
def test_what_only_a_person_can_mend_is_permanent(fake: FakeSlack, slack: Slack, code: str) -> None:
    fake.refuse_next(code)

    with pytest.raises(Undelivered, match=code) as caught:
        slack.deliver(card())

    assert caught.value.permanent


@pytest.mark.parametrize(
    ("code", "refused"),
    [
        ("channel_not_found", Refusal.PLACE),
        ("is_archived", Refusal.PLACE),
        ("not_in_channel", Refusal.PLACE),
        ("restricted_action_read_only_channel", Refusal.PLACE),
        ("invalid_auth", Refusal.KEY),
        ("token_revoked", Refusal.KEY),
        ("missing_scope", Refusal.KEY),
        ("no_text", None),
        ("restricted_action_thread_locked", None),
    ],
)
def test_a_refusal_of_the_whole_channel_is_told_from_one_of_a_message(
    fake: FakeSlack, slack: Slack, code: str, refused: Refusal | None
) -> None:
    fake.refuse_next(code)

    with pytest.raises(Undelivered) as caught:
        slack.deliver(card())

    assert caught.value.refused is refused


@pytest.mark.parametrize("code", ["internal_error", "fatal_error", "service_unavailable", "something_new"])
def test_slacks_own_trouble_is_not_permanent(fake: FakeSlack, slack: Slack, code: str) -> None:
    fake.refuse_next(code)

    with pytest.raises(Undelivered) as caught:
        slack.deliver(card())

    assert not caught.value.permanent


@pytest.mark.parametrize("code", ["invalid_blocks", "invalid_blocks_format", "msg_too_long"])
def test_what_slack_will_not_draw_is_told_as_text(fake: FakeSlack, slack: Slack, code: str) -> None:
    fake.refuse_next(code)

    ref = slack.deliver(card())

    message = fake.message(str(ref))
    assert message.blocks == []
    assert "HighLatency" in message.text
    assert f"/vakhta ack {INCIDENT.marked}" in message.text


def test_a_card_refused_once_for_its_blocks_does_not_ask_again_with_them(fake: FakeSlack, slack: Slack) -> None:
    fake.may_draw = False
    fake.refuse_next("invalid_blocks")
    fake.answer_next(status=429, retry_after=1, path="chat.postMessage")
    with pytest.raises(Undelivered):
        slack.deliver(card())

    slack.deliver(card())

    assert len(fake.calls("chat.postMessage")) == 3
    assert "HighLatency" in fake.messages[0].text


def test_an_edit_that_slack_will_not_draw_is_told_as_text(fake: FakeSlack, slack: Slack) -> None:
    ref = post(slack)
    fake.may_draw = False

    slack.deliver(card(ref, key="n5"))

    assert fake.message(ref).blocks == []
    assert f"resolve {INCIDENT.marked}" in fake.message(ref).text


def test_an_empty_line_is_still_a_line(fake: FakeSlack, slack: Slack) -> None:
    ref = post(slack)

    slack.deliver(line(ref, " \n"))

    assert fake.messages[-1].said == "(no text)"


def test_no_error_holds_a_token(fake: FakeSlack, slack: Slack, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    said = []
    for trouble in ({"reset": True}, {"status": 500}, {"status": 200, "body": b'{"ok":false,"error":"is_archived"}'}):
        fake.answer_next(path="chat.postMessage", **trouble)
        with pytest.raises(Undelivered) as caught:
            slack.deliver(card(key=str(trouble)))
        said += [caught.value.message, repr(caught.value), str(caught.value.__cause__)]

    everything = "\n".join(said) + caplog.text + repr(vars(slack)["_settings"])
    assert "xoxb" not in everything
    assert "xapp" not in everything


def test_a_slack_that_is_not_there_is_temporary(fake: FakeSlack) -> None:
    gone = Slack(section(fake).model_copy(update={"api_url": "http://127.0.0.1:1/api/"}))

    with pytest.raises(Undelivered) as caught:
        gone.deliver(card())

    assert not caught.value.permanent
    assert not isinstance(caught.value, SlackApiError)
