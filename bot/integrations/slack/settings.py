"""The settings' section about Slack."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, SecretStr

from bot.fields import Address, Secret
from bot.section import Section


class SlackSettings(Section):
    """One Slack workspace and the channel where incidents are told."""

    bot_token: Secret = Field(description="xoxb-...")
    app_token: SecretStr = Field(SecretStr(""), description="xapp-...; needed in mode socket.")
    signing_secret: SecretStr = Field(SecretStr(""), description="Checks what Slack sends; needed in mode http.")
    team_id: str = Field(min_length=1, description="T...; what another workspace sends is refused.")
    channel: str = Field(min_length=1, description="C..., the channel's id, not its name.")
    hears_in: tuple[str, ...] = Field((), description="Further channels, C..., in which commands are taken.")
    api_url: Address = "https://slack.com/api/"
    mode: Literal["socket", "http"] = "socket"
