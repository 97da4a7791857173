"""Whether a plan may run now: whoever asked for it and everybody who said yes, each decided anew. Pure.

The promise: what somebody said counts only while it would count if they said it now: the account is still theirs, the
right is still theirs, and nobody counts twice, be it under two ids or from two accounts. The same decision is taken at
every yes, with the intent, and once more right before the call.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from bot.acts import Decision
from bot.circumstances import said_at
from bot.people import Held, Voice
from bot.plans import USED, Drawn, check_open, refused, untouched, waiting, yes_to


class Bar(StrEnum):
    """Why somebody's word does not count."""

    UNRECORDED = "unrecorded"  #: said before it was kept with which account
    GONE = "gone"  #: the settings have no such person any more
    MOVED = "moved"  #: the account is somebody else's, or nobody's
    OUTSIDE = "outside"  #: the account's platform does not vouch for it any more
    OWN = "own"  #: another person has to approve, and this is whoever asked
    TWICE = "twice"  #: one person or account has said yes before
    LINKED_LATER = "linked_later"  #: the account was linked after the plan was asked for
    NOT_THE_ASKER = "not_the_asker"  #: whoever asked has to confirm, and this is somebody else
    NO_RIGHT = "no_right"
    NEEDS_MORE = "needs_more"  #: today more people have to say yes than the plan was shown with


#: After these the account may be in other hands: what is to be told is not told there.
_FOREIGN = frozenset({Bar.UNRECORDED, Bar.GONE, Bar.MOVED, Bar.OUTSIDE})


@dataclass(frozen=True, kw_only=True, slots=True)
class Now:
    """What is the case now of somebody whose word is on record."""

    listed: bool  #: the settings have the person
    held: Held | None  #: whose the account is
    decision: Decision  #: whether they may
    outside: str = ""  #: what the account's platform has against it, a sentence; "" for nothing


@dataclass(frozen=True, kw_only=True, slots=True)
class Lapse:
    """A word that does not count, and why, as a sentence."""

    voice: Voice
    bar: Bar
    why: str

    @property
    def tellable(self) -> bool:
        """Whether the account is still that person's."""
        return self.bar not in _FOREIGN


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What is left of a plan's approval."""

    decision: Decision  #: about whoever asked
    stopped: Lapse | None = None  #: whoever asked may no longer, whoever else says yes
    lapsed: tuple[Lapse, ...] = ()  #: yeses that do not count
    counting: tuple[Voice, ...] = ()
    missing: int = 0

    @property
    def runs(self) -> bool:
        return self.stopped is None and self.missing == 0


def weigh(drawn: Drawn, asker: Now, given: Sequence[Now], needed: int) -> Verdict:
    """`given`: of each yes, in the order of `drawn.given`; `needed`: of other people, by today's rights."""
    stopped = _against_asker(drawn, asker, needed)
    counting: list[Voice] = []
    lapsed: list[Lapse] = []
    for voice, now in zip(drawn.given, given, strict=True):
        lapse = against(drawn, voice, now, counting)
        if lapse is None:
            counting.append(voice)
        else:
            lapsed.append(lapse)
    missing = max(0, (drawn.needs or 1) - len(counting))
    return Verdict(
        decision=asker.decision, stopped=stopped, lapsed=tuple(lapsed), counting=tuple(counting), missing=missing
    )


def against(drawn: Drawn, voice: Voice, now: Now, counting: Sequence[Voice]) -> Lapse | None:
    """Why this yes does not count; None when it does. `counting`: the earlier ones that do."""
    foreign = _lost(voice, now)
    if foreign is not None:
        return foreign
    found = _not_the_asker(drawn, voice) if drawn.needs == 0 else _not_another(drawn, voice, now, counting)
    if found is None and not now.decision.allowed:
        found = Bar.NO_RIGHT, now.decision.reason
    return None if found is None else Lapse(voice=voice, bar=found[0], why=found[1])


def check_yes(drawn: Drawn, voice: Voice, now: Now, verdict: Verdict, *, human: bool) -> None:
    """`verdict`: on the yeses before this one.

    Raises:
        Rejected: this yes does not count; the text, for whoever said it, says why.
    """
    given = voice.person in {one.person for one in drawn.given}
    if given and drawn.state in USED:
        raise refused("Already approved by you. It is done once.", "used")
    check_open(drawn, voice.at)
    if voice.person in {one.person for one in verdict.counting}:
        raise refused(f"Already approved by you. {waiting(drawn, verdict.missing)}", "already")
    if not human:
        raise refused(f"A plan is approved by people. {untouched(drawn)}", "not_a_person")
    lapse = against(drawn, voice, now, verdict.counting)
    if lapse is None:
        return
    if lapse.bar is Bar.OWN:
        raise refused("You asked for this; another person must approve. Nothing was done.", "own_plan")
    if lapse.bar is Bar.NOT_THE_ASKER:
        said = f"{drawn.by} asked for plan {drawn.short} and confirms it; say the same words to ask yourself."
        raise refused(f"{said} Nothing was done.", "not_the_asker")
    raise refused(f"Your yes does not count: {lapse.why} {untouched(drawn)}", lapse.bar)


def told(drawn: Drawn, verdict: Verdict) -> str:
    """What is to be said of it: who no longer counts, why, and what is to be done. "" where all is as it was."""
    if verdict.stopped is not None:
        return stopped(drawn, verdict.stopped)
    lines = [f"The yes of {one.voice.person} no longer counts: {one.why}" for one in verdict.lapsed]
    if lines and verdict.missing:
        lines.append(waiting(drawn, verdict.missing) + ".")
    return " ".join(lines)


def stopped(drawn: Drawn, lapse: Lapse) -> str:
    if lapse.bar is Bar.NEEDS_MORE:
        said = f"Plan {drawn.short} now needs more people to say yes than it was shown with: {lapse.why}"
        return f"{said} Nothing was done. Ask for it again."
    return f"{_no_longer(drawn, lapse)} Nothing was done. Plan {drawn.short} is stopped."


def ended(drawn: Drawn, verdict: Verdict) -> str:
    """Why a run of it ends before its call."""
    if verdict.stopped is not None:
        return _no_longer(drawn, verdict.stopped)
    return " ".join(f"The yes of {one.voice.person} no longer counts: {one.why}" for one in verdict.lapsed)


def _no_longer(drawn: Drawn, lapse: Lapse) -> str:
    if lapse.tellable:
        return f"{drawn.by} may no longer do this: {lapse.why}"
    return f"{drawn.by} is not known any more as whoever asked for this: {lapse.why}"


def asked_again(drawn: Drawn, lapse: Lapse) -> str:
    """For whoever said a yes that counts no longer."""
    return f"Your yes to {drawn.words} no longer counts: {lapse.why} Nothing was done by it. `{yes_to(drawn)}`"


def _against_asker(drawn: Drawn, now: Now, needed: int) -> Lapse | None:
    found = _lost(drawn.asker, now)
    if found is not None:
        return found
    if not now.decision.allowed:
        return Lapse(voice=drawn.asker, bar=Bar.NO_RIGHT, why=now.decision.reason)
    if needed > drawn.needs:
        return Lapse(voice=drawn.asker, bar=Bar.NEEDS_MORE, why=now.decision.reason)
    return None


def _lost(voice: Voice, now: Now) -> Lapse | None:
    """Why the account no longer speaks for that person."""
    place, account = voice.from_account
    found: tuple[Bar, str] | None = None
    if not voice.account:
        found = Bar.UNRECORDED, "it was said before it was kept with which account."
    elif not now.listed:
        found = Bar.GONE, f"{voice.person} is no longer in the settings."
    elif now.held is None:
        found = Bar.MOVED, f"the {place} account {account} is nobody's now."
    elif now.held.person != voice.person:
        found = Bar.MOVED, f"the {place} account {account} is {now.held.person}'s now."
    elif now.held.since is not None and now.held.since > voice.at:
        found = Bar.MOVED, f"the {place} account {account} was linked anew since."
    elif now.outside:
        found = Bar.OUTSIDE, now.outside
    return None if found is None else Lapse(voice=voice, bar=found[0], why=found[1])


def _not_the_asker(drawn: Drawn, voice: Voice) -> tuple[Bar, str] | None:
    return None if voice.person == drawn.by else (Bar.NOT_THE_ASKER, f"{drawn.by} asked for it, and confirms it.")


def _not_another(drawn: Drawn, voice: Voice, now: Now, counting: Sequence[Voice]) -> tuple[Bar, str] | None:
    """Why this is nobody other than the asker and those who said yes before; an account linked since proves nothing."""
    if voice.person == drawn.by:
        return Bar.OWN, "whoever asks for a plan does not approve it."
    if not voice.had.isdisjoint(drawn.had):
        return Bar.OWN, f"{voice.person} has an account that was {drawn.by}'s when {drawn.by} asked for it."
    twin = next((one for one in counting if one.person == voice.person or not one.had.isdisjoint(voice.had)), None)
    if twin is not None:
        return Bar.TWICE, f"{twin.person} said yes from an account of the same person."
    since = now.held.since if now.held else None
    if since is not None and since > drawn.at:
        place, account = voice.from_account
        said = f"the {place} account {account} was linked at {said_at(since)}"
        return Bar.LINKED_LATER, f"{said}, after plan {drawn.short} was asked for."
    return None
