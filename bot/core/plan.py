"""Plans and their results: a plan, the proposal that waits for approval, the outcome of a run, and a plan's bytes.

A plan contains nothing that depends on the clock, so planning the same act twice in an unchanged world gives the same
plan, byte for byte. An approval counts for exactly these bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from bot.core.access import Account, RecordedIdentity
from bot.core.request import SCHEDULER
from bot.lib.encoding import canonical_json


class Risk(StrEnum):
    """What an action needs before it runs."""

    NONE = "none"  #: runs at once
    REVERSIBLE = "undoable"  #: the requester confirms the plan
    IRREVERSIBLE = "lasting"  #: another person approves the plan


class Result(StrEnum):
    """How a run ended."""

    DONE = "done"
    FAILED = "failed"  #: nothing was changed
    UNKNOWN = "unknown"  #: nobody knows whether anything was changed; a person must look


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What an action would do, and what it saw when it was planned. All of it is shown, and all of it is hashed."""

    target: str
    effect: tuple[str, ...]  #: a sentence each, plain text
    blast_radius: str  #: how much it touches: "3 alerts now, all of prod/api"
    #: Facts of the world that must still hold when it runs.
    preconditions: Mapping[str, str] = field(default_factory=dict)
    undo_command: str = ""  #: the command that undoes it; "" for none, and then the effect says so
    check: str = ""  #: a PromQL expression that is true while all is well; "" for none
    check_duration: timedelta = timedelta(0)  #: how long the check is evaluated after the run
    undo_after: timedelta = timedelta(0)  #: it is undone automatically after this, unless somebody keeps it; 0: never
    confirm_name: str = ""  #: a name that every approval must repeat, so that a click is not enough; "" for none
    hidden: tuple[str, ...] = ()  #: preconditions that people are not shown, such as a resourceVersion
    approvals_needed: int = 0  #: the least number of approvals by other people, whatever the risk asks for
    lock: str = ""  #: what the run holds while it goes on; "": the target
    #: What is true now and moves by itself (who writes, free space). Shown with its time, never hashed or compared.
    moving: tuple[str, ...] = field(default=(), compare=False)

    @property
    def held(self) -> str:
        """What one run at a time may hold."""
        return self.lock or self.target


def moving_lines(plan: Plan, read_at: datetime | None = None) -> Iterator[str]:
    """What moves by itself. `read_at`: when it was read; None: just now."""
    when = "Now" if read_at is None else f"At {read_at:%H:%M} UTC"
    yield from (f"{when}: {one}" for one in plan.moving)


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """How a run ended, or the answer of a read-only action; its texts are for people."""

    result: Result
    message: str
    undo_command: str = ""  #: the command that undoes it, when it is known only now; "" keeps the plan's
    degraded: str = ""  #: done, but the target is not healthy: the reason, a sentence; "" while it is
    #: What the plan of the undo must still see; a difference means that somebody has changed it since.
    expected_state: Mapping[str, str] = field(default_factory=dict)
    buttons: Mapping[str, str] = field(default_factory=dict)  #: of an answer: label -> a command to send next
    live: bool = False  #: of an answer: it changes soon by itself, and is updated as it does


#: How long a plan can be approved.
PLAN_LASTS = timedelta(minutes=15)


#: The number of characters of a handle that are shown, and that are enough to type.
HANDLE_LENGTH = 8


class PlanState(StrEnum):
    """The state of a plan. Only a shown one can be approved, and only once."""

    SHOWN = "shown"
    APPROVED = "approved"
    BEGUN = "begun"  #: its run has started
    DROPPED = "dropped"  #: rejected by a person
    MOVED = "moved"  #: the world has changed since it was shown
    STOPPED = "stopped"  #: approved, and something prevented its run
    EXPIRED = "expired"


@dataclass(frozen=True, kw_only=True, slots=True)
class Proposal:
    """A plan that was requested and shown."""

    handle: str  #: 128 random bits in hex; knowing it proves that the plan was seen
    verb: str
    command: str  #: the command, to be planned again before it runs
    requester: str  #: the requester's id
    channel: str
    incident_id: int | None
    at: datetime
    approvals_needed: int  #: approvals needed from others; 0: the requester alone confirms
    state: PlanState
    plan: Plan
    digest: str
    approvals: tuple[RecordedIdentity, ...] = ()  #: in the order they came
    undo_of: str = ""  #: the run that this plan undoes
    thread: str = ""  #: where in its channel the result is posted for everybody
    account: str = ""  #: the account in `channel` that requested it
    accounts: frozenset[Account] = frozenset()  #: all accounts of the requester at that time

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
        """Whether the scheduler requested it, because of a plan that people had approved."""
        return (self.requester, self.channel) == (SCHEDULER.id, SCHEDULER.id)

    @property
    def approvers(self) -> tuple[str, ...]:
        return tuple(one.person for one in self.approvals)

    @property
    def expires_at(self) -> datetime:
        return self.at + PLAN_LASTS


def plan_bytes(verb: str, command: str, plan: Plan) -> bytes:
    """The canonical bytes of a plan and its command. They are stored and compared: the keys never change."""
    return canonical_json(
        {
            "verb": verb,
            "words": command,
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
            **({"lock": plan.lock} if plan.lock else {}),  # absent in plans of older versions
        }
    )


def plan_digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def plan_from_bytes(body: bytes) -> Plan:
    """The plan that `plan_bytes` was given."""
    stored = json.loads(body)
    return Plan(
        target=stored["target"],
        effect=tuple(stored["effect"]),
        blast_radius=stored["radius"],
        preconditions=stored["seen"],
        undo_command=stored["undo"],
        check=stored["check"],
        check_duration=timedelta(seconds=stored["within"]),
        undo_after=timedelta(seconds=stored["lasts"]),
        hidden=tuple(stored["private"]),
        confirm_name=stored.get("typed", ""),  # absent in plans of older versions
        approvals_needed=stored.get("others", 0),
        lock=stored.get("lock", ""),
    )
