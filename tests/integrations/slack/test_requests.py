"""Requests to `/in/slack`: genuine, fresh, readable, ours. Row numbers are those of the bad-input table."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from pydantic import SecretStr

from bot.core.errors import Rejected
from bot.integrations.slack.channel import Slack
from tests.fakes.door import SmallDoor
from tests.fakes.slack import FakeSlack
from tests.integrations.slack.notices import hear, section


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
    assert [ask.text for ask in door.asks] == ["ack 42", "ack 43", "ack 44"]
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
