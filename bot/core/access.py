"""The nouns of access: permissions and decisions, accounts and how they were linked, a break-glass session."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from bot.core.incident import CONSOLE, MACHINE


@dataclass(frozen=True, kw_only=True, slots=True)
class Permission:
    """What is wanted. `target` is what a role's glob is matched with: a service, "incident/42", or "" for none."""

    verb: str
    target: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """May they? The reason goes to the asker and into the audit, word for word."""

    allowed: bool
    reason: str  #: which rule, or what is missing and who could grant it
    rule: str = ""  #: the rule that decided, as it is written in the settings; "" where none did
    approvals: int = 0  #: how many other people have to say yes, at least, whatever the action's own risk asks
    until: datetime | None = None  #: when what allowed it ends, where it is known to
    break_glass: bool = False  #: allowed only because the glass is broken


@dataclass(frozen=True, kw_only=True, slots=True)
class BreakGlassUse:
    """One breaking of the glass. It counts before `until` and while `closed_at` is None.

    The trap: `opened_at` lies ahead where the clock was put back since. It counts then as well, at most until `until`.
    """

    id: int
    person: str
    reason: str
    opened_at: datetime
    until: datetime
    incident_id: int | None = None  #: the incident that it opened
    closed_at: datetime | None = None  #: when its time was over, or somebody ended it by reviewing it early
    reviewed_by: str | None = None
    reviewed_at: datetime | None = None
    review: str = ""
    channel: str = ""
    account: str = ""  #: with which it was broken, at that place; "" on record from before it was kept

    def is_active(self, now: datetime) -> bool:
        return self.closed_at is None and now < self.until


def rule_with_break_glass(rule: str, *, glass: bool) -> str:
    """What allowed it, as the audit log tells it (`more.rule`)."""
    return f"{rule} (behind broken glass)" if glass else rule


Account = tuple[str, str]  #: (place, the account's id there)


@dataclass(frozen=True, kw_only=True, slots=True)
class AccountLink:
    """An account that a person has shown to be theirs."""

    channel: str
    account: str
    person: str
    at: datetime
    by: str  #: the account that vouched for it, "slack U1"

    @property
    def linked_by(self) -> Account:
        place, _, account = self.by.partition(" ")
        return canonical_account(place, account)


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordedIdentity:
    """Who said something that counts later, with which account, and every account that they had then.

    `account` is "" on record from before it was kept: nobody can be held to such words.
    """

    person: str
    channel: str
    account: str
    at: datetime
    accounts: frozenset[Account] = frozenset()

    @property
    def from_account(self) -> Account:
        return canonical_account(self.channel, self.account)


@dataclass(frozen=True, kw_only=True, slots=True)
class LinkCode:
    """A code as it is stored, which is without the code."""

    person: str
    channel: str
    account: str
    expires_at: datetime
    used: bool


def canonical_account(channel: str, account: str) -> Account:
    """The account as settings and links name it: the command line and the console are one keyboard."""
    return (CONSOLE if channel in MACHINE else channel), account
