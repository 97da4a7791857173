"""PagerDuty, the way in: what a genuine webhook means, whose word is mirrored, and what is only counted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import SecretStr

from bot.core.errors import Rejected
from bot.core.incident import EventType
from bot.core.request import Principal, Reply
from bot.integrations.pagerduty.channel import PagerDuty
from tests.fakes.door import ANA, SmallDoor
from tests.fakes.pagerduty import API_TOKEN, FakePagerDuty
from tests.integrations.contract import INCIDENT, page
from tests.integrations.pagerduty.bench import PAGE_KEY, section

RESOLVED = b'{"event": {"event_type": "incident.resolved", "resource_type": "incident", "data": %s}}'


@pytest.fixture
def reading(fake: FakePagerDuty, door: SmallDoor) -> Iterator[PagerDuty]:
    """A channel that may look things up in the REST API."""
    channel = PagerDuty(section(fake, api_token=SecretStr(API_TOKEN)))
    channel.start(door)
    yield channel
    channel.stop()


def test_an_acknowledgement_in_pagerduty_is_asked_for_once_by_the_listed_person(
    fake: FakePagerDuty, channel: PagerDuty, door: SmallDoor
) -> None:
    channel.deliver(page(EventType.OPENED))
    headers, body = fake.webhook("incident.acknowledged", PAGE_KEY, event_id="01EVENT")

    answers = [channel.receive(headers, body), channel.receive({**headers, "x-webhook-id": "another"}, body)]

    assert [answer.status for answer in answers] == [202, 202]
    (ask,) = door.asks
    assert len(door.heard) == 2
    assert (ask.text, ask.by, ask.channel, ask.idempotency_key) == ("ack 42", ANA, "pagerduty", "01EVENT")
    assert ask.incident_id == INCIDENT


def test_a_resolution_in_pagerduty_is_mirrored_with_its_own_time(
    fake: FakePagerDuty, channel: PagerDuty, door: SmallDoor
) -> None:
    at = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
    channel.deliver(page(EventType.OPENED))

    channel.receive(*fake.webhook("incident.resolved", PAGE_KEY, occurred_at=at))

    assert door.asks[0].text == "resolve 42"
    assert door.asks[0].sent_at == at


@pytest.mark.parametrize("told", ["", "yesterday", "2026-11-23T03:00:00", "9999-99-99T00:00:00Z"])
def test_a_time_that_cannot_be_placed_is_left_out(
    fake: FakePagerDuty, channel: PagerDuty, door: SmallDoor, told: str
) -> None:
    channel.deliver(page(EventType.OPENED))
    _, body = fake.webhook("incident.resolved", PAGE_KEY)
    event = json.loads(body)
    event["event"]["occurred_at"] = told

    channel.receive(*fake.sign(json.dumps(event).encode()))

    assert door.asks[0].sent_at is None


def test_an_acknowledgement_that_comes_after_the_resolution_is_the_houses_to_refuse(
    fake: FakePagerDuty, channel: PagerDuty, door: SmallDoor
) -> None:
    channel.deliver(page(EventType.OPENED))
    door.answer_next(Reply(text="Done."))
    door.answer_next(Reply(text="Incident 42 is already resolved.", ok=False))
    channel.receive(*fake.webhook("incident.resolved", PAGE_KEY))

    late = channel.receive(*fake.webhook("incident.acknowledged", PAGE_KEY))

    assert late.status == 202
    assert [ask.text for ask in door.asks] == ["resolve 42", "ack 42"]


def test_an_account_that_nobody_listed_is_mirrored_under_its_own_name(
    fake: FakePagerDuty, channel: PagerDuty, door: SmallDoor
) -> None:
    channel.deliver(page(EventType.OPENED))

    channel.receive(*fake.webhook("incident.acknowledged", PAGE_KEY, agent=("PBOB", "Bob\u202e \x00the Builder")))

    assert door.asks[0].by == Principal(id="pagerduty:PBOB", name="Bob the Builder")


def test_what_no_person_did_is_asked_for_by_the_machine(
    fake: FakePagerDuty, channel: PagerDuty, door: SmallDoor
) -> None:
    channel.deliver(page(EventType.OPENED))

    channel.receive(*fake.webhook("incident.unacknowledged", PAGE_KEY, agent=None))
    channel.receive(*fake.webhook("incident.resolved", PAGE_KEY, agent=None))

    assert [ask.by.id for ask in door.asks] == ["pagerduty", "pagerduty"]
    assert not any(ask.by.human for ask in door.asks)


@pytest.mark.parametrize("what", ["acknowledged", "resolved"])
def test_the_echo_of_an_event_of_the_integration_is_counted_and_no_more(
    fake: FakePagerDuty, reading: PagerDuty, door: SmallDoor, what: str
) -> None:
    reading.deliver(page(EventType.OPENED))
    before = len(fake.received)

    heard = reading.receive(*fake.webhook(f"incident.{what}", PAGE_KEY, by_integration=True))

    assert heard.status == 202
    assert reading.ignored_by_reason == {"echo": 1}
    assert not door.heard
    assert len(fake.received) == before  # nothing was looked up: a storm has an echo for each of its pages


def test_a_note_finds_its_incident_through_the_rest_api(
    fake: FakePagerDuty, reading: PagerDuty, door: SmallDoor
) -> None:
    reading.deliver(page(EventType.OPENED))

    heard = reading.receive(*fake.webhook("incident.annotated", PAGE_KEY, content="  disk is full,\n I clean up\x00 "))

    assert heard.body == b"taken"
    assert door.asks[0].text == "note 42 disk is full, I clean up"


def test_a_note_without_a_token_is_counted_and_what_is_missing_is_logged_once(
    fake: FakePagerDuty, channel: PagerDuty, door: SmallDoor, caplog: pytest.LogCaptureFixture
) -> None:
    channel.deliver(page(EventType.OPENED))

    heard = channel.receive(*fake.webhook("incident.annotated", PAGE_KEY, content="hello"))
    channel.receive(*fake.webhook("incident.acknowledged", PAGE_KEY, with_key=False))

    assert heard.status == 202
    assert channel.ignored_by_reason == {"not_ours": 2}
    assert caplog.text.count("Set channels.pagerduty.api_token") == 1
    assert not door.heard


def test_an_incident_without_a_key_is_found_by_its_alerts(
    fake: FakePagerDuty, reading: PagerDuty, door: SmallDoor
) -> None:
    reading.deliver(page(EventType.OPENED))

    reading.receive(*fake.webhook("incident.acknowledged", PAGE_KEY, with_key=False))

    assert door.asks[0].text == "ack 42"


@pytest.mark.parametrize(
    "trouble", [{"status": 500}, {"status": 429}, {"reset": True}, {"status": 403, "body": b"<html>"}, {"status": 407}]
)
def test_pagerduty_is_asked_to_tell_us_again_when_its_own_api_is_down(
    fake: FakePagerDuty, reading: PagerDuty, door: SmallDoor, trouble: dict[str, Any]
) -> None:
    reading.deliver(page(EventType.OPENED))
    told = fake.webhook("incident.annotated", PAGE_KEY, content="hello")
    fake.answer_next(path="/alerts", **trouble)

    with pytest.raises(Rejected) as later:
        reading.receive(*told)
    reading.receive(*told)

    assert later.value.status == 503
    assert door.asks[0].text == "note 42 hello"


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_token_that_is_refused_is_no_reason_to_be_told_for_two_days(
    fake: FakePagerDuty, reading: PagerDuty, door: SmallDoor, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    reading.deliver(page(EventType.OPENED))
    fake.answer_next(path="/alerts", status=status, body=b'{"error": {"message": "Unauthorized", "code": 2006}}')

    heard = reading.receive(*fake.webhook("incident.annotated", PAGE_KEY, content="hello"))

    assert heard.status == 202
    assert (reading.health_problem() is None) is (status == 404)
    assert ("check channels.pagerduty.api_token" in caplog.text) is (status != 404)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "unreadable"),
        (b"\xff\xfe\x00", "unreadable"),
        (b"[" * 100_000, "unreadable"),
        (b'{"event": {"event_type": "incident.acknowledged", "data": {"incident_key": "' + b"9" * 5000, "unreadable"),
        (b"null", "other_event"),
        (b'{"event": []}', "other_event"),
        (b'{"event": {"event_type": "pagey.ping", "resource_type": "pagey"}}', "other_event"),
        (b'{"event": {"event_type": "incident.escalated", "resource_type": "incident"}}', "other_resource"),
        (b'{"event": {"event_type": "service.resolved", "resource_type": "incident"}}', "other_event"),
        (b'{"event": {"event_type": "incident.of_next_year", "resource_type": "incident"}}', "other_event"),
        (
            b'{"event": {"event_type": "incident.resolved", "resource_type": "service", "data": {"id": "P1"}}}',
            "other_resource",
        ),
        (b'{"event": {"event_type": "incident.resolved", "resource_type": "incident"}}', "other_resource"),
        (
            b'{"event": {"event_type": "incident.annotated", "resource_type": "incident", "data": {"id": "P1"}}}',
            "empty_note",
        ),
        (RESOLVED % b'{"incident_key": "somebody else\'s", "id": "P1"}', "not_ours"),
        (RESOLVED % b'{"incident_key": "\\u0000\\ud800", "id": "P1"}', "not_ours"),
        (RESOLVED % b'{"incident_key": null, "id": "../../users"}', "not_ours"),
        (b'{"event": {}}' + b" " * 256 * 1024, "too_big"),
    ],
)
def test_a_genuine_webhook_is_never_refused_whatever_is_in_it(
    fake: FakePagerDuty, reading: PagerDuty, door: SmallDoor, body: bytes, why: str
) -> None:

    heard = reading.receive(*fake.sign(body))

    assert heard.status == 202
    assert reading.ignored_by_reason == {why: 1}
    assert not door.heard
    assert [call.path for call in fake.received] == ["/incidents/P1/alerts"] * (
        b'"id": "P1"' in body and why == "not_ours"
    )


@pytest.mark.parametrize("kind", ["triggered", "status_update_published", "responder.added", "service_updated"])
def test_what_has_no_meaning_here_yet_is_counted(
    fake: FakePagerDuty, channel: PagerDuty, door: SmallDoor, kind: str
) -> None:
    channel.deliver(page(EventType.OPENED))

    heard = channel.receive(*fake.webhook(f"incident.{kind}", PAGE_KEY))

    assert heard.status == 202
    assert channel.ignored_by_reason["other_event"] == 1
    assert not door.heard


def test_an_event_without_an_id_is_known_by_its_bytes(fake: FakePagerDuty, channel: PagerDuty, door: SmallDoor) -> None:
    channel.deliver(page(EventType.OPENED))
    _, body = fake.webhook("incident.acknowledged", PAGE_KEY, event_id="01EVENT")
    without = fake.sign(body.replace(b'"id": "01EVENT", ', b'"id": "\\u0000", '))

    channel.receive(*without)
    channel.receive(*without)

    assert len(door.asks) == 1
    assert len(door.asks[0].idempotency_key) == 64


def test_a_house_in_trouble_lets_pagerduty_try_again(fake: FakePagerDuty, channel: PagerDuty, door: SmallDoor) -> None:
    channel.deliver(page(EventType.OPENED))
    told = fake.webhook("incident.acknowledged", PAGE_KEY)
    door.answer_next(ConnectionError("the database is gone"))

    with pytest.raises(ConnectionError):
        channel.receive(*told)
    again = channel.receive(*told)

    assert again.status == 202
    assert len(door.asks) == 1


def test_before_it_is_started_a_genuine_webhook_is_put_off(fake: FakePagerDuty) -> None:
    channel = PagerDuty(section(fake))
    channel.deliver(page(EventType.OPENED))

    with pytest.raises(Rejected) as early:
        channel.receive(*fake.webhook("incident.acknowledged", PAGE_KEY))
    channel.stop()

    assert early.value.status == 503
