"""Slack's channel before its SDK is loaded, for a process that may never need it, such as `vakhta ask`.

It has the channel's facts, and loads the channel with the first call that has to reach Slack. A test compares it with
the channel.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from bot.core.incident import EventType, Incident
from bot.core.message import MessageKind
from bot.integrations import load_channel
from bot.integrations.slack.settings import SlackSettings

if TYPE_CHECKING:
    from bot.integrations.slack.channel import Slack


class UnloadedSlack:
    """Facts of `Slack`, and the calls that need no running channel."""

    name = "slack"
    kinds = frozenset({MessageKind.CARD, MessageKind.LINE})
    event_types = frozenset(EventType)
    accounts = True
    pages = False

    def __init__(self, section: SlackSettings) -> None:
        self._section = section
        self._groups: frozenset[str] = frozenset()

    def accepts(self, incident: Incident) -> bool:  # noqa: ARG002 - every incident is posted in the channel
        return True

    def post(self, text: str, to: str | None, *, instead_of: str = "") -> str:
        return self._loaded.post(text, to, instead_of=instead_of)

    def account_problems(self, accounts: Collection[str]) -> Mapping[str, str]:
        return self._loaded.account_problems(accounts)

    def watch_groups(self, groups: Collection[str]) -> None:
        self._groups = frozenset(groups)

    def groups_of(self, account: str) -> Mapping[str, bool | None]:
        """As in the channel, which knows of no member before it has asked Slack."""
        if "_loaded" not in vars(self):
            return dict.fromkeys(self._groups)
        return self._loaded.groups_of(account)

    @cached_property
    def _loaded(self) -> Slack:
        channel: Slack = load_channel(self.name).Slack(self._section)
        channel.watch_groups(self._groups)
        return channel
