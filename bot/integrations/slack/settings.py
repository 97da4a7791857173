"""The settings' section about Slack."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr

from bot.lib.settings_fields import Address, ChannelSection, Mistake, Secret, host_of, text_of, texts_of

_CHANNEL = re.compile(r"[CGD][A-Z0-9]+")
_LOWER_CASE_ID = re.compile(r"[cgd](?=[a-z0-9]*[0-9])[a-z0-9]{6,}")
_MEMBER = re.compile(r"[UW][A-Z0-9]+")
_TEAM = re.compile(r"[TE][A-Z0-9]+")
_USER_GROUP = re.compile(r"S[A-Z0-9]+")
#: How a token of Slack begins -> what it is.
_TOKENS: Mapping[str, str] = {
    "xoxb-": "a bot token",
    "xapp-": "an app-level token",
    "xoxp-": "a user token",
    "xoxa-": "an old workspace token",
    "xoxr-": "a refresh token",
    "xoxc-": "a token of a browser's session",
    "xoxs-": "a token of a browser's session",
    "xoxe.": "a token that expires after 12 hours",
    "xoxe-": "a refresh token",
}
_OWN_HOSTS = (".slack.com", ".slack-gov.com")


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

    @classmethod
    def mistakes(cls, given: Mapping[str, object]) -> Iterator[Mistake]:
        """Forms of ids and tokens. A token of unknown form is a mistake only where Slack itself is asked."""
        yield from _token_mistake(given, "bot_token", "xoxb-", "OAuth & Permissions, Bot User OAuth Token")
        yield from _token_mistake(given, "app_token", "xapp-", "Basic Information, App-Level Tokens")
        if text_of(given, "signing_secret").startswith(tuple(_TOKENS)):
            message = "is a token; the signing secret is in the app's Basic Information, App Credentials"
            yield ("signing_secret",), message
        for key, value in [(("channel",), text_of(given, "channel")), *texts_of(given, "hears_in")]:
            if value and (fault := channel_fault(value)):
                yield key, fault
        team = text_of(given, "team_id")
        if team and not _TEAM.fullmatch(team):
            yield ("team_id",), "must be the workspace's id, T...: it is in the address app.slack.com/client/T..."
        yield from _api_mistake(text_of(given, "api_url"))


def channel_fault(channel: str) -> str:
    """Why this cannot be the id of a Slack channel, and what to do; "" if it can."""
    if _CHANNEL.fullmatch(channel):
        return ""
    if _MEMBER.fullmatch(channel) or channel.startswith("@"):
        return "is a person; give the id of a channel, C...: at the end of the channel's details in Slack"
    if channel.startswith("#") or (channel == channel.lower() and not _LOWER_CASE_ID.fullmatch(channel)):
        return "is a channel's name; give its id, C...: at the end of the channel's details in Slack"
    return "must be a channel's id, C... in capitals: at the end of the channel's details in Slack"


def member_fault(account: str) -> str:
    """Why this cannot be the id of a member in Slack, and what to do; "" if it can."""
    if _MEMBER.fullmatch(account):
        return ""
    where = "in the person's profile in Slack, under the three dots, Copy member ID"
    if account.startswith("@") or "@" in account:
        return f"is a name or an address; give the member id, U...: {where}"
    return f"must be the member id, U... or W... in capitals: {where}"


def user_group_fault(group: str) -> str:
    """Why this cannot be the id of a user group in Slack, and what to do; "" if it can."""
    if _USER_GROUP.fullmatch(group):
        return ""
    return "must be the user group's id, S...: it is at the end of the group's address in Slack, not its @name"


def _token_mistake(given: Mapping[str, object], key: str, begins: str, where: str) -> Iterator[Mistake]:
    token = text_of(given, key)
    if not token or token.startswith(begins):
        return
    found = next((what for start, what in _TOKENS.items() if token.startswith(start)), None)
    if found == "a token that expires after 12 hours":
        yield (key,), f"is {found}, and the bot does not renew it; switch token rotation off in the app's settings"
    elif found:
        yield (key,), f"is {found}; this key needs one that begins with {begins} (in the app's settings: {where})"
    elif not text_of(given, "api_url") or _is_own(host_of(text_of(given, "api_url"))):
        yield (key,), f"must begin with {begins} (in the app's settings: {where})"


def _api_mistake(url: str) -> Iterator[Mistake]:
    host = host_of(url)
    if _is_own(host) and host.startswith("hooks."):
        yield ("api_url",), "is an incoming webhook; leave this key out"
    elif _is_own(host) and urlsplit(url).path.strip("/") != "api":
        yield ("api_url",), "must end with /api/, as https://slack.com/api/; usually this key is left out"


def _is_own(host: str) -> bool:
    return f".{host}".endswith(_OWN_HOSTS)
