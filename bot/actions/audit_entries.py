"""The audit entries of requests, plans and runs: who asked for what, by which rule, and how it ended."""

from __future__ import annotations

from bot.access.identity import without_code
from bot.core.access import Decision, rule_with_break_glass
from bot.core.audit import AuditEntry, Code
from bot.core.plan import Proposal
from bot.core.request import SCHEDULER, Request, split_verb
from bot.store.runs import Run


def request_entry(
    request: Request,
    code: Code,
    message: str,
    proposal: Proposal | None,
    *,
    target: str = "",
    decision: Decision | None = None,
) -> AuditEntry:
    """One step of a request; the entry never holds a linking code."""
    details = {"words": without_code(request.text)}
    if proposal is not None:
        details |= {"plan": proposal.handle, "digest": proposal.digest}
    if decision is not None and decision.rule:
        details["rule"] = rule_with_break_glass(decision.rule, glass=decision.break_glass)
    return AuditEntry(
        code=code,
        by=request.by.id or f"{request.channel}:{request.account}",
        message=message,
        run=proposal.handle if proposal else "",
        verb=proposal.verb if proposal else split_verb(request.text)[0],
        target=proposal.plan.target if proposal else target,
        channel=request.channel,
        account=request.account,
        idempotency_key=request.idempotency_key,
        incident_id=request.incident_id,
        details=details,
    )


def scheduler_entry(code: Code, message: str, proposal: Proposal) -> AuditEntry:
    """What the scheduler did to a plan."""
    return AuditEntry(
        code=code,
        by=SCHEDULER.id,
        message=message,
        run=proposal.handle,
        verb=proposal.verb,
        target=proposal.plan.target,
        channel=proposal.channel,
        incident_id=proposal.incident_id,
    )


def run_entry(code: Code, message: str, run: Run, proposal: Proposal, request: Request | None) -> AuditEntry:
    """The intent of a run or its end. `request`: the one that began the run; None for its end."""
    details = {
        "plan": proposal.handle,
        "digest": proposal.digest,
        "asked_by": proposal.requester,
        "approved_by": " ".join(proposal.approvers),
    }
    if run.rule:
        details["rule"] = run.rule
    if run.break_glass_id:
        details["glass"] = str(run.break_glass_id)
    return AuditEntry(
        code=code,
        by=run.by,
        message=message,
        run=run.id,
        verb=proposal.verb,
        target=run.target,
        channel=request.channel if request else proposal.channel,
        account=request.account if request else "",
        idempotency_key=request.idempotency_key if request else "",
        incident_id=proposal.incident_id,
        details=details,
    )
