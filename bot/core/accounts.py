"""What a channel can say of people's accounts: their groups on its platform, and whether they may still act."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from bot.core.channel import GroupLookup


@dataclass(frozen=True, kw_only=True)
class GroupPlatform:
    """The platform whose groups carry roles."""

    channel: str  #: its channel's name
    name: str  #: its name, as people write it
    read: GroupLookup


@runtime_checkable
class AccountVerifier(Protocol):
    """A channel whose platform can say whether an account may still act."""

    def account_problems(self, accounts: Collection[str]) -> Mapping[str, str]:
        """Ask it anew, also who is in the groups that count; it blocks, for seconds at most.

        What is against each account, as a sentence; "" for nothing.
        """
        ...
