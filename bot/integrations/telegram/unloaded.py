"""Telegram's channel before its SDK is loaded, for a process that may never need it, such as `vakhta ask`.

It has the channel's facts, and loads the channel with the first call that has to reach Telegram. A test compares it
with the channel.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from bot.core.incident import EventType, Incident
from bot.core.message import MessageKind
from bot.integrations import load_channel
from bot.integrations.telegram.settings import TelegramSettings

if TYPE_CHECKING:
    from bot.integrations.telegram.channel import Telegram


class UnloadedTelegram:
    """Facts of `Telegram`, and the calls that need no running channel."""

    name = "telegram"
    kinds = frozenset({MessageKind.CARD, MessageKind.LINE})
    event_types = frozenset(EventType)
    accounts = True
    pages = False

    def __init__(self, section: TelegramSettings) -> None:
        self._section = section

    def accepts(self, incident: Incident) -> bool:  # noqa: ARG002 - every incident is posted in the chat
        return True

    def post(self, text: str, to: str | None, *, instead_of: str = "") -> str:
        return self._loaded.post(text, to, instead_of=instead_of)

    @cached_property
    def _loaded(self) -> Telegram:
        channel: Telegram = load_channel(self.name).Telegram(self._section)
        return channel
