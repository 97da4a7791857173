"""home: the asker's incidents, runs that need attention, plans that wait for approval, and who is on call."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bot.chatops.arguments import NoArguments
from bot.core import run_state
from bot.core.alert import Severity
from bot.core.command import CommandContext, Overview, WaitingPlan
from bot.core.incident import Status
from bot.core.manual import Manual, Topic
from bot.core.message import Card
from bot.core.plan import moving_lines
from bot.core.request import Reply, Request
from commands.incidents import incident_line

#: The most that are shown, each with its buttons: two for a plan, one for an incident. A chat shows at most 24 buttons.
_INCIDENTS, _TO_APPROVE, _REQUESTED = 10, 4, 3
_RUNS, _SERVICES = 5, 20


_MANUAL = Manual(topic=Topic.INCIDENTS, examples=("home",))


@dataclass(frozen=True)
class HomeCommand:
    verb: str = "home"
    usage: str = "home"
    summary: str = "show your incidents, runs, plans, and who is on call"
    manual: Manual = _MANUAL
    args: type[NoArguments] = NoArguments
    read_only: bool = True

    def run(self, request: Request, args: NoArguments, context: CommandContext) -> Reply:
        mine = context.get_overview(_INCIDENTS)
        worst = min((one.severity for one in mine.incidents), key=lambda one: one.rank, default=Severity.INFO)
        card = Card(
            title=f"Overview for {request.by.display_name}",
            lines=(*_incidents(mine, context.get_name), *_runs(mine), *_plans(mine), *_on_call(mine)),
            buttons=dict(_buttons(mine)),
            severity=worst,
        )
        return Reply(text="\n".join((card.title, *card.lines)), card=card, requester_only=True)


def _incidents(mine: Overview, name_of: Callable[[str], str]) -> Iterator[str]:
    total = len(mine.incidents) + mine.more
    yield f"Your unresolved incidents: {total}" if mine.incidents else "You have no unresolved incidents."
    yield from (incident_line(one, name_of) for one in mine.incidents)
    if mine.more:
        yield f"... and {mine.more} more of yours."
    if mine.others:
        yield f"Other unresolved incidents: {mine.others}; `incidents` lists all."


def _runs(mine: Overview) -> Iterator[str]:
    """Runs that need attention first, then those that are in progress."""
    if mine.runs:
        yield f"Your runs that are in progress or need attention: {len(mine.runs)}"
    shown = sorted(mine.runs, key=lambda one: not one.needs_attention)[:_RUNS]
    yield from map(run_state.describe_run, shown)
    if len(mine.runs) > _RUNS:
        yield f"... and {len(mine.runs) - _RUNS} more; `runs` lists them."


def _plans(mine: Overview) -> Iterator[str]:
    """A plan to approve is shown with its whole effect: nobody should approve what they have not seen."""
    if mine.to_approve:
        yield f"Plans that wait for your approval: {len(mine.to_approve)}"
    for one in mine.to_approve[:_TO_APPROVE]:
        yield f"{one.short_handle} until {one.expires_at:%H:%M} UTC, {one.requester} asks: {one.command}"
        yield from one.plan.effect
        yield f"Touches: {one.plan.blast_radius}"
        yield from moving_lines(one.plan, one.at)
        yield from _to_type(one)
    if len(mine.to_approve) > _TO_APPROVE:
        yield f"... and {len(mine.to_approve) - _TO_APPROVE} more; `approvals` lists them."
    if mine.requested:
        yield f"Your own plans that wait: {len(mine.requested)}"
    for one in mine.requested[:_REQUESTED]:
        yield f"{one.short_handle} until {one.expires_at:%H:%M} UTC, {_waits_for(one)}: {one.command}"
        yield from _to_type(one) if not one.approvals_needed else ()
    if len(mine.requested) > _REQUESTED:
        yield f"... and {len(mine.requested) - _REQUESTED} more; `approvals` lists them."
    if not mine.to_approve and not mine.requested:
        yield "No plan waits for your approval, and none of your own plans waits."


def _to_type(one: WaitingPlan) -> Iterator[str]:
    """How to approve a plan that has no button."""
    if one.plan.confirm_name:
        yield f"To approve, type `yes {one.short_handle} {one.plan.confirm_name}`"


def _waits_for(one: WaitingPlan) -> str:
    return "waits for approval by others" if one.approvals_needed else "waits for you to confirm"


def _on_call(mine: Overview) -> Iterator[str]:
    on_call = mine.on_call
    yield "On call:" if on_call else "Nobody is on call, according to the settings."
    for service, names in list(on_call.items())[:_SERVICES]:
        owner = f" ({mine.owners[service]})" if service in mine.owners else ""
        yield f"{service}{owner}: {', '.join(names) or 'nobody now; `oncall` says until when'}"
    if len(on_call) > _SERVICES:
        yield f"... and {len(on_call) - _SERVICES} more services."


def _buttons(mine: Overview) -> Iterator[tuple[str, str]]:
    for one in mine.to_approve[:_TO_APPROVE]:
        if not one.plan.confirm_name:
            yield f"Approve {one.short_handle}", f"yes {one.handle}"
        yield f"Drop {one.short_handle}", f"no {one.handle}"
    for one in mine.requested[:_REQUESTED]:
        if not one.approvals_needed and not one.plan.confirm_name:
            yield f"Do {one.short_handle}", f"yes {one.handle}"
        yield f"Drop {one.short_handle}", f"no {one.handle}"
    for incident in mine.incidents:
        if incident.status is Status.OPEN:
            yield f"Acknowledge #{incident.id}", f"ack {incident.marked}"


command = HomeCommand()
