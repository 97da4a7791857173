"""Whether a plan's approvals still count: the facts, gathered in the caller's transaction, and the verdict on them.

The verdict itself is pure (`approval_validity.review`). What each person may do now is decided by `Authorizer`, as
for any request.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from bot.access.authorizer import Authorizer
from bot.access.conditions import Impact
from bot.access.decision import YES
from bot.actions import approval, approval_validity
from bot.actions.approval_validity import ApprovalReview, ApproverState
from bot.core.access import Account, Decision, Permission, RecordedIdentity
from bot.core.plan import Proposal, Risk
from bot.core.request import Principal, Request
from bot.store.sql import Sql
from bot.store.transaction import Tx


def review_approvals(
    authorizer: Authorizer, tx: Tx, proposal: Proposal, risk: Risk, outside: Mapping[Account, str] | None = None
) -> ApprovalReview:
    """Review a plan that a person requested. `outside`: problems that platforms have just reported with accounts."""
    problems = outside or {}
    asker = _asker(authorizer, tx, proposal, problems)
    approvers = [approver_state(authorizer, tx, proposal, one, problems) for one in proposal.approvals]
    return approval_validity.review(
        proposal, asker, approvers, approval.approvals_needed(risk, asker.decision, proposal.plan)
    )


def approver_state(
    authorizer: Authorizer,
    tx: Tx,
    proposal: Proposal,
    identity: RecordedIdentity,
    outside: Mapping[Account, str] | None = None,
) -> ApproverState:
    """The facts of now about somebody who approves the plan, or has approved it."""
    problems = outside or {}
    if identity.person == proposal.requester:  # the right to do it includes the right to confirm it
        return replace(
            _asker(authorizer, tx, proposal, problems), held=authorizer.linking.holder_of(tx.sql, identity.from_account)
        )
    request = Request(by=_as_now(authorizer, tx, identity), text=YES, channel=identity.channel)
    wanted = Permission(verb=YES, target=proposal.plan.target)
    return _now(authorizer, tx, identity, authorizer.decide(tx, request, wanted, None, Impact.INCIDENT), problems)


def describe_approvers(authorizer: Authorizer, sql: Sql, now: datetime, proposal: Proposal, missing: int) -> str:
    """Who else can approve the plan, as `approval.describe_approvers` has it; "" if nobody else is needed."""
    if proposal.approvals_needed == 0:
        return ""
    able = authorizer.able_others(
        sql,
        Principal(id=proposal.requester),
        Permission(verb=YES, target=proposal.plan.target),
        now=now,
        besides=proposal.approvers,
        most=max(approval.MOST_NAMED, missing) + 1,
    )
    return approval.describe_approvers(proposal, able, missing)


def _asker(authorizer: Authorizer, tx: Tx, proposal: Proposal, outside: Mapping[Account, str]) -> ApproverState:
    by = _as_now(authorizer, tx, proposal.requester_identity)
    request = Request(by=by, text=proposal.command, channel=proposal.channel, incident_id=proposal.incident_id)
    return _now(
        authorizer,
        tx,
        proposal.requester_identity,
        authorizer.decide_action(tx, request, proposal.verb, proposal.plan.target),
        outside,
    )


def _now(
    authorizer: Authorizer, tx: Tx, identity: RecordedIdentity, decision: Decision, outside: Mapping[Account, str]
) -> ApproverState:
    return ApproverState(
        listed=authorizer.person(tx, identity.person) is not None,
        held=authorizer.linking.holder_of(tx.sql, identity.from_account),
        decision=decision,
        outside=outside.get(identity.from_account, ""),
    )


def _as_now(authorizer: Authorizer, tx: Tx, identity: RecordedIdentity) -> Principal:
    return authorizer.person(tx, identity.person) or Principal(id=identity.person)
