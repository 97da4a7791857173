"""What a channel can say of people's accounts: their groups on its platform, and whether they may still act."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

#: Each of a platform's groups (ids) that count, and whether the account is in it: None while that cannot be known.
GroupLookup = Callable[[str], Mapping[str, bool | None]]


@dataclass(frozen=True, kw_only=True)
class GroupPlatform:
    """The platform whose groups carry roles."""

    channel: str  #: its channel's name
    name: str  #: its name, as people write it
    read: GroupLookup


@runtime_checkable
class UserGroupChannel(Protocol):
    """A channel whose platform has groups of people, such as Slack's user groups."""

    def watch_groups(self, groups: Collection[str]) -> None:
        """Which of them count. Told before `start`."""
        ...

    def groups_of(self, account: str) -> Mapping[str, bool | None]:
        """As `GroupLookup`: what was known at most five minutes ago. It does not block."""
        ...


@runtime_checkable
class AccountVerifier(Protocol):
    """A channel whose platform can say whether an account may still act."""

    def account_problems(self, accounts: Collection[str]) -> Mapping[str, str]:
        """Ask it anew, also who is in the groups that count; it blocks, for seconds at most.

        What is against each account, as a sentence; "" for nothing.
        """
        ...
