"""The nouns of asking and doing: what may be done, what would be done, how it ended, and the record of it.

Frozen values and the standard library only, as in `model`. A plan holds nothing that reads a clock, so that planning
the same act twice in an unmoved world gives the same plan, byte for byte.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from bot.core.access import Account, RecordedIdentity
from bot.core.request import SCHEDULER
from bot.lib.encoding import canonical_json


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


#: How long a plan can be approved.
PLAN_LASTS = timedelta(minutes=15)


#: So many characters of a handle are shown, and suffice to type.
HANDLE_LENGTH = 8


class PlanState(StrEnum):
    """Where a plan stands; only a shown one can be approved, and only once."""

    SHOWN = "shown"
    APPROVED = "approved"
    BEGUN = "begun"  #: it has its run
    DROPPED = "dropped"
    MOVED = "moved"
    STOPPED = "stopped"  #: approved, and something was in the way of its run
    EXPIRED = "expired"


@dataclass(frozen=True, kw_only=True, slots=True)
class Proposal:
    """A plan that somebody asked for and that was shown."""

    handle: str  #: 128 random bits in hex; whoever shows it has seen the plan
    verb: str
    command: str  #: what was asked, to be planned again before it runs
    requester: str  #: the asker's id
    channel: str
    incident_id: int | None
    at: datetime
    approvals_needed: int  #: how many others have to say yes; 0: the asker alone confirms
    state: PlanState
    plan: Plan
    digest: str
    approvals: tuple[RecordedIdentity, ...] = ()  #: those who said yes, in that order
    undo_of: str = ""  #: the run that this is the undo of
    thread: str = ""  #: where at its place all are told what came of it
    account: str = ""  #: with which it was asked for, at its place
    accounts: frozenset[Account] = frozenset()  #: all the accounts that the asker had then

    @property
    def short_handle(self) -> str:
        return self.handle[:HANDLE_LENGTH]

    @property
    def requester_identity(self) -> RecordedIdentity:
        return RecordedIdentity(
            person=self.requester, channel=self.channel, account=self.account, at=self.at, accounts=self.accounts
        )

    @property
    def by_scheduler(self) -> bool:
        """Whether time asked for it, by a plan that people had approved."""
        return (self.requester, self.channel) == (SCHEDULER.id, SCHEDULER.id)

    @property
    def approvers(self) -> tuple[str, ...]:
        return tuple(one.person for one in self.approvals)

    @property
    def expires_at(self) -> datetime:
        return self.at + PLAN_LASTS


def plan_bytes(verb: str, words: str, plan: Plan) -> bytes:
    """The canonical bytes of what would be done."""
    return canonical_json(
        {
            "verb": verb,
            "words": words,
            "target": plan.target,
            "effect": list(plan.effect),
            "radius": plan.blast_radius,
            "seen": dict(plan.preconditions),
            "undo": plan.undo_command,
            "check": plan.check,
            "within": int(plan.check_duration.total_seconds()),
            "lasts": int(plan.undo_after.total_seconds()),
            "private": list(plan.hidden),
            "typed": plan.confirm_name,
            "others": plan.approvals_needed,
        }
    )


def plan_digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def plan_from_bytes(body: bytes) -> Plan:
    """The other way round."""
    held = json.loads(body)
    return Plan(
        target=held["target"],
        effect=tuple(held["effect"]),
        blast_radius=held["radius"],
        preconditions=held["seen"],
        undo_command=held["undo"],
        check=held["check"],
        check_duration=timedelta(seconds=held["within"]),
        undo_after=timedelta(seconds=held["lasts"]),
        hidden=tuple(held["private"]),
        confirm_name=held.get("typed", ""),  # not in plans of before there was any
        approvals_needed=held.get("others", 0),
    )
