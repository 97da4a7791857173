"""The audit log's codes, and an entry before it is stored. A published code or name never changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Code(StrEnum):
    """The kind of an audit entry. A published name or code never changes; docs/audit.md lists them all.

    Seven characters: VK, three digits, and I (normal), W (refused or unusual) or E (an error).
    """

    STARTED = "VK001I"  #: the bot started to write
    STOPPED = "VK002I"  #: the bot stopped in order
    HEARTBEAT = "VK003I"  #: the bot was running, and nothing else was recorded
    KEY_CHANGED = "VK004W"  #: checkpoints are signed with another key from here on
    CLOCK_WENT_BACK = "VK005W"
    RESTORED = "VK006W"  #: a backup was restored; entries written after that backup are gone
    PRUNED = "VK007W"  #: the oldest entries were removed, and are kept elsewhere
    ANSWERED = "VK100I"  #: a read-only request
    DENIED = "VK101W"  #: not allowed by the rules
    REJECTED = "VK102W"  #: not understood, or not possible
    REPLAYED = "VK103W"  #: the same request again; it had no second effect
    NOT_GENUINE = "VK104W"  #: requests without a valid token or signature, counted
    PLANNED = "VK110I"  #: a plan was shown; nothing was done
    APPROVED = "VK111I"
    NOT_APPROVED = "VK112W"  #: an approval that is not allowed or too late, a rejection, or an approval that has lapsed
    MOVED = "VK113W"  #: the world has changed since, so the plan is void
    EXPIRED = "VK114W"
    INTENT = "VK120I"  #: the run is about to start
    DONE = "VK121I"
    FAILED = "VK122E"  #: the run failed and changed nothing
    UNKNOWN = "VK123E"  #: nobody knows whether the run had its effect; a person must look
    UNWELL = "VK124W"  #: the run is done, and its target is not healthy
    LINKED = "VK130I"
    UNLINKED = "VK131I"
    NOT_LINKED = "VK132W"  #: a linking code that is wrong, expired, used, or tried too often
    GLASS_BROKEN = "VK140W"
    GLASS_MENDED = "VK141I"  #: its time was over
    GLASS_REVIEWED = "VK142I"


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditEntry:
    """One fact for the audit log. All texts are untrusted; the log escapes them and redacts secrets."""

    code: Code
    by: str  #: the person's id, or the part of the bot: "watch" (the scheduler), "bot"
    message: str  #: one sentence
    run: str = ""  #: the run or plan; intent and outcome of a run share it
    verb: str = ""
    target: str = ""
    channel: str = ""  #: the channel it came through
    account: str = ""  #: the account there, which identifies the person
    idempotency_key: str = ""  #: the platform's id of the request
    incident_id: int | None = None
    details: Mapping[str, str] = field(default_factory=dict)  #: plan hash, rule, arguments; never a secret
