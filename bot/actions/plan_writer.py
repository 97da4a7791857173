"""Writes what happens to a plan, in the caller's transaction: it is shown, or approvals of it lapse.

Each is one commit: the row, the audit entry, the line on the incident, and the messages to the accounts concerned.
An approval that lapsed is withdrawn and asked for again: its approver is notified while the account is still theirs,
and the requester learns why nothing runs yet. If the requester may no longer act, the plan is over, and everybody
whose approval counted is notified.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from bot.actions import approval, approval_validity
from bot.actions.approval_validity import ApprovalReview
from bot.actions.audit_entries import request_entry
from bot.core.access import Decision, RecordedIdentity, canonical_account
from bot.core.audit import Code
from bot.core.incident import Committed, EventType
from bot.core.message import Subscription
from bot.core.plan import PlanState, Proposal, plan_bytes
from bot.core.request import Request
from bot.incidents import lifecycle, timeline
from bot.incidents.transitions import ActionReported
from bot.lib.failpoints import failpoint
from bot.store import account_messages, audit_log, plans
from bot.store.transaction import Tx


def write_proposal(
    tx: Tx, proposal: Proposal, request: Request, decision: Decision, subscriptions: Sequence[Subscription]
) -> Committed:
    """Store a plan and announce it on its incident.

    A plan that runs at once, because nobody has to approve it, is not announced: its outcome is.
    """
    plans.put_plan(tx, proposal, plan_bytes(proposal.verb, proposal.command, proposal.plan))
    effect = "; ".join(proposal.plan.effect)
    audit_log.append(tx, [request_entry(request, Code.PLANNED, effect, proposal, decision=decision)])
    approved = proposal.state is PlanState.APPROVED
    if approved and request.by.human:  # to ask for it was to confirm it
        plans.add_approval(tx, proposal.handle, proposal.requester_identity)
    written = Committed()
    if not approved:
        who = f"{request.by.display_name}, with break-glass," if decision.break_glass else request.by.display_name
        message = f"{who} asks: {proposal.command}. {effect}. `{approval.approve_command(proposal)}`"
        report = ActionReported(type=EventType.ACTION_PROPOSED, by=request.by.id, text=message, via=request.channel)
        written = _report(tx, proposal, report, subscriptions)
    failpoint("gate.showing")
    return written


def write_lapses(
    tx: Tx, proposal: Proposal, verdict: ApprovalReview, request: Request, subscriptions: Sequence[Subscription]
) -> Committed:
    """`request`: the one that found the lapses; its sender reads of them in the answer."""
    message = approval_validity.describe_lapses(proposal, verdict)
    if not message:
        return Committed()
    for lapse in verdict.lapsed:
        plans.withdraw_approval(tx, proposal.handle, lapse.identity.person)
    if verdict.stopped is None:  # else the refusal is on record
        audit_log.append(tx, [request_entry(request, Code.NOT_APPROVED, message, proposal)])
    _notify(tx, _notifications(proposal, verdict, message), request)
    event = EventType.ACTION_PROPOSED if verdict.stopped is None else EventType.ACTION_NOT_DONE
    text = f"{proposal.command}: {message}"
    report = ActionReported(type=event, by=proposal.requester, text=text, via=request.channel)
    return _report(tx, proposal, report, subscriptions)


def notify_unstarted(tx: Tx, proposal: Proposal, verdict: ApprovalReview, message: str, request: Request) -> None:
    """As `write_lapses`, for a run that has its intent and ends without a call: its end is recorded elsewhere."""
    text = f"{proposal.command}: {message}"
    notifications = [(lapse.identity, text) for lapse in verdict.lapsed if lapse.may_be_notified]
    if verdict.stopped is None or verdict.stopped.may_be_notified:
        notifications.append((proposal.requester_identity, text))
    _notify(tx, notifications, request)


def _notify(tx: Tx, notifications: Iterable[tuple[RecordedIdentity, str]], request: Request) -> None:
    """One message for each account, except the one that gets the answer."""
    answered = canonical_account(request.channel, request.account)
    for account, text in {to.from_account: text for to, text in notifications if to.account}.items():
        if account != answered:
            account_messages.enqueue(tx, account, text)


def _notifications(proposal: Proposal, verdict: ApprovalReview, message: str) -> Iterator[tuple[RecordedIdentity, str]]:
    """Who is notified of lapses, and with which text."""
    text = f"{proposal.command}: {message}"
    if verdict.stopped is not None:
        yield from ((one, text) for one in verdict.counting)
    else:
        yield from (
            (lapse.identity, approval_validity.ask_again(proposal, lapse))
            for lapse in verdict.lapsed
            if lapse.may_be_notified
        )
    if verdict.stopped is None or verdict.stopped.may_be_notified:
        yield proposal.requester_identity, text


def _report(tx: Tx, proposal: Proposal, report: ActionReported, subscriptions: Sequence[Subscription]) -> Committed:
    """On the incident in whose thread the plan was requested, if there is one."""
    incident = tx.incident(proposal.incident_id) if proposal.incident_id else None
    if incident is None:
        return Committed()
    return timeline.write(tx, [lifecycle.change(incident, report, now=tx.now)], subscriptions)
