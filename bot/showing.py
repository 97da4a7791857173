"""A plan is shown: stored with whoever asked for it and with which account, on record, and told on its incident."""

from __future__ import annotations

from collections.abc import Sequence

from bot import incidents, plans, story
from bot.actions.records import audit_entry
from bot.acts import PlanState, Proposal, plan_bytes
from bot.core.access import Decision
from bot.core.audit import Code
from bot.core.message import Subscription
from bot.failpoints import failpoint
from bot.forms import Request
from bot.model import Committed, EventType
from bot.store import drawn as drawn_up
from bot.store import ledger
from bot.store.tx import Tx
from bot.wishes import ActionReported


def write(
    tx: Tx, proposal: Proposal, request: Request, decision: Decision, subscriptions: Sequence[Subscription]
) -> Committed:
    """One that is approved already, because nobody has to say yes to it, is not told: its end is."""
    drawn_up.put_plan(tx, proposal, plan_bytes(proposal.verb, proposal.command, proposal.plan))
    ledger.append(
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
            f"{who} asks: {proposal.command}. {'; '.join(proposal.plan.effect)}. `{plans.approve_command(proposal)}`"
        )
        wish = ActionReported(type=EventType.ACTION_PROPOSED, by=request.by.id, text=message, via=request.channel)
        written = story.write(tx, [incidents.change(incident, wish, now=tx.now)], subscriptions)
    failpoint("gate.showing")
    return written
