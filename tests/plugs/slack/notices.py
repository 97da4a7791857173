"""What the Slack tests deliver, and how they let the channel hear."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from msgspec.structs import replace
from pydantic import SecretStr

from bot.cards import card as draw
from bot.channels.slack import Slack
from bot.integrations.slack.settings import SlackSettings
from bot.model import Card, Event, Incident, Kind, Notice, Severity, Status, What
from bot.ports import Heard
from tests.fakes.slack import FakeSlack
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
CARD = draw(INCIDENT, public_url="https://vakhta.test")
EVENT = Event(incident_id=42, at=NOON, what=What.ACKED, by="ana", said="Ana has it")


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


def card(ref: str | None = None, *, key: str = "n1", told: Card = CARD, tried: bool = False) -> Notice:
    return Notice(
        key=key,
        kind=Kind.CARD,
        incident=INCIDENT,
        event=None,
        card=told,
        ref=ref,
        owed_at=datetime.now(UTC),
        tried=tried,
    )


def line(ref: str, said: str = EVENT.said, *, key: str = "n2", tried: bool = False) -> Notice:
    told = replace(EVENT, said=said)
    return Notice(
        key=key,
        kind=Kind.LINE,
        incident=INCIDENT,
        event=told,
        card=CARD,
        ref=ref,
        owed_at=datetime.now(UTC),
        tried=tried,
    )


def hear(slack: Slack, fake: FakeSlack, spoken: Spoken) -> Heard:
    headers, body = fake.sign(spoken)
    return slack.receive(headers, body)


def post(slack: Slack) -> str:
    ref = slack.deliver(card())
    assert ref is not None
    return ref
