"""One Telegram channel before its strict fake: started, spoken to, and listened to until it has answered."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from pydantic import SecretStr

from bot.core.alert import Severity
from bot.core.channel import Gateway
from bot.core.errors import Rejected
from bot.core.incident import Event, EventType, Incident, Status
from bot.core.message import Card, MessageKind, Notification
from bot.integrations.telegram.channel import Telegram
from bot.integrations.telegram.settings import TelegramSettings
from tests.fakes.telegram import TOKEN, FakeTelegram

CHAT = -1001
SECRET = "s3cret-of-the-webhook"
WEBHOOK = "https://bot.example.net/in/telegram"
SIGNED = {"X-Telegram-Bot-Api-Secret-Token": SECRET}
NOW = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)
BUTTONS = {"Acknowledge": "ack 42", "Resolve": "resolve 42"}
INCIDENT = Incident(
    id=42,
    key="{}:{}",
    source="am",
    title="Disk full",
    severity=Severity.CRITICAL,
    status=Status.OPEN,
    opened_at=NOW,
    changed_at=NOW,
)


def settings(fake: FakeTelegram, **more: Any) -> TelegramSettings:
    given = {"token": SecretStr(TOKEN), "chat_id": CHAT, "api_url": fake.api_url, "mode": "webhook"}
    return TelegramSettings(**{**given, "secret_token": SecretStr(SECRET), "webhook_url": WEBHOOK, **more})


@contextmanager
def listening(fake: FakeTelegram, door: Gateway, **more: Any) -> Iterator[Telegram]:
    """The channel, started, from when it hears (in mode polling: from its first poll)."""
    channel = Telegram(settings(fake, **more))
    before = opened(fake)
    channel.start(door)
    try:
        fake.wait(lambda: opened(fake) > before, "listening")
        yield channel
    finally:
        channel.stop()


def opened(fake: FakeTelegram) -> int:
    return len(fake.calls("setWebhook")) + len(fake.calls("getUpdates"))


def hears(channel: Telegram) -> bool:
    try:
        return channel.receive(SIGNED, b'{"update_id": 1}').status == 200
    except Rejected:
        return False


def sent(channel: Telegram, update: dict[str, Any]) -> int:
    """Bring the update as Telegram's webhook does, and wait until what it caused has been said."""
    status = channel.receive(SIGNED, json.dumps(update).encode()).status
    assert channel._live is not None
    channel._live.loop.run(others())
    return status


async def others() -> None:
    await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()}, return_exceptions=True)


def notice(
    kind: MessageKind = MessageKind.CARD, *, ref: str | None = None, said: str = "", **card: Any
) -> Notification:
    event = Event(incident_id=42, at=NOW, type=EventType.NOTED, by="ana", text=said) if said else None
    shown = Card(**{"title": "Disk full", "lines": ("api-1 & api-2 < 5 %",), "buttons": BUTTONS, **card})
    return Notification(key="42:1", kind=kind, incident=INCIDENT, event=event, card=shown, ref=ref, due_at=NOW)
