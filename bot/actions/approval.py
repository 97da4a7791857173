"""Plans as people see and approve them: the bytes that are hashed, where they stand, and what has moved. Pure.

A yes is bound to the SHA-256 of the plan's canonical bytes. The same words planned again give another digest as soon
as anything that the plan shows or saw is different, and then it is another plan that nobody has approved yet.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from bot.core.access import Decision
from bot.core.errors import Rejected
from bot.core.message import Card
from bot.core.plan import Plan, PlanState, Proposal, Risk

#: The code of a refusal that stops the plan, and of which everybody at the place hears.
NOT_ALLOWED = "plan_not_allowed"
#: The codes of a refusal after which no other answer to that plan can count.
CLOSED = frozenset({NOT_ALLOWED, "plan_used", "plan_dropped", "plan_moved", "plan_stopped", "plan_expired"})


USED = (PlanState.APPROVED, PlanState.BEGUN)


def approvals_needed(risk: Risk, decision: Decision, plan: Plan) -> int:
    """How many other people have to say yes. Behind broken glass the asker is alone with it, on record, unless the
    rule that sleeps there asks for others itself.
    """
    if decision.break_glass:
        return decision.approvals
    return max(decision.approvals, plan.approvals_needed, 1 if risk is Risk.IRREVERSIBLE else 0)


def check_confirmed_name(proposal: Proposal, named: str) -> None:
    """Raises `Rejected` where a yes does not name what the plan wants it to, or names what it does not ask for."""
    if named != proposal.plan.confirm_name:
        message = "has to name what it is about" if proposal.plan.confirm_name else "is asked for no name"
        raise plan_refused(
            f"A yes to this plan {message}: `{approve_command(proposal)}`. {nothing_done(proposal)}", "not_named"
        )


def check_open(proposal: Proposal, now: datetime) -> None:
    """Raises `Rejected` where no answer to it counts any more."""
    if proposal.state in USED:
        raise plan_refused(
            f"Plan {proposal.short_handle} was approved before, and runs once. Nothing more was done.", "used"
        )
    if proposal.state is PlanState.DROPPED:
        raise plan_refused(f"Plan {proposal.short_handle} was dropped. Nothing was done.", "dropped")
    if proposal.state is PlanState.MOVED:
        raise plan_refused(
            f"Plan {proposal.short_handle} no longer fits the world. Nothing was done. See the newer one.", "moved"
        )
    if proposal.state is PlanState.STOPPED:
        message = f"Plan {proposal.short_handle} was stopped before its run. Nothing was done."
        raise plan_refused(f"{message} Say the same words for a new one.", "stopped")
    if now >= proposal.expires_at or proposal.state is PlanState.EXPIRED:
        ago = max(1, round((now - proposal.expires_at) / timedelta(minutes=1)))
        message = (
            f"Plan {proposal.short_handle} expired {ago} min ago. Nothing was done. Say the same words for a new one."
        )
        raise plan_refused(message, "expired")


def changed_preconditions(old: Plan, new: Plan) -> tuple[str, ...]:
    """What is different, a sentence each; what people are not shown is only named."""
    found = [
        f"{name} changed"
        if name in new.hidden
        else f"{name}: {old.preconditions.get(name, '-')} -> {new.preconditions.get(name, '-')}"
        for name in sorted({*old.preconditions, *new.preconditions})
        if old.preconditions.get(name) != new.preconditions.get(name)
    ]
    found += [f"now: {line}" for line in new.effect if line not in old.effect]
    found += [f"no longer: {line}" for line in old.effect if line not in new.effect]
    if old.blast_radius != new.blast_radius:
        found.append(f"touches: {old.blast_radius} -> {new.blast_radius}")
    return tuple(found)


def changed_since(left: dict[str, str], plan: Plan) -> tuple[str, ...]:
    """How the world differs from what a run left behind: whoever undoes it would undo somebody else's change."""
    return tuple(
        f"{name}: {value} -> {plan.preconditions.get(name, '-')}"
        for name, value in sorted(left.items())
        if plan.preconditions.get(name) != value
    )


def plan_card(proposal: Proposal, asker: str, limits: tuple[str, ...], differences: tuple[str, ...] = ()) -> Card:
    """The plan as a message with its buttons; what has to be typed has none that says yes."""
    plan = proposal.plan
    seen = [f"{name} {value}" for name, value in sorted(plan.preconditions.items()) if name not in plan.hidden]
    lines = [*(f"Changed: {one}" for one in differences), *plan.effect, f"Touches: {plan.blast_radius}"]
    if seen:
        lines.append(f"Seen: {', '.join(seen)}")
    if plan.undo_command:
        lines.append(f"Undo: {plan.undo_command}")
    if plan.undo_after:
        lines.append(f"Undone by itself after {plan.undo_after}, unless it is kept")
    if plan.check:
        lines.append(f"Held for {plan.check_duration}: {plan.check}")
    lines.append(f"Limits: {'; '.join(limits)}")
    lines.append(describe_waiting(proposal, proposal.approvals_needed))
    return Card(
        title=f"{asker} asks: {proposal.command}",
        lines=tuple(lines),
        buttons=_agreeing(proposal) | {"Drop it": f"no {proposal.handle}"},
    )


def _agreeing(proposal: Proposal) -> dict[str, str]:
    if proposal.plan.confirm_name:
        return {}
    return {"Approve" if proposal.approvals_needed else "Do it": f"yes {proposal.handle}"}


def approve_command(proposal: Proposal) -> str:
    """The words that approve it."""
    return f"yes {proposal.short_handle} {proposal.plan.confirm_name}".rstrip()


def describe_waiting(proposal: Proposal, missing: int) -> str:
    """Who has still to say yes, until when, and in which words."""
    until = f"until {proposal.expires_at:%H:%M} UTC; `{approve_command(proposal)}`"
    if proposal.approvals_needed == 0:
        return f"{proposal.requester} confirms, {until}"
    return f"{missing} {'person' if missing == 1 else 'people'} other than {proposal.requester} must approve, {until}"


def nothing_done(proposal: Proposal) -> str:
    return f"Plan {proposal.short_handle} is as it was; nothing was done."


def plan_refused(message: str, code: str) -> Rejected:
    """`code` without what all of a plan's refusals begin with."""
    return Rejected(message, code=f"plan_{code}", status=409)
