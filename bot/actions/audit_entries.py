"""The audit entry of a request: who asked for what, and by which rule."""

from __future__ import annotations

from bot.access.identity import without_code
from bot.core.access import Decision, rule_with_break_glass
from bot.core.audit import AuditEntry, Code
from bot.core.plan import Proposal
from bot.core.request import Request, split_verb


def audit_entry(
    request: Request,
    code: Code,
    message: str,
    proposal: Proposal | None,
    *,
    target: str = "",
    decision: Decision | None = None,
) -> AuditEntry:
    """What a step of an ask puts on record."""
    more = {"words": without_code(request.text)}
    if proposal is not None:
        more |= {"plan": proposal.handle, "digest": proposal.digest}
    if decision is not None and decision.rule:
        more["rule"] = rule_with_break_glass(decision.rule, glass=decision.break_glass)
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
        details=more,
    )
