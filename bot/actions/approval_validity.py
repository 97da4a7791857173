"""Whether a plan may run now: its requester and everybody who approved it, each decided anew. Pure.

The promise: an approval counts only while it would count if it were given now: the account still belongs to that
person, the person still has the right, and nobody counts twice, be it under two ids or from two accounts. The same
decision is taken at every approval, with the intent, and once more right before the call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from bot.access.identity import AccountHolder
from bot.actions.approval import (
    USED,
    approve_command,
    check_open,
    describe_waiting,
    nothing_done,
    plan_refused,
)
from bot.core.access import Decision, RecordedIdentity
from bot.core.plan import Proposal
from bot.lib.text import spell_list, spell_moment


class LapseCause(StrEnum):
    """Why an approval, or the request for the plan, does not count."""

    UNRECORDED = "unrecorded"  #: given before the account was recorded with it
    GONE = "gone"  #: the person is no longer in the settings
    MOVED = "moved"  #: the account belongs to somebody else, or to nobody
    OUTSIDE = "outside"  #: the account's platform reports a problem with it, such as a deactivated account
    OWN = "own"  #: another person has to approve, and this is the requester
    TWICE = "twice"  #: this person or account has approved before
    LINKED_LATER = "linked_later"  #: the account was linked after the plan was requested
    NOT_THE_ASKER = "not_the_asker"  #: the requester has to confirm, and this is somebody else
    NO_RIGHT = "no_right"
    NEEDS_MORE = "needs_more"  #: the plan needs more approvals now than when it was shown


#: After these the account may belong to somebody else, so nothing is sent to it.
_FOREIGN = frozenset({LapseCause.UNRECORDED, LapseCause.GONE, LapseCause.MOVED, LapseCause.OUTSIDE})


@dataclass(frozen=True, kw_only=True, slots=True)
class ApproverState:
    """The facts of now about a recorded person."""

    listed: bool  #: the person is in the settings
    held: AccountHolder | None  #: who has the account
    decision: Decision  #: whether they may
    outside: str = ""  #: the problem that the account's platform reports, a sentence; "" for none


@dataclass(frozen=True, kw_only=True, slots=True)
class Lapse:
    """An approval or request that does not count; `reason` is a sentence."""

    identity: RecordedIdentity
    cause: LapseCause
    reason: str

    @property
    def may_be_notified(self) -> bool:
        """Whether the account is still that person's."""
        return self.cause not in _FOREIGN


@dataclass(frozen=True, kw_only=True, slots=True)
class ApprovalReview:
    """Which approvals of a plan count, and how many are missing."""

    decision: Decision  #: about the requester
    stopped: Lapse | None = None  #: the requester may no longer do this, whoever else approves
    lapsed: tuple[Lapse, ...] = ()  #: approvals that do not count
    counting: tuple[RecordedIdentity, ...] = ()
    missing: int = 0

    @property
    def runs(self) -> bool:
        return self.stopped is None and self.missing == 0


def review(proposal: Proposal, asker: ApproverState, approvals: Sequence[ApproverState], needed: int) -> ApprovalReview:
    """`approvals`: the state of each approver, in the order of `proposal.approvals`; `needed`: by other people, as the
    rights are now.
    """
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
    """Why this approval does not count; None when it does. `counting`: the earlier ones that do."""
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
    proposal: Proposal,
    identity: RecordedIdentity,
    now: ApproverState,
    verdict: ApprovalReview,
    *,
    human: bool,
    who_else: Callable[[], str] = lambda: "",
) -> None:
    """Check one more approval. `verdict`: about those before it; `who_else`: says who can approve it, a sentence.

    Raises:
        Rejected: it does not count; the text tells its sender why.
    """
    given = identity.person in {one.person for one in proposal.approvals}
    if given and proposal.state in USED:
        raise plan_refused("Already approved by you. The plan runs once.", "used")
    check_open(proposal, identity.at)
    if identity.person in {one.person for one in verdict.counting}:
        raise plan_refused(f"Already approved by you. {describe_waiting(proposal, verdict.missing)}", "already")
    if not human:
        raise plan_refused(f"Only a person can approve a plan. {nothing_done(proposal)}", "not_a_person")
    lapse = lapse_of(proposal, identity, now, verdict.counting)
    if lapse is None:
        return
    if lapse.cause is LapseCause.OWN:
        message = " ".join(filter(None, ["You asked for this; another person must approve.", who_else()]))
        raise plan_refused(f"{message} Nothing was done.", "own_plan")
    if lapse.cause is LapseCause.NOT_THE_ASKER:
        message = f"Plan {proposal.short_handle} is {proposal.requester}'s to confirm. Nothing was done."
        raise plan_refused(f"{message} Send the command yourself for a plan of your own.", "not_the_asker")
    raise plan_refused(f"Your approval does not count: {lapse.reason} {nothing_done(proposal)}", lapse.cause)


def describe_progress(proposal: Proposal, identity: RecordedIdentity, verdict: ApprovalReview) -> str:
    """The answer to an approval that counts while others are missing. `verdict`: about those before it."""
    approvers = spell_list([one.person for one in (*verdict.counting, identity)], "and")
    waiting = describe_waiting(proposal, verdict.missing - 1)
    return " ".join([f"Approved by {approvers}.", *_lapse_lines(verdict), waiting])


def describe_lapses(proposal: Proposal, verdict: ApprovalReview) -> str:
    """Whose approval no longer counts, why, and what to do now; "" if all of them count."""
    if verdict.stopped is not None:
        return describe_stop(proposal, verdict.stopped)
    lines = _lapse_lines(verdict)
    if lines and verdict.missing:
        lines.append(describe_waiting(proposal, verdict.missing) + ".")
    return " ".join(lines)


def describe_stop(proposal: Proposal, lapse: Lapse) -> str:
    if lapse.cause is LapseCause.NEEDS_MORE:
        message = f"Plan {proposal.short_handle} needs more approvals than when it was shown. {lapse.reason}"
        return f"{message} Nothing was done. Send the command again for a new plan."
    return f"{_no_longer(proposal, lapse)} Nothing was done. Plan {proposal.short_handle} is stopped."


def describe_unstarted(proposal: Proposal, verdict: ApprovalReview) -> str:
    """Why a run of the plan ends before its call."""
    return " ".join(_lapse_lines(verdict)) if verdict.stopped is None else _no_longer(proposal, verdict.stopped)


def _lapse_lines(verdict: ApprovalReview) -> list[str]:
    return [f"The approval of {one.identity.person} no longer counts: {one.reason}" for one in verdict.lapsed]


def _no_longer(proposal: Proposal, lapse: Lapse) -> str:
    if lapse.may_be_notified:
        return f"{proposal.requester} may no longer do this: {lapse.reason}"
    return f"{proposal.requester} can no longer be identified as the requester: {lapse.reason}"


def ask_again(proposal: Proposal, lapse: Lapse) -> str:
    """For a person whose approval no longer counts."""
    return (
        f"Your approval of {proposal.command} no longer counts: {lapse.reason} It has changed nothing. "
        f"To approve again: `{approve_command(proposal)}`"
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
    """Why the account no longer stands for that person."""
    channel, account = identity.from_account
    found: tuple[LapseCause, str] | None = None
    if not identity.account:
        found = LapseCause.UNRECORDED, "no account was recorded at that time."
    elif not now.listed:
        found = LapseCause.GONE, f"{identity.person} is no longer in the settings."
    elif now.held is None:
        found = LapseCause.MOVED, f"the {channel} account {account} belongs to nobody now."
    elif now.held.person != identity.person:
        found = LapseCause.MOVED, f"the {channel} account {account} belongs to {now.held.person} now."
    elif now.held.since is not None and now.held.since > identity.at:
        found = LapseCause.MOVED, f"the {channel} account {account} was linked again since."
    elif now.outside:
        found = LapseCause.OUTSIDE, now.outside
    return None if found is None else Lapse(identity=identity, cause=found[0], reason=found[1])


def _not_the_asker(proposal: Proposal, identity: RecordedIdentity) -> tuple[LapseCause, str] | None:
    return (
        None
        if identity.person == proposal.requester
        else (LapseCause.NOT_THE_ASKER, f"only {proposal.requester}, who asked for it, can confirm it.")
    )


def _not_another(
    proposal: Proposal, identity: RecordedIdentity, now: ApproverState, counting: Sequence[RecordedIdentity]
) -> tuple[LapseCause, str] | None:
    """Why this may be the requester, or somebody who approved before. An account linked since the request proves
    nothing: the requester may have linked it.
    """
    if identity.person == proposal.requester:
        return LapseCause.OWN, "the requester of a plan cannot approve it."
    if not identity.accounts.isdisjoint(proposal.accounts):
        return (
            LapseCause.OWN,
            f"{identity.person} has an account that belonged to {proposal.requester} when the plan was requested.",
        )
    twin = next(
        (one for one in counting if one.person == identity.person or not one.accounts.isdisjoint(identity.accounts)),
        None,
    )
    if twin is not None:
        return LapseCause.TWICE, f"{twin.person} approved from an account of the same person."
    since = now.held.since if now.held else None
    if since is not None and since > proposal.at:
        channel, account = identity.from_account
        message = f"the {channel} account {account} was linked at {spell_moment(since)}"
        return LapseCause.LINKED_LATER, f"{message}, after plan {proposal.short_handle} was requested."
    return None
