"""Access control: permissions and decisions, chat accounts and how they were linked, and one use of break glass."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from bot.core.incident import CONSOLE, MACHINE

Account = tuple[str, str]  #: (channel, the account's id there)


def canonical_account(channel: str, account: str) -> Account:
    """The account as settings and links store it: the command line and the console count as one channel."""
    return (CONSOLE if channel in MACHINE else channel), account


@dataclass(frozen=True, kw_only=True, slots=True)
class Permission:
    """The right to use a verb on a target: a service, "incident/42", or "" for none. Roles match targets by globs."""

    verb: str
    target: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """Whether a permission is granted. The reason is shown to the asker and stored in the audit log, word for word."""

    allowed: bool
    reason: str  #: the rule that decided, or what is missing and who can grant it
    rule: str = ""  #: the rule that decided, as it is written in the settings; "" when none did
    approvals: int = 0  #: the least number of approvals by other people, whatever the action's own risk asks for
    until: datetime | None = None  #: when the grant ends, where that is known
    break_glass: bool = False  #: allowed only because break glass is active


@dataclass(frozen=True, kw_only=True, slots=True)
class BreakGlassUse:
    """One use of break glass. It is active until `until`, or until `closed_at` is set.

    The trap: `opened_at` is in the future when the clock was set back since. The use is active all the same, and ends
    at `until` at the latest.
    """

    id: int
    person: str
    reason: str
    opened_at: datetime
    until: datetime
    incident_id: int | None = None  #: the incident that it opened
    closed_at: datetime | None = None  #: when its time was over, or when an early review ended it
    reviewed_by: str | None = None
    reviewed_at: datetime | None = None
    review: str = ""
    channel: str = ""
    account: str = ""  #: the account in `channel` that activated it; "" in rows from before this was stored

    def is_active(self, now: datetime) -> bool:
        return self.closed_at is None and now < self.until


def rule_with_break_glass(rule: str, *, glass: bool) -> str:
    """The rule as the audit log stores it (`more.rule`). The wording is part of stored entries: never change it."""
    return f"{rule} (behind broken glass)" if glass else rule


@dataclass(frozen=True, kw_only=True, slots=True)
class AccountLink:
    """An account that a person has proved to be theirs."""

    channel: str
    account: str
    person: str
    at: datetime
    by: str  #: the account that issued the linking code: "slack U1"

    @property
    def linked_by(self) -> Account:
        channel, _, account = self.by.partition(" ")
        return canonical_account(channel, account)


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordedIdentity:
    """The person behind a stored request or approval: the account they used, and all their accounts at that time.

    `account` is "" in rows from before it was stored: an approval in such a row no longer counts.
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
    """A linking code as it is stored: without the code itself."""

    person: str
    channel: str
    account: str
    expires_at: datetime
    used: bool
