"""Whether a plan may run now: whoever asked for it and everybody who said yes, each decided anew. Pure.

The promise: what somebody said counts only while it would count if they said it now: the account is still theirs, the
right is still theirs, and nobody counts twice, be it under two ids or from two accounts. The same decision is taken at
every yes, with the intent, and once more right before the call.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from bot.access.identity import AccountHolder
from bot.actions.approval import USED, approve_command, check_open, describe_waiting, nothing_done, plan_refused
from bot.core.access import Decision, RecordedIdentity
from bot.core.plan import Proposal
from bot.lib.text import spell_moment


class LapseCause(StrEnum):
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
_FOREIGN = frozenset({LapseCause.UNRECORDED, LapseCause.GONE, LapseCause.MOVED, LapseCause.OUTSIDE})


@dataclass(frozen=True, kw_only=True, slots=True)
class ApproverState:
    """What is the case now of somebody whose word is on record."""

    listed: bool  #: the settings have the person
    held: AccountHolder | None  #: whose the account is
    decision: Decision  #: whether they may
    outside: str = ""  #: what the account's platform has against it, a sentence; "" for nothing


@dataclass(frozen=True, kw_only=True, slots=True)
class Lapse:
    """A word that does not count, and why, as a sentence."""

    identity: RecordedIdentity
    cause: LapseCause
    reason: str

    @property
    def may_be_notified(self) -> bool:
        """Whether the account is still that person's."""
        return self.cause not in _FOREIGN


@dataclass(frozen=True, kw_only=True, slots=True)
class ApprovalReview:
    """What is left of a plan's approval."""

    decision: Decision  #: about whoever asked
    stopped: Lapse | None = None  #: whoever asked may no longer, whoever else says yes
    lapsed: tuple[Lapse, ...] = ()  #: yeses that do not count
    counting: tuple[RecordedIdentity, ...] = ()
    missing: int = 0

    @property
    def runs(self) -> bool:
        return self.stopped is None and self.missing == 0


def review(proposal: Proposal, asker: ApproverState, approvals: Sequence[ApproverState], needed: int) -> ApprovalReview:
    """`given`: of each yes, in the order of `drawn.given`; `needed`: of other people, by today's rights."""
    stopped = _against_asker(proposal, asker, needed)
    counting: list[RecordedIdentity] = []
    lapsed: list[Lapse] = []
    for identity, now in zip(proposal.approvals, approvals, strict=True):
        lapse = lapse_of(proposal, identity, now, counting)
        if lapse is None:
            counting.append(identity)
        else:
            lapsed.append(lapse)
    missing = max(0, (proposal.approvals_needed or 1) - len(counting))
    return ApprovalReview(
        decision=asker.decision, stopped=stopped, lapsed=tuple(lapsed), counting=tuple(counting), missing=missing
    )


def lapse_of(
    proposal: Proposal, identity: RecordedIdentity, now: ApproverState, counting: Sequence[RecordedIdentity]
) -> Lapse | None:
    """Why this yes does not count; None when it does. `counting`: the earlier ones that do."""
    foreign = _lost(identity, now)
    if foreign is not None:
        return foreign
    found = (
        _not_the_asker(proposal, identity)
        if proposal.approvals_needed == 0
        else _not_another(proposal, identity, now, counting)
    )
    if found is None and not now.decision.allowed:
        found = LapseCause.NO_RIGHT, now.decision.reason
    return None if found is None else Lapse(identity=identity, cause=found[0], reason=found[1])


def check_yes(
    proposal: Proposal, identity: RecordedIdentity, now: ApproverState, verdict: ApprovalReview, *, human: bool
) -> None:
    """`verdict`: on the yeses before this one.

    Raises:
        Rejected: this yes does not count; the text, for whoever said it, says why.
    """
    given = identity.person in {one.person for one in proposal.approvals}
    if given and proposal.state in USED:
        raise plan_refused("Already approved by you. It is done once.", "used")
    check_open(proposal, identity.at)
    if identity.person in {one.person for one in verdict.counting}:
        raise plan_refused(f"Already approved by you. {describe_waiting(proposal, verdict.missing)}", "already")
    if not human:
        raise plan_refused(f"A plan is approved by people. {nothing_done(proposal)}", "not_a_person")
    lapse = lapse_of(proposal, identity, now, verdict.counting)
    if lapse is None:
        return
    if lapse.cause is LapseCause.OWN:
        raise plan_refused("You asked for this; another person must approve. Nothing was done.", "own_plan")
    if lapse.cause is LapseCause.NOT_THE_ASKER:
        message = (
            f"{proposal.requester} asked for plan {proposal.short_handle} and confirms it; say the same "
            "words to ask yourself."
        )
        raise plan_refused(f"{message} Nothing was done.", "not_the_asker")
    raise plan_refused(f"Your yes does not count: {lapse.reason} {nothing_done(proposal)}", lapse.cause)


def describe_lapses(proposal: Proposal, verdict: ApprovalReview) -> str:
    """What is to be said of it: who no longer counts, why, and what is to be done. "" where all is as it was."""
    if verdict.stopped is not None:
        return describe_stop(proposal, verdict.stopped)
    lines = [f"The yes of {one.identity.person} no longer counts: {one.reason}" for one in verdict.lapsed]
    if lines and verdict.missing:
        lines.append(describe_waiting(proposal, verdict.missing) + ".")
    return " ".join(lines)


def describe_stop(proposal: Proposal, lapse: Lapse) -> str:
    if lapse.cause is LapseCause.NEEDS_MORE:
        message = (
            f"Plan {proposal.short_handle} now needs more people to say yes than it was shown with: {lapse.reason}"
        )
        return f"{message} Nothing was done. Ask for it again."
    return f"{_no_longer(proposal, lapse)} Nothing was done. Plan {proposal.short_handle} is stopped."


def describe_unstarted(proposal: Proposal, verdict: ApprovalReview) -> str:
    """Why a run of it ends before its call."""
    if verdict.stopped is not None:
        return _no_longer(proposal, verdict.stopped)
    return " ".join(f"The yes of {one.identity.person} no longer counts: {one.reason}" for one in verdict.lapsed)


def _no_longer(proposal: Proposal, lapse: Lapse) -> str:
    if lapse.may_be_notified:
        return f"{proposal.requester} may no longer do this: {lapse.reason}"
    return f"{proposal.requester} is not known any more as whoever asked for this: {lapse.reason}"


def asked_again(proposal: Proposal, lapse: Lapse) -> str:
    """For whoever said a yes that counts no longer."""
    return (
        f"Your yes to {proposal.command} no longer counts: {lapse.reason} Nothing was done by it. "
        f"`{approve_command(proposal)}`"
    )


def _against_asker(proposal: Proposal, now: ApproverState, needed: int) -> Lapse | None:
    found = _lost(proposal.requester_identity, now)
    if found is not None:
        return found
    if not now.decision.allowed:
        return Lapse(identity=proposal.requester_identity, cause=LapseCause.NO_RIGHT, reason=now.decision.reason)
    if needed > proposal.approvals_needed:
        return Lapse(identity=proposal.requester_identity, cause=LapseCause.NEEDS_MORE, reason=now.decision.reason)
    return None


def _lost(identity: RecordedIdentity, now: ApproverState) -> Lapse | None:
    """Why the account no longer speaks for that person."""
    place, account = identity.from_account
    found: tuple[LapseCause, str] | None = None
    if not identity.account:
        found = LapseCause.UNRECORDED, "it was said before it was kept with which account."
    elif not now.listed:
        found = LapseCause.GONE, f"{identity.person} is no longer in the settings."
    elif now.held is None:
        found = LapseCause.MOVED, f"the {place} account {account} is nobody's now."
    elif now.held.person != identity.person:
        found = LapseCause.MOVED, f"the {place} account {account} is {now.held.person}'s now."
    elif now.held.since is not None and now.held.since > identity.at:
        found = LapseCause.MOVED, f"the {place} account {account} was linked anew since."
    elif now.outside:
        found = LapseCause.OUTSIDE, now.outside
    return None if found is None else Lapse(identity=identity, cause=found[0], reason=found[1])


def _not_the_asker(proposal: Proposal, identity: RecordedIdentity) -> tuple[LapseCause, str] | None:
    return (
        None
        if identity.person == proposal.requester
        else (LapseCause.NOT_THE_ASKER, f"{proposal.requester} asked for it, and confirms it.")
    )


def _not_another(
    proposal: Proposal, identity: RecordedIdentity, now: ApproverState, counting: Sequence[RecordedIdentity]
) -> tuple[LapseCause, str] | None:
    """Why this is nobody other than the asker and those who said yes before; an account linked since proves nothing."""
    if identity.person == proposal.requester:
        return LapseCause.OWN, "whoever asks for a plan does not approve it."
    if not identity.accounts.isdisjoint(proposal.accounts):
        return (
            LapseCause.OWN,
            f"{identity.person} has an account that was {proposal.requester}'s when {proposal.requester} asked for it.",
        )
    twin = next(
        (one for one in counting if one.person == identity.person or not one.accounts.isdisjoint(identity.accounts)),
        None,
    )
    if twin is not None:
        return LapseCause.TWICE, f"{twin.person} said yes from an account of the same person."
    since = now.held.since if now.held else None
    if since is not None and since > proposal.at:
        place, account = identity.from_account
        message = f"the {place} account {account} was linked at {spell_moment(since)}"
        return LapseCause.LINKED_LATER, f"{message}, after plan {proposal.short_handle} was asked for."
    return None
