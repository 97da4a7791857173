"""A plan's approval that counts no longer, in the caller's transaction: taken back, on record, and told.

A yes that lapsed is asked for again: from whoever said it, while the account is still theirs, and the asker hears why
nothing runs yet. Where it is the asker who may no longer, the plan is over, and all who said yes are told.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from bot.actions import approval_validity
from bot.actions.approval_validity import ApprovalReview
from bot.actions.audit_entries import audit_entry
from bot.core.access import RecordedIdentity, canonical_account
from bot.core.audit import Code
from bot.core.incident import Committed, EventType
from bot.core.message import Subscription
from bot.core.plan import Proposal
from bot.core.request import Request
from bot.incidents import lifecycle, timeline
from bot.incidents.transitions import ActionReported
from bot.store import account_messages, audit_log
from bot.store import plans as drawn_up
from bot.store.transaction import Tx


def write(
    tx: Tx, proposal: Proposal, verdict: ApprovalReview, request: Request, subscriptions: Sequence[Subscription]
) -> Committed:
    """`ask`: the one during which it came out; its asker hears it in the answer."""
    message = approval_validity.describe_lapses(proposal, verdict)
    if not message:
        return Committed()
    for one in verdict.lapsed:
        drawn_up.withdraw_approval(tx, proposal.handle, one.identity.person)
    if verdict.stopped is None:  # else the refusal is on record
        audit_log.append(tx, [audit_entry(request, Code.NOT_APPROVED, message, proposal)])
    _send(tx, _letters(proposal, verdict, message), request)
    return _tell(tx, proposal, message, request, subscriptions, over=verdict.stopped is not None)


def write_begun(tx: Tx, proposal: Proposal, verdict: ApprovalReview, message: str, request: Request) -> None:
    """As `write`, where its run had an intent already, and ends without a call: its end is on record by itself."""
    letters = [(one.identity, f"{proposal.command}: {message}") for one in verdict.lapsed if one.may_be_notified]
    if verdict.stopped is None or verdict.stopped.may_be_notified:
        letters.append((proposal.requester_identity, f"{proposal.command}: {message}"))
    _send(tx, letters, request)


def _send(tx: Tx, letters: Iterable[tuple[RecordedIdentity, str]], request: Request) -> None:
    """Whoever asks now hears it in the answer."""
    here = canonical_account(request.channel, request.account)
    for account, text in {to.from_account: text for to, text in letters if to.account}.items():
        if account != here:
            account_messages.enqueue(tx, account, text)


def _letters(proposal: Proposal, verdict: ApprovalReview, message: str) -> Iterator[tuple[RecordedIdentity, str]]:
    """Whom it concerns, and what each is told."""
    about = f"{proposal.command}: {message}"
    if verdict.stopped is not None:
        yield from ((one, about) for one in verdict.counting)
    else:
        yield from (
            (one.identity, approval_validity.asked_again(proposal, one))
            for one in verdict.lapsed
            if one.may_be_notified
        )
    if verdict.stopped is None or verdict.stopped.may_be_notified:
        yield proposal.requester_identity, about


def _tell(
    tx: Tx, proposal: Proposal, message: str, request: Request, subscriptions: Sequence[Subscription], *, over: bool
) -> Committed:
    """On the incident in whose thread it was asked for."""
    incident = tx.incident(proposal.incident_id) if proposal.incident_id else None
    if incident is None:
        return Committed()
    what = EventType.ACTION_NOT_DONE if over else EventType.ACTION_PROPOSED
    wish = ActionReported(type=what, by=proposal.requester, text=f"{proposal.command}: {message}", via=request.channel)
    return timeline.write(tx, [lifecycle.change(incident, wish, now=tx.now)], subscriptions)
