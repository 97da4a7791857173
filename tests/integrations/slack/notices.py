"""What the Slack tests deliver, and how they let the channel hear."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from msgspec.structs import replace
from pydantic import SecretStr

from bot.core.alert import Severity
from bot.core.channel import WebhookResponse
from bot.core.incident import Event, EventType, Incident, Status
from bot.core.message import Card, MessageKind, Notification
from bot.integrations.slack.channel import Slack
from bot.integrations.slack.settings import SlackSettings
from bot.notifications.card import CardSettings
from bot.notifications.card import incident_card as draw
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
CARD = draw(INCIDENT, CardSettings(public_url="https://vakhta.test"))
EVENT = Event(incident_id=42, at=NOON, type=EventType.ACKED, by="ana", text="Ana has it")


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


def card(ref: str | None = None, *, key: str = "n1", told: Card = CARD, tried: bool = False) -> Notification:
    return Notification(
        key=key,
        kind=MessageKind.CARD,
        incident=INCIDENT,
        event=None,
        card=told,
        ref=ref,
        due_at=datetime.now(UTC),
        attempted=tried,
    )


def line(ref: str, said: str = EVENT.text, *, key: str = "n2", tried: bool = False) -> Notification:
    told = replace(EVENT, text=said)
    return Notification(
        key=key,
        kind=MessageKind.LINE,
        incident=INCIDENT,
        event=told,
        card=CARD,
        ref=ref,
        due_at=datetime.now(UTC),
        attempted=tried,
    )


def hear(slack: Slack, fake: FakeSlack, spoken: Spoken) -> WebhookResponse:
    headers, body = fake.sign(spoken)
    return slack.receive(headers, body)


def post(slack: Slack) -> str:
    ref = slack.deliver(card())
    assert ref is not None
    return ref
