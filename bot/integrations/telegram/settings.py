"""The settings' section about Telegram."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field, SecretStr

from bot.lib.settings_fields import Address, ChannelSection, Secret


class TelegramSettings(ChannelSection):
    """One Telegram bot and the group, or topic of a group, where incidents are posted."""

    called: ClassVar[str] = "Telegram"
    mode_needs: ClassVar[Mapping[str, str]] = {"webhook": "secret_token"}

    token: Secret = Field(description="From @BotFather, 123456:AAA...")
    chat_id: int = Field(description="-100... for a group.")
    topic_id: int | None = Field(None, description="message_thread_id of a forum topic.")
    api_url: Address = "https://api.telegram.org/bot"
    mode: Literal["polling", "webhook"] = "polling"
    secret_token: SecretStr = Field(
        SecretStr(""), description="Checks the requests from Telegram; needed in mode webhook."
    )
    webhook_url: Address | None = Field(
        None,
        description="The bot's address for Telegram in mode webhook; without it, server.public_url + /in/telegram.",
    )

    @property
    def summary(self) -> str:
        return f"{self.mode}, {self.chat_id}"
