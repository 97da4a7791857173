"""Breaking the glass: who may, when the next one may, and who may review it. Pure.

The promise: one glass in the house at a time. The next one waits, whoever asks for it, until somebody other than its
breaker has reviewed the last, so that nobody gets around a review by taking turns.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.circumstances import spell_moment
from bot.model import Principal
from bot.ports import Rejected

#: How long what sleeps behind the glass counts.
BREAK_GLASS_LASTS = timedelta(minutes=30)
#: Characters: less than this says nothing to whoever has to review it.
MIN_REASON_LENGTH = 10


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


def check_activation(who: Principal, reason: str, last: BreakGlassUse | None) -> None:
    """`last`: the newest of the house that nobody has reviewed, whoever broke it.

    Raises:
        Rejected: it stays whole; the text says why.
    """
    if not who.human:
        raise _refused("Only a person breaks the glass.", "not_a_person")
    if len(reason.strip()) < MIN_REASON_LENGTH:
        message = f"The reason is read by whoever reviews it; say at least {MIN_REASON_LENGTH} characters of it."
        raise _refused(message, "no_reason", status=400)
    if last is None:
        return
    whose = "You have" if last.person == who.id else f"{last.person} has"
    raise _refused(
        f"{whose} broken the glass at {spell_moment(last.opened_at)}, and the next one waits until another person has"
        f" reviewed that: `review-glass {last.person} because <text>`.",
        "not_reviewed",
    )


def is_same_person(use: BreakGlassUse, holder: str | None, *, listed: bool) -> bool:
    """Whether whoever has that id now is who broke it. `holder`: whose the account is now with which it was broken."""
    return listed and (not use.account or holder == use.person)


def check_review(who: Principal, because: str, use: BreakGlassUse, holder: str | None) -> None:
    """`holder`: as in `is_same_person`. Raises `Rejected` where this person cannot review it, or says too little."""
    if not who.human:
        raise _refused("Only a person reviews a broken glass.", "not_a_person")
    if who.id in (use.person, holder):
        raise _refused("You broke it; another person reviews it.", "own")
    if len(because.strip()) < MIN_REASON_LENGTH:
        message = f"Say what you found in at least {MIN_REASON_LENGTH} characters."
        raise _refused(message, "no_reason", status=400)


def describe_use(use: BreakGlassUse, now: datetime) -> str:
    """One of a list: who, when, why, and where it stands."""
    if use.reviewed_by is not None:
        stands = f"reviewed by {use.reviewed_by}: {use.review}"
    elif use.is_active(now):
        stands = f"broken until {spell_moment(use.until)}"
    else:
        stands = f"to be reviewed: `review-glass {use.person} because <text>`"
    about = f" (#{use.incident_id})" if use.incident_id else ""
    return f"{spell_moment(use.opened_at)} {use.person}{about}: {use.reason}; {stands}"


def rule_with_break_glass(rule: str, *, glass: bool) -> str:
    """What allowed it, as the audit log tells it (`more.rule`)."""
    return f"{rule} (behind broken glass)" if glass else rule


def _refused(message: str, code: str, *, status: int = 409) -> Rejected:
    return Rejected(f"{message} Nothing was done.", code=f"glass_{code}", status=status)
