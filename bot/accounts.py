"""What a channel can say of people's accounts: their groups on its platform, and whether they may still act."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

#: Each of a platform's groups (ids) that count, and whether the account is in it: None while that cannot be known.
Groups = Callable[[str], Mapping[str, bool | None]]


@dataclass(frozen=True, kw_only=True)
class GroupsOf:
    """The platform whose groups carry roles."""

    place: str  #: its channel's name
    called: str  #: its name, as people write it
    read: Groups


@runtime_checkable
class Grouped(Protocol):
    """A channel whose platform has groups of people, such as Slack's user groups."""

    def watch_groups(self, groups: Collection[str]) -> None:
        """Which of them count. Told before `start`."""
        ...

    def groups_of(self, account: str) -> Mapping[str, bool | None]:
        """As `Groups`: what was known at most five minutes ago. It does not block."""
        ...


@runtime_checkable
class Vouches(Protocol):
    """A channel whose platform can say whether an account may still act."""

    def vouch(self, accounts: Collection[str]) -> Mapping[str, str]:
        """Ask it anew, also who is in the groups that count; it blocks, for seconds at most.

        What is against each account, as a sentence; "" for nothing.
        """
        ...
