"""Breaking the glass: who may, when the next one may, and who may review it. Pure.

The promise: one glass in the house at a time. The next one waits, whoever asks for it, until somebody other than its
breaker has reviewed the last, so that nobody gets around a review by taking turns.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from bot.core.access import BreakGlassUse
from bot.core.errors import Rejected
from bot.core.request import Principal
from bot.lib.text import spell_moment

#: How long what sleeps behind the glass counts.
BREAK_GLASS_LASTS = timedelta(minutes=30)
#: Characters: less than this says nothing to whoever has to review it.
MIN_REASON_LENGTH = 10


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


def _refused(message: str, code: str, *, status: int = 409) -> Rejected:
    return Rejected(f"{message} Nothing was done.", code=f"glass_{code}", status=status)
