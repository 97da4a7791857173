"""The verbs that are about people's accounts: what a command may do to them, and what a platform knows of them.

A part of `ports`, and for the same readers.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from bot.model import Ask, Reply

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


class Accounts(Protocol):
    """What a command may do to accounts. Refusals that have an effect of their own are replies with ok=False."""

    def issue(self, ask: Ask) -> Reply:
        """A code by which the asker links a further account; for somebody unknown, how to get one."""
        ...

    def redeem(self, ask: Ask, code: str) -> Reply:
        """The account that this is said from becomes that of whoever asked for the code."""
        ...

    def unlink(self, ask: Ask, place: str) -> Reply:
        """The asker's linked account in that place is theirs no longer."""
        ...

    def whoami(self, ask: Ask) -> Sequence[str]:
        """The asker, their accounts, their roles and why they have them, a line each."""
        ...
