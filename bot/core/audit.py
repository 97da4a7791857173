"""What the audit log records: its codes, which are never changed once published, and an entry before it is stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


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
