"""The nouns of asking and doing: what may be done, what would be done, how it ended, and the record of it.

Frozen values and the standard library only, as in `model`. A plan holds nothing that reads a clock, so that planning
the same act twice in an unmoved world gives the same plan, byte for byte.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum


class Risk(StrEnum):
    """What an action takes before it runs."""

    NONE = "none"  #: runs at once
    REVERSIBLE = "undoable"  #: the asker confirms the plan
    IRREVERSIBLE = "lasting"  #: another person approves the plan


class Result(StrEnum):
    """How a run ended."""

    DONE = "done"
    FAILED = "failed"  #: nothing was changed
    UNKNOWN = "unknown"  #: nobody knows whether it was; a person must look


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
class Plan:
    """What an action would do, and what it saw when it said so. All of it is shown, and all of it is hashed."""

    target: str
    effect: tuple[str, ...]  #: a sentence each, plain text
    blast_radius: str  #: whom and how much it touches: "3 alerts now, all of prod/api"
    preconditions: Mapping[str, str] = field(
        default_factory=dict
    )  #: facts of the world that must still hold when it runs
    undo_command: str = ""  #: the words that would undo it, or "" and then the effect says that nothing can
    check: str = ""  #: a PromQL expression that is true while all is well; "" where none is known
    check_duration: timedelta = timedelta(0)  #: how long the check is held
    undo_after: timedelta = timedelta(0)  #: after which it is undone by itself, unless somebody keeps it; 0: it stays
    confirm_name: str = ""  #: a name that every yes has to name too, so that nobody clicks it away; "" for none
    hidden: tuple[str, ...] = ()  #: names in `preconditions` that people are not shown, such as a resourceVersion
    approvals_needed: int = 0  #: how many other people have to say yes, at least, whatever the action's own risk asks


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """How it ended, in words for people."""

    result: Result
    message: str
    undo_command: str = ""  #: the words that undo it, where they are known only now; "" leaves the plan's
    degraded: str = ""  #: done, and what it was done to does not hold: why, a sentence; "" while all is well
    expected_state: Mapping[str, str] = field(default_factory=dict)
    """What the undo's plan must still see; where it sees something else, somebody has changed it since."""
    buttons: Mapping[str, str] = field(default_factory=dict)  #: of an answer: label -> words that could be typed next
    live: bool = False  #: of an answer: it will be different soon by itself, and is told again as it goes on


class Code(StrEnum):
    """What an audit entry records. A name or code once published never changes; docs/audit.md lists them all.

    Seven characters: VK, three digits, and I (as it should be), W (refused or unusual) or E (went wrong).
    """

    STARTED = "VK001I"  #: the bot began to write
    STOPPED = "VK002I"  #: it ended by itself
    HEARTBEAT = "VK003I"  #: it was there, and nothing happened
    KEY_CHANGED = "VK004W"  #: checkpoints are signed with another key from here on
    CLOCK_WENT_BACK = "VK005W"
    RESTORED = "VK006W"  #: a copy was put back, and what had been written since it was made is gone
    PRUNED = "VK007W"  #: the oldest entries are taken out, and kept elsewhere
    ANSWERED = "VK100I"  #: a question that changes nothing
    DENIED = "VK101W"  #: the rights do not allow it
    REJECTED = "VK102W"  #: not understood, or it cannot be
    REPLAYED = "VK103W"  #: delivered again; it had no second effect
    NOT_GENUINE = "VK104W"  #: requests without a token or signature that counts, added up
    PLANNED = "VK110I"  #: a plan was shown; nothing was done
    APPROVED = "VK111I"
    NOT_APPROVED = "VK112W"  #: somebody said yes who may not, or too late, or no; or a yes counts no longer
    MOVED = "VK113W"  #: the world moved, so the plan died
    EXPIRED = "VK114W"
    INTENT = "VK120I"  #: it is about to be done
    DONE = "VK121I"
    FAILED = "VK122E"  #: it was tried, and nothing was changed
    UNKNOWN = "VK123E"  #: it was tried, and a person must look
    UNWELL = "VK124W"  #: it was done, and what it was done to is not well
    LINKED = "VK130I"
    UNLINKED = "VK131I"
    NOT_LINKED = "VK132W"  #: a code that is wrong, expired, used, or tried too often
    GLASS_BROKEN = "VK140W"
    GLASS_MENDED = "VK141I"  #: its time was over
    GLASS_REVIEWED = "VK142I"


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditEntry:
    """One fact for the audit log. All texts are untrusted; the log makes them safe, and takes secrets out."""

    code: Code
    by: str  #: the person's id, or the part of the bot: "watch", "bot"
    message: str  #: one sentence
    run: str = ""  #: the run (or plan) that intent and outcome have in common
    verb: str = ""
    target: str = ""
    channel: str = ""  #: through which channel
    account: str = ""  #: the account there: how we know who it was
    idempotency_key: str = ""  #: the platform's own id of the act
    incident_id: int | None = None
    details: Mapping[str, str] = field(default_factory=dict)  #: plan hash, rule, arguments; never a secret
