"""The settings' section about Slack."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field, SecretStr

from bot.lib.settings_fields import Address, ChannelSection, Secret


class SlackSettings(ChannelSection):
    """One Slack workspace and the channel where incidents are posted."""

    called: ClassVar[str] = "Slack"
    command: ClassVar[str] = "/vakhta "
    mode_needs: ClassVar[Mapping[str, str]] = {"socket": "app_token", "http": "signing_secret"}

    bot_token: Secret = Field(description="xoxb-...")
    app_token: SecretStr = Field(SecretStr(""), description="xapp-...; needed in mode socket.")
    signing_secret: SecretStr = Field(SecretStr(""), description="Checks the requests from Slack; needed in mode http.")
    team_id: str = Field(min_length=1, description="T...; requests from another workspace are refused.")
    channel: str = Field(min_length=1, description="C..., the channel's id, not its name.")
    hears_in: tuple[str, ...] = Field((), description="Further channels, C..., where commands are accepted.")
    api_url: Address = "https://slack.com/api/"
    mode: Literal["socket", "http"] = "socket"

    @property
    def summary(self) -> str:
        return f"{self.mode}, {self.channel}"
