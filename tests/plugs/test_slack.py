"""Slack, delivered to and heard from, through the real SDK against the strict fake. Row numbers are those of the
bad-input table."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Literal

import pytest
from pydantic import SecretStr

from bot.channels.slack import Slack
from bot.channels.slack_post import Refused
from bot.model import Card, Event, Incident, Kind, Notice, Reply, Severity, Status, What
from bot.ports import Heard, Rejected, Undelivered
from bot.settings import SlackSettings
from tests.fakes.door import ANA, SmallDoor
from tests.fakes.slack import FakeSlack, member
from tests.fakes.slack_speech import Spoken

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
INCIDENT = Incident(
    id=42,
    key="group",
    source="alertmanager",
    title="HighLatency",
    severity=Severity.CRITICAL,
    status=Status.OPEN,
    opened_at=NOON,
    changed_at=NOON,
    firing=3,
    total=5,
)
CARD = Card(
    title="#42 HighLatency",
    lines=("service: prod/api", "see https://runbooks.test/latency?a=1&b=2"),
    buttons={"Acknowledge": "ack 42", "Resolve": "resolve 42"},
    severity=Severity.CRITICAL,
    link="https://vakhta.test/incidents/42",
)
EVENT = Event(incident_id=42, at=NOON, what=What.ACKED, by="ana", said="Ana has it")


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK would send even loopback through a proxy of the environment."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def fake() -> Iterator[FakeSlack]:
    with FakeSlack() as slack:
        yield slack


@pytest.fixture
def door() -> Iterator[SmallDoor]:
    with SmallDoor(people={("slack", "U1"): ANA}) as small:
        yield small


@pytest.fixture
def slack(fake: FakeSlack, door: SmallDoor) -> Iterator[Slack]:
    channel = Slack(section(fake))
    channel.start(door)
    fake.wait(lambda: channel.healthy() is None, "the introduction")
    yield channel
    channel.stop()


def section(fake: FakeSlack, mode: Literal["http", "socket"] = "http") -> SlackSettings:
    return SlackSettings(
        bot_token=SecretStr(fake.bot_token),
        app_token=SecretStr(fake.app_token),
        signing_secret=SecretStr(fake.workspace.secret),
        team_id="T1",
        channel="C1",
        api_url=fake.api_url,
        mode=mode,
    )


def card(ref: str | None = None, *, key: str = "n1", told: Card = CARD) -> Notice:
    return Notice(key=key, kind=Kind.CARD, incident=INCIDENT, event=None, card=told, ref=ref)


def line(ref: str, said: str = EVENT.said, *, key: str = "n2") -> Notice:
    told = replace(EVENT, said=said)
    return Notice(key=key, kind=Kind.LINE, incident=INCIDENT, event=told, card=CARD, ref=ref)


def hear(slack: Slack, fake: FakeSlack, spoken: Spoken) -> Heard:
    headers, body = fake.sign(spoken)
    return slack.receive(headers, body)


def post(slack: Slack) -> str:
    ref = slack.deliver(card())
    assert ref is not None
    return ref


# --- what goes out ---------------------------------------------------------------------------------------------------


def test_a_card_is_posted_with_its_buttons_and_a_line_for_the_phone(fake: FakeSlack, slack: Slack) -> None:
    ref = slack.deliver(card())

    message = fake.message(str(ref))
    assert ref == f"C1:{message.ts}"
    assert "HighLatency" in message.text
    assert "CRITICAL" in message.text
    assert "3 of 5 firing" in message.shown
    assert message.buttons["Acknowledge"]["value"] == "ack 42"
    assert message.buttons["Open the board"]["url"] == CARD.link
    assert "<https://runbooks.test/latency?a=1&amp;b=2>" in message.shown
    assert message.metadata == {"event_type": "vakhta", "event_payload": {"key": "n1"}}


def test_a_card_is_edited_in_place(fake: FakeSlack, slack: Slack) -> None:
    ref = post(slack)

    again = slack.deliver(card(ref, told=replace(CARD, status=Status.RESOLVED, buttons={})))

    assert again == ref
    assert len(fake.messages) == 1
    assert "✅" in fake.message(ref).text
    assert list(fake.message(ref).buttons) == ["Open the board"]


def test_a_card_that_somebody_deleted_is_posted_anew(fake: FakeSlack, slack: Slack) -> None:
    ref = post(slack)
    fake.forget(ref)

    anew = slack.deliver(card(ref))

    assert anew not in (None, ref)
    assert fake.message(str(anew)).buttons["Resolve"]["value"] == "resolve 42"


def test_a_line_stands_in_the_thread_of_its_card(fake: FakeSlack, slack: Slack) -> None:
    ref = post(slack)

    slack.deliver(line(ref, "Ana has it <!here> & more"))

    told = fake.messages[-1]
    assert told.thread_ts == ref.rpartition(":")[2]
    assert told.text == "Ana has it &lt;!here&gt; &amp; more"
    assert told.pings == []


def test_a_rate_limit_is_passed_on_and_not_waited_out(fake: FakeSlack, slack: Slack) -> None:
    fake.answer_next(status=429, retry_after=7, path="chat.postMessage")

    with pytest.raises(Undelivered) as caught:
        slack.deliver(card())

    assert caught.value.after == timedelta(seconds=7)
    assert not caught.value.permanent
    assert len(fake.calls("chat.postMessage")) == 1


def test_the_fake_holds_one_message_a_second(door: SmallDoor) -> None:
    with FakeSlack(limited=True) as fake:
        slack = Slack(section(fake))
        slack.deliver(card(key="a"))

        with pytest.raises(Undelivered) as caught:
            slack.deliver(card(key="b"))

        assert caught.value.after == timedelta(seconds=1)
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
    assert "/vakhta ack 42" in message.text


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
    assert "resolve 42" in fake.message(ref).text


@pytest.mark.parametrize("trouble", [{"reset": True}, {"status": 502}, {"status": 500, "body": b"<html>"}])
def test_a_card_of_unknown_outcome_that_arrived_is_not_posted_twice(
    fake: FakeSlack, slack: Slack, trouble: dict[str, object]
) -> None:
    fake.answer_next(after_effect=True, path="chat.postMessage", **trouble)  # type: ignore[arg-type]
    with pytest.raises(Undelivered) as caught:
        slack.deliver(card())

    ref = slack.deliver(card(told=replace(CARD, title="newer")))

    assert not caught.value.permanent
    assert [message.ts for message in fake.messages] == [str(ref).rpartition(":")[2]]
    assert "newer" in fake.messages[0].text


def test_a_line_of_unknown_outcome_that_arrived_is_not_posted_twice(fake: FakeSlack, slack: Slack) -> None:
    ref = post(slack)
    fake.answer_next(after_effect=True, reset=True, path="chat.postMessage")
    with pytest.raises(Undelivered):
        slack.deliver(line(ref))

    slack.deliver(line(ref))

    assert [message.text for message in fake.messages[1:]] == ["Ana has it"]


def test_a_post_of_unknown_outcome_that_did_not_arrive_is_posted(fake: FakeSlack, slack: Slack) -> None:
    fake.answer_next(reset=True, path="chat.postMessage")
    with pytest.raises(Undelivered):
        slack.deliver(card())

    slack.deliver(card())

    assert len(fake.messages) == 1
    assert len(fake.calls("conversations.history")) == 1


def test_where_the_bot_may_not_read_back_a_double_is_preferred_to_silence(
    fake: FakeSlack, slack: Slack, caplog: pytest.LogCaptureFixture
) -> None:
    fake.answer_next(reset=True, path="chat.postMessage")
    fake.refuse_next("missing_scope", "conversations.history")
    with pytest.raises(Undelivered):
        slack.deliver(card())

    slack.deliver(card())

    assert len(fake.messages) == 1
    assert "doubled" in caplog.text


def test_no_error_holds_a_token(fake: FakeSlack, slack: Slack, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    said = []
    for trouble in ({"reset": True}, {"status": 500}, {"status": 200, "body": b'{"ok":false,"error":"is_archived"}'}):
        fake.answer_next(path="chat.postMessage", **trouble)  # type: ignore[arg-type]
        with pytest.raises(Undelivered) as caught:
            slack.deliver(card(key=str(trouble)))
        said += [caught.value.said, repr(caught.value), str(caught.value.__cause__)]

    everything = "\n".join(said) + caplog.text + repr(vars(slack)["_settings"])
    assert "xoxb" not in everything
    assert "xapp" not in everything


def test_a_slack_that_is_not_there_is_temporary(fake: FakeSlack) -> None:
    gone = Slack(section(fake).model_copy(update={"api_url": "http://127.0.0.1:1/api/"}))

    with pytest.raises(Undelivered) as caught:
        gone.deliver(card())

    assert not caught.value.permanent
    assert not isinstance(caught.value, Refused)


# --- what comes in over HTTP -----------------------------------------------------------------------------------------


def test_row_40_a_request_without_a_signature_is_refused(fake: FakeSlack, slack: Slack, door: SmallDoor) -> None:
    _, body = fake.sign(fake.command("/ack", "42"))

    with pytest.raises(Rejected) as caught:
        slack.receive({"Content-Type": "application/x-www-form-urlencoded"}, body)

    assert (caught.value.status, door.heard) == (401, [])


@pytest.mark.parametrize("signature", ["v0=00", "", "v0=é", "v1=" + "0" * 64, "\udcff"])
def test_row_41_a_bad_signature_is_refused(fake: FakeSlack, slack: Slack, door: SmallDoor, signature: str) -> None:
    headers, body = fake.sign(fake.command("/ack", "42"))

    with pytest.raises(Rejected) as caught:
        slack.receive(headers | {"X-Slack-Signature": signature}, body)

    assert (caught.value.status, door.heard) == (401, [])


def test_row_41_a_changed_body_is_refused(fake: FakeSlack, slack: Slack, door: SmallDoor) -> None:
    headers, body = fake.sign(fake.command("/ack", "42"))

    with pytest.raises(Rejected, match="signature"):
        slack.receive(headers, body.replace(b"42", b"43"))

    assert door.heard == []


@pytest.mark.parametrize("off_s", [-301, 301, -86400])
def test_row_42_a_stale_or_future_request_is_refused(fake: FakeSlack, slack: Slack, off_s: int) -> None:
    now = datetime.now(UTC).timestamp()
    headers, body = fake.sign(fake.command("/ack", "42"), at=now + off_s + (1 if off_s > 0 else 0))

    with pytest.raises(Rejected) as caught:
        slack.receive(headers, body)

    assert (caught.value.status, caught.value.code) == (401, "stale")


@pytest.mark.parametrize("stamp", ["abc", "-1700000000", "1e9", "١٢٣", "9" * 40, "1700000000.5"])
def test_row_42_a_garbage_timestamp_is_refused(fake: FakeSlack, slack: Slack, stamp: str) -> None:
    headers, body = fake.sign(fake.command("/ack", "42"))

    with pytest.raises(Rejected) as caught:
        slack.receive(headers | {"X-Slack-Request-Timestamp": stamp}, body)

    assert (caught.value.status, caught.value.code) == (401, "stale")


def test_a_body_that_is_not_utf8_is_refused_and_not_a_crash(fake: FakeSlack, slack: Slack) -> None:
    body = b"command=%2Fack&text=\xff\xfe"
    headers = fake.workspace.sign(body, "application/x-www-form-urlencoded")

    with pytest.raises(Rejected) as caught:
        slack.receive(headers, body)

    assert caught.value.status == 401


def test_without_a_signing_secret_nothing_is_believed(fake: FakeSlack, door: SmallDoor) -> None:
    slack = Slack(section(fake, "socket").model_copy(update={"signing_secret": SecretStr("")}))
    spoken = fake.command("/ack", "42")
    headers = replace(fake.workspace, secret="").sign(spoken.body, spoken.content_type)

    with pytest.raises(Rejected) as caught:
        slack.receive(headers, spoken.body)

    assert caught.value.status == 401


def test_row_43_a_replayed_request_has_no_second_effect(fake: FakeSlack, slack: Slack, door: SmallDoor) -> None:
    pressed = fake.sign(fake.press("ack 42"))
    typed = fake.sign(fake.command("/ack", "43"))
    said = fake.sign(fake.mention("ack 44"))

    answers = [slack.receive(*request).status for request in (pressed, typed, said) * 2]

    assert answers == [200] * 6
    assert [ask.words for ask in door.asks] == ["ack 42", "ack 43", "ack 44"]
    assert len(fake.whispers) == 2  # The command's answer is its response.


def test_row_43_a_replayed_refusal_is_not_told_again(fake: FakeSlack, slack: Slack, door: SmallDoor) -> None:
    request = fake.sign(fake.press("ack 42", user="U2"))

    slack.receive(*request)
    slack.receive(*request)

    assert door.heard == []
    assert len(fake.whispers) == 1


def test_row_44_a_retry_of_a_handled_event_has_no_effect(fake: FakeSlack, slack: Slack, door: SmallDoor) -> None:
    headers, body = fake.sign(fake.mention("ack 42"))
    slack.receive(headers, body)

    heard = slack.receive(headers | {"X-Slack-Retry-Num": "1", "X-Slack-Retry-Reason": "http_timeout"}, body)

    assert heard.status == 200
    assert len(door.asks) == 1
    assert len(fake.whispers) == 1


def test_row_45_the_address_is_verified_only_with_a_signature(fake: FakeSlack, slack: Slack) -> None:
    body = json.dumps({"type": "url_verification", "token": "x", "challenge": "3eZbrw1aB"}).encode()

    heard = slack.receive(fake.workspace.sign(body, "application/json"), body)
    with pytest.raises(Rejected) as caught:
        slack.receive({"Content-Type": "application/json"}, body)

    assert (heard.status, heard.body) == (200, b"3eZbrw1aB")
    assert heard.content_type.startswith("text/plain")
    assert caught.value.status == 401


@pytest.mark.parametrize("where", [{"team_id": "T2"}, {"api_app_id": "A2"}, {"team_id": ""}])
def test_row_46_another_workspace_or_app_is_refused(
    fake: FakeSlack, slack: Slack, door: SmallDoor, where: dict[str, str]
) -> None:
    with pytest.raises(Rejected) as caught:
        hear(slack, fake, fake.command("/ack", "42", **where))

    assert (caught.value.status, caught.value.code) == (403, "wrong_team")
    assert door.heard == []


def test_row_46_a_press_and_an_event_of_another_workspace_are_refused(
    fake: FakeSlack, slack: Slack, door: SmallDoor
) -> None:
    event = fake.mention("ack 42")

    for spoken in (
        fake.press("ack 42", team={"id": "T2"}),
        fake.press("ack 42", team="T2"),
        replace(event, payload=event.payload | {"team_id": "T2"}),
    ):
        with pytest.raises(Rejected) as caught:
            hear(slack, fake, spoken)
        assert caught.value.status == 403

    assert door.heard == []


@pytest.mark.parametrize(
    "body",
    [
        b"payload=not-json",
        b"payload=%5B1%5D",
        b"payload=" + b"%5B" * 100_000,
        b'{"type": "event_callback", "team_id": "T1", "event": "x"}',
        b'{"type": "event_callback", "team_id": "T1", "event": {}}',
        b'{"type": "block_actions", "team": {"id": "T1"}, "actions": []}',
        b'{"type": "block_actions", "team": {"id": "T1"}, "actions": [{"action_id": 3}]}',
        b'{"type": "block_actions", "team": {"id": "T1"}, "user": 7}',
        b'{"type": "block_actions", "team": {"id": "T1"}, "actions": [{"action_id": "say:0"}]}',
        b"command=%2Fack&text=42&team_id=T1&user_id=U1",
        b'{"type": "block_actions", "team_id": "T1", "authorizations": ["x"]}',
    ],
)
def test_row_47_a_payload_that_cannot_be_read_is_refused(
    fake: FakeSlack, slack: Slack, door: SmallDoor, body: bytes
) -> None:
    headers = fake.workspace.sign(body, "application/x-www-form-urlencoded")

    with pytest.raises(Rejected) as caught:
        slack.receive(headers, body)

    assert caught.value.status == 400
    assert door.heard == []


def test_row_47_a_huge_body_is_refused(fake: FakeSlack, slack: Slack) -> None:
    body = b"payload=" + b"x" * 2 * 1024 * 1024

    with pytest.raises(Rejected) as caught:
        slack.receive(fake.workspace.sign(body, "application/x-www-form-urlencoded"), body)

    assert caught.value.status == 413


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


def test_the_link_to_the_board_is_acknowledged_in_silence(fake: FakeSlack, slack: Slack, door: SmallDoor) -> None:
    heard = hear(slack, fake, fake.press("", action_id="open"))

    assert (heard.status, fake.whispers, door.heard) == (200, [], [])


def test_row_49_a_refusal_of_the_house_reaches_the_asker_alone(fake: FakeSlack, slack: Slack, door: SmallDoor) -> None:
    door.answer_next(Reply(said="Plan 7f3a expired 12 min ago. Nothing was done. <!channel>", ok=False))

    heard = hear(slack, fake, fake.press("yes 7f3a"))

    assert heard.status == 200
    assert fake.whispers[0].text == "Plan 7f3a expired 12 min ago. Nothing was done. &lt;!channel&gt;"


def test_row_50_two_clicks_are_two_asks_of_the_same_person(fake: FakeSlack, slack: Slack, door: SmallDoor) -> None:
    ref = post(slack)
    clicks = [fake.sign(fake.press("ack 42", message=ref)) for _ in range(2)]
    threads = [threading.Thread(target=slack.receive, args=click) for click in clicks]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(5)

    assert [ask.words for ask in door.asks] == ["ack 42", "ack 42"]
    assert len({ask.once for ask in door.asks}) == 2


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


def test_row_53_a_member_of_our_organisation_is_heard(fake: FakeSlack, slack: Slack, door: SmallDoor) -> None:
    fake.users["U1"] = member("U1", team_id="T7", enterprise_user={"id": "E1", "teams": ["T1", "T7"]})

    hear(slack, fake, fake.mention("ack 42", user_team="E1"))

    assert [ask.words for ask in door.asks] == ["ack 42"]


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


def test_row_54_somebody_not_listed_is_told_so(fake: FakeSlack, slack: Slack, door: SmallDoor) -> None:
    heard = hear(slack, fake, fake.command("/ack", "42", user="U2"))

    told = json.loads(heard.body)
    assert told["response_type"] == "ephemeral"
    assert told["text"] == ("You are not listed under `people` (slack: U2). Nothing was done. Ask an admin to add you.")
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
    assert door.asks[0].words == words
    assert door.asks[0].by == ANA
    assert door.asks[0].place == "slack"


def test_a_mention_in_a_cards_thread_is_about_that_incident(fake: FakeSlack, slack: Slack, door: SmallDoor) -> None:
    ref = post(slack)
    door.standing["slack", ref] = 42

    hear(slack, fake, fake.mention("note disk is full", thread=ref))

    assert (door.asks[0].words, door.asks[0].incident_id) == ("note disk is full", 42)
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


def test_an_answer_that_does_not_arrive_undoes_nothing(
    fake: FakeSlack, slack: Slack, door: SmallDoor, caplog: pytest.LogCaptureFixture
) -> None:
    spoken = fake.press("ack 42")
    url = str(spoken.payload["response_url"])
    fake.answer_next(reset=True, path=url.removeprefix(fake.url))

    heard = hear(slack, fake, spoken)

    assert heard.status == 200
    assert len(door.asks) == 1
    assert "did not reach its asker" in caplog.text
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


# --- Socket Mode and readiness ---------------------------------------------------------------------------------------


@pytest.fixture
def wired(fake: FakeSlack, door: SmallDoor) -> Iterator[Slack]:
    channel = Slack(section(fake, "socket"))
    channel.start(door)
    fake.wait(lambda: channel.healthy() is None, "the connection")
    yield channel
    channel.stop()


def test_what_is_said_over_the_socket_is_done_before_it_is_acknowledged(
    fake: FakeSlack, wired: Slack, door: SmallDoor
) -> None:
    answer = fake.push(fake.command("/ack", "42"))
    fake.push(fake.press("resolve 42"))
    fake.push(fake.mention("incidents"))

    assert answer == {"response_type": "ephemeral", "text": "Done: ack 42"}
    assert [ask.words for ask in door.asks] == ["ack 42", "resolve 42", "incidents"]
    assert [whisper.text for whisper in fake.whispers] == ["Done: resolve 42", "Done: incidents"]


def test_what_another_workspace_sends_over_the_socket_is_acknowledged_and_left_alone(
    fake: FakeSlack, wired: Slack, door: SmallDoor
) -> None:
    answer = fake.push(fake.command("/ack", "42", team_id="T2"))

    assert answer is None
    assert door.heard == []


def test_an_unknown_button_over_the_socket_is_acknowledged(fake: FakeSlack, wired: Slack, door: SmallDoor) -> None:
    fake.push(fake.press("x", action_id="approve:1"))

    assert door.heard == []
    assert fake.whispers[0].text.startswith("This button is from an older version.")


def test_the_socket_moves_when_slack_asks_for_it(fake: FakeSlack, wired: Slack, door: SmallDoor) -> None:
    fake.ask_to_move()
    fake.push(fake.command("/ack", "42"))

    assert fake.socket_opened == 2
    assert len(door.asks) == 1


def test_the_socket_comes_back_after_the_server_ended_it(fake: FakeSlack, wired: Slack, door: SmallDoor) -> None:
    fake.end_sockets()
    fake.wait(lambda: fake.socket_opened == 2, "the second connection")
    fake.push(fake.command("/ack", "42"))

    assert len(door.asks) == 1
    assert wired.healthy() is None


def test_the_socket_comes_back_after_the_peer_vanished_without_a_word(
    fake: FakeSlack, wired: Slack, door: SmallDoor
) -> None:
    fake.cut_sockets()
    fake.wait(lambda: fake.socket_opened == 2, "the second connection")
    fake.push(fake.command("/ack", "42"))

    assert len(door.asks) == 1


def test_a_slack_that_cannot_be_reached_at_the_start_is_tried_again(fake: FakeSlack, door: SmallDoor) -> None:
    fake.answer_next(status=503, path="auth.test")
    slack = Slack(section(fake, "socket"))

    slack.start(door)
    fake.wait(lambda: slack.healthy() is None, "the connection")
    slack.stop()

    assert len(fake.calls("auth.test")) == 2


@pytest.mark.parametrize("mode", ["http", "socket"])
def test_a_bad_token_is_told_once_and_not_asked_for_ever(
    fake: FakeSlack, door: SmallDoor, caplog: pytest.LogCaptureFixture, mode: Literal["http", "socket"]
) -> None:
    slack = Slack(section(fake, mode).model_copy(update={"bot_token": SecretStr("xoxb-wrong")}))

    slack.start(door)
    fake.wait(lambda: "given up" in caplog.text, "the log line")
    slack.stop()

    assert "invalid_auth" in str(slack.healthy())
    assert len(fake.calls("auth.test")) == 1
    assert "xoxb" not in caplog.text


def test_a_bad_app_token_is_told(fake: FakeSlack, door: SmallDoor, caplog: pytest.LogCaptureFixture) -> None:
    slack = Slack(section(fake, "socket").model_copy(update={"app_token": SecretStr("xapp-1-A1-1-wrong")}))

    slack.start(door)
    fake.wait(lambda: "given up" in caplog.text, "the log line")
    slack.stop()

    assert "apps.connections.open" in str(slack.healthy())
    assert len(fake.calls("apps.connections.open")) == 1


def test_a_token_of_another_workspace_is_told(fake: FakeSlack, door: SmallDoor) -> None:
    slack = Slack(section(fake).model_copy(update={"team_id": "T2"}))

    slack.start(door)
    fake.wait(lambda: "workspace T1" in str(slack.healthy()), "the verdict")
    slack.stop()


def test_stopping_is_prompt_and_leaves_no_thread(fake: FakeSlack, door: SmallDoor) -> None:
    before = set(threading.enumerate())
    slack = Slack(section(fake, "socket"))
    slack.start(door)
    fake.wait(lambda: slack.healthy() is None, "the connection")
    ours = {thread for thread in threading.enumerate() if thread not in before and "fake" not in thread.name}
    began = datetime.now(UTC)

    slack.stop()

    took = datetime.now(UTC) - began
    assert took < timedelta(seconds=1.5)
    assert [thread.name for thread in ours if thread.is_alive() and "slack" in thread.name] == []
