"""Plans as people see and approve them: the card, the refusals of an answer, and what has changed since. Pure.

An approval is bound to the SHA-256 of the plan's canonical bytes. If the same command is planned again, and anything
that the plan shows or saw is different, the digest is different: that is another plan, which nobody has approved yet.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta

from bot.access.decision import Able
from bot.core.access import Decision
from bot.core.errors import Rejected
from bot.core.message import Card
from bot.core.plan import Plan, PlanState, Proposal, Risk, moving_lines
from bot.lib.text import spell_duration, spell_list

#: The code of a refusal that stops the plan; everybody in the thread sees it.
NOT_ALLOWED = "plan_not_allowed"
#: The codes of a refusal after which no other answer to that plan can count.
CLOSED = frozenset({NOT_ALLOWED, "plan_used", "plan_dropped", "plan_moved", "plan_stopped", "plan_expired"})

#: Approved plans: no further approval counts.
USED = (PlanState.APPROVED, PlanState.BEGUN)
#: People who are named as approvers in one sentence.
MOST_NAMED = 5
_AGAIN = "Send the command again for a new plan."


def approvals_needed(risk: Risk, decision: Decision, plan: Plan) -> int:
    """How many other people have to approve. With break-glass the requester needs nobody else, on record, unless the
    break-glass rule itself asks for approvals.
    """
    if decision.break_glass:
        return decision.approvals
    return max(decision.approvals, plan.approvals_needed, 1 if risk is Risk.IRREVERSIBLE else 0)


def check_confirmed_name(proposal: Proposal, named: str) -> None:
    """Raises `Rejected` if an approval lacks the name that the plan asks for, or has one that it does not ask for."""
    wanted = proposal.plan.confirm_name
    if named != wanted:
        message = "Name the target to approve this plan" if wanted else "This plan is approved without a name"
        raise plan_refused(f"{message}: `{approve_command(proposal)}`. {nothing_done(proposal)}", "not_named")


def check_open(proposal: Proposal, now: datetime) -> None:
    """Raises `Rejected` if no answer to the plan counts any more."""
    plan = f"Plan {proposal.short_handle}"
    if proposal.state in USED:
        raise plan_refused(f"{plan} was approved before, and runs once. Nothing more was done.", "used")
    if proposal.state is PlanState.DROPPED:
        raise plan_refused(f"{plan} was dropped. Nothing was done.", "dropped")
    if proposal.state is PlanState.MOVED:
        raise plan_refused(
            f"{plan} is out of date: what it saw has changed. Nothing was done. Use the newer plan.", "moved"
        )
    if proposal.state is PlanState.STOPPED:
        raise plan_refused(f"{plan} was stopped before its run. Nothing was done. {_AGAIN}", "stopped")
    if now >= proposal.expires_at or proposal.state is PlanState.EXPIRED:
        ago = max(1, round((now - proposal.expires_at) / timedelta(minutes=1)))
        raise plan_refused(f"{plan} expired {ago} min ago. Nothing was done. {_AGAIN}", "expired")


def changed_preconditions(old: Plan, new: Plan) -> tuple[str, ...]:
    """What is different, a sentence each; a precondition that people are not shown is only named."""
    found = [
        f"a detail that is not shown ({name})"
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


def changed_since(expected: Mapping[str, str], plan: Plan) -> tuple[str, ...]:
    """How the world differs from what a run left behind: an undo now would undo somebody else's change too."""
    return tuple(
        f"{name}: {value} -> {plan.preconditions.get(name, '-')}"
        for name, value in sorted(expected.items())
        if plan.preconditions.get(name) != value
    )


def plan_card(
    proposal: Proposal,
    requester: str,
    limits: Mapping[str, str],
    differences: tuple[str, ...] = (),
    *,
    notes: tuple[str, ...] = (),
    approvers: str = "",
    missing: int | None = None,
) -> Card:
    """The plan as a message with buttons: the effect and the way back first.

    `notes`: about other plans of the same request; `approvers`: as `describe_approvers` has it; `missing`: approvals,
    all of them by default.

    The trap: a plan whose approval has to name its target has no button that approves it.
    """
    lines = [*notes, *(f"Changed: {one}" for one in differences), *plan_lines(proposal.plan)]
    lines.append(f"Limits: {'; '.join(f'{name}: {limit}' for name, limit in limits.items())}")
    lines += [approvers] if approvers else []
    lines.append(describe_waiting(proposal, proposal.approvals_needed if missing is None else missing))
    return Card(
        title=f"{requester} asks: {proposal.command}",
        lines=tuple(lines),
        buttons=_approve_button(proposal) | {"Drop it": f"no {proposal.handle}"},
    )


def plan_lines(plan: Plan, read_at: datetime | None = None) -> Iterator[str]:
    """What it would do, how it is undone, what it touches and what it saw. `read_at`: when; None: just now."""
    yield from plan.effect
    if plan.undo_command:
        yield f"Undo: {plan.undo_command}"
    if plan.undo_after:
        yield f"Undone automatically after {spell_duration(plan.undo_after)}, unless somebody keeps it"
    if plan.check:
        yield f"Checked for {spell_duration(plan.check_duration)}, and undone if this does not hold: {plan.check}"
    yield f"Touches: {plan.blast_radius}"
    yield from moving_lines(plan, read_at)
    seen = [f"{name} {value}" for name, value in sorted(plan.preconditions.items()) if name not in plan.hidden]
    if seen:
        yield f"Seen: {', '.join(seen)}"


def _approve_button(proposal: Proposal) -> dict[str, str]:
    if proposal.plan.confirm_name:
        return {}
    return {"Approve" if proposal.approvals_needed else "Do it": f"yes {proposal.handle}"}


def approve_command(proposal: Proposal) -> str:
    """The command that approves it, as a person types it."""
    return f"yes {proposal.short_handle} {proposal.plan.confirm_name}".rstrip()


def describe_waiting(proposal: Proposal, missing: int) -> str:
    """How many approvals are missing, until when, and the command that gives one."""
    until = f"until {proposal.expires_at:%H:%M} UTC: `{approve_command(proposal)}`"
    if proposal.approvals_needed == 0:
        return f"{proposal.requester} confirms it, {until}"
    approvals = "1 approval from somebody" if missing == 1 else f"{missing} approvals from people"
    return f"Needs {approvals} other than {proposal.requester}, {until}"


def describe_approvers(proposal: Proposal, able: Able, missing: int) -> str:
    """Who can approve it, a sentence; loud where they are too few. `able`: the others who may, `MOST_NAMED` and at
    least one more than are `missing`, if there are so many.
    """
    names = [one.display_name for one in able.people]
    if able.roles or (names and len(names) >= missing):
        named = names[:MOST_NAMED] + ["others"] * (len(names) > MOST_NAMED)
        groups = [f"people whom a group gives the role {spell_list(able.roles)}"] * bool(able.roles)
        return f"Can approve: {spell_list([*named, *groups])}."
    hint = f"An admin has to give somebody a role that allows `yes` on {proposal.plan.target}."
    if not names:
        return f"NOBODY ELSE can approve this. {hint}"
    return f"TOO FEW people can approve this: {missing} are needed, and only {spell_list(names, 'and')} can. {hint}"


def how_to_drop(proposal: Proposal) -> str:
    return f"To drop it: `no {proposal.short_handle}`"


def approved_by(people: Iterable[str]) -> str:
    """ "approved by bo and cy"; "" for nobody."""
    names = list(people)
    return f"approved by {spell_list(names, 'and')}" if names else ""


def nothing_done(proposal: Proposal) -> str:
    return f"Plan {proposal.short_handle} is unchanged. Nothing was done."


def plan_refused(message: str, code: str) -> Rejected:
    """`code`: without the prefix that all refusals of a plan have."""
    return Rejected(message, code=f"plan_{code}", status=409)
