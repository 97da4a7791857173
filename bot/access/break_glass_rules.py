"""The rules of break-glass: who may activate it, and who may review a use. Pure.

The promise: at most one use in the whole installation waits for its review. Nobody can activate break-glass until
another person has reviewed the last use, so two people cannot avoid reviews by taking turns.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from bot.core.access import BreakGlassUse
from bot.core.errors import Rejected
from bot.core.request import Principal
from bot.lib.text import spell_moment

#: How long the break-glass rights last.
BREAK_GLASS_LASTS = timedelta(minutes=30)
#: Characters: a shorter reason tells the reviewer nothing.
MIN_REASON_LENGTH = 10


def check_activation(who: Principal, reason: str, last: BreakGlassUse | None) -> None:
    """Check that this person may activate break-glass. `last`: the use that waits for a review, whoever made it.

    Raises:
        Rejected: they may not; the text says why.
    """
    if not who.human:
        raise _refused("Only a person can activate break-glass.", "not_a_person")
    if len(reason.strip()) < MIN_REASON_LENGTH:
        message = f"The reviewer reads the reason: give at least {MIN_REASON_LENGTH} characters."
        raise _refused(message, "no_reason", status=400)
    if last is None:
        return
    user = "You" if last.person == who.id else last.person
    raise _refused(
        f"{user} used break-glass at {spell_moment(last.opened_at)}, and another person has to review that first:"
        f" `review-glass {last.person} because <text>`.",
        "not_reviewed",
    )


def is_same_person(use: BreakGlassUse, holder: str | None, *, listed: bool) -> bool:
    """Whether the person with that id now is the one who activated it. `holder`: who has now the account from which
    it was activated. `listed`: that id is in the settings.
    """
    return listed and (not use.account or holder == use.person)


def check_review(who: Principal, because: str, use: BreakGlassUse, holder: str | None) -> None:
    """`holder`: as in `is_same_person`. Raises `Rejected` if this person cannot review it, or the text is too short."""
    if not who.human:
        raise _refused("Only a person can review break-glass.", "not_a_person")
    if who.id in (use.person, holder):
        raise _refused("You activated it; another person has to review it.", "own")
    if len(because.strip()) < MIN_REASON_LENGTH:
        message = f"Say what you found, in at least {MIN_REASON_LENGTH} characters."
        raise _refused(message, "no_reason", status=400)


def describe_use(use: BreakGlassUse, now: datetime) -> str:
    """One line of a list: when, who, why, and its state."""
    if use.reviewed_by is not None:
        state = f"reviewed by {use.reviewed_by}: {use.review}"
    elif use.is_active(now):
        state = f"active until {spell_moment(use.until)}"
    else:
        state = f"to be reviewed: `review-glass {use.person} because <text>`"
    about = f" (#{use.incident_id})" if use.incident_id else ""
    return f"{spell_moment(use.opened_at)} {use.person}{about}: {use.reason}; {state}"


def _refused(message: str, code: str, *, status: int = 409) -> Rejected:
    return Rejected(f"{message} Nothing was done.", code=f"glass_{code}", status=status)
