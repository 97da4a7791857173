"""A plan is shown: stored with whoever asked for it and with which account, on record, and told on its incident."""

from __future__ import annotations

from collections.abc import Sequence

from bot.actions import approval
from bot.actions.audit_entries import audit_entry
from bot.core.access import Decision
from bot.core.audit import Code
from bot.core.incident import Committed, EventType
from bot.core.message import Subscription
from bot.core.plan import PlanState, Proposal, plan_bytes
from bot.core.request import Request
from bot.incidents import lifecycle, timeline
from bot.incidents.transitions import ActionReported
from bot.lib.failpoints import failpoint
from bot.store import audit_log
from bot.store import plans as drawn_up
from bot.store.transaction import Tx


def write(
    tx: Tx, proposal: Proposal, request: Request, decision: Decision, subscriptions: Sequence[Subscription]
) -> Committed:
    """One that is approved already, because nobody has to say yes to it, is not told: its end is."""
    drawn_up.put_plan(tx, proposal, plan_bytes(proposal.verb, proposal.command, proposal.plan))
    audit_log.append(
        tx, [audit_entry(request, Code.PLANNED, "; ".join(proposal.plan.effect), proposal, decision=decision)]
    )
    approved = proposal.state is PlanState.APPROVED
    if approved and request.by.human:  # to ask for it was to confirm it
        drawn_up.add_approval(tx, proposal.handle, proposal.requester_identity)
    incident = tx.incident(proposal.incident_id) if proposal.incident_id else None
    written = Committed()
    if incident is not None and not approved:
        who = f"{request.by.display_name}, behind broken glass," if decision.break_glass else request.by.display_name
        message = (
            f"{who} asks: {proposal.command}. {'; '.join(proposal.plan.effect)}. `{approval.approve_command(proposal)}`"
        )
        wish = ActionReported(type=EventType.ACTION_PROPOSED, by=request.by.id, text=message, via=request.channel)
        written = timeline.write(tx, [lifecycle.change(incident, wish, now=tx.now)], subscriptions)
    failpoint("gate.showing")
    return written
