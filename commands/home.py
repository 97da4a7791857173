"""home: what is mine: my incidents, my runs that need me, plans that wait for my yes or for others, who is on call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bot.chatops.arguments import NoArguments
from bot.core import run_state
from bot.core.alert import Severity
from bot.core.command import CommandContext, Overview, WaitingPlan
from bot.core.incident import Incident, Status
from bot.core.message import Card
from bot.core.request import Reply, Request

#: Shown, each with its buttons: two of a plan that waits for a yes, one of an incident. A chat draws 24.
_INCIDENTS, _TO_APPROVE, _ASKED = 10, 4, 3
_RUNS, _SERVICES = 5, 20


@dataclass(frozen=True)
class HomeCommand:
    verb: str = "home"
    usage: str = "home"
    summary: str = "show what is yours: incidents, runs, plans that wait, and who is on call"
    args: type[NoArguments] = NoArguments
    read_only: bool = True

    def run(self, request: Request, args: NoArguments, context: CommandContext) -> Reply:
        mine = context.get_overview(_INCIDENTS)
        worst = min((one.severity for one in mine.incidents), key=lambda one: one.rank, default=Severity.INFO)
        card = Card(
            title=f"What is yours, {request.by.display_name}",
            lines=(*_incidents(mine), *_runs(mine), *_plans(mine), *_on_call(mine.on_call)),
            buttons=dict(_buttons(mine)),
            severity=worst,
        )
        return Reply(text="\n".join((card.title, *card.lines)), card=card, requester_only=True)


def _incidents(mine: Overview) -> Iterator[str]:
    yield f"Open incidents of yours: {len(mine.incidents) + mine.more}" if mine.incidents else "No open one is yours."
    yield from map(_incident, mine.incidents)
    if mine.more:
        yield f"... and {mine.more} more of yours."
    if mine.others:
        yield f"Others that are open: {mine.others}; `incidents` lists them."


def _incident(one: Incident) -> str:
    has = f", assigned to {one.owner}" if one.status is Status.OPEN else f", {one.owner} has it"
    return f"#{one.id} {one.severity} {one.status}{has if one.owner else ''}: {one.title} ({one.firing} firing)"


def _runs(mine: Overview) -> Iterator[str]:
    """Those that need somebody before those that go on."""
    if mine.runs:
        yield f"Runs of yours that go on or need somebody: {len(mine.runs)}"
    shown = sorted(mine.runs, key=lambda one: not one.needs_attention)[:_RUNS]
    yield from map(run_state.describe_run, shown)
    if len(mine.runs) > _RUNS:
        yield f"... and {len(mine.runs) - _RUNS} more; `runs` lists them."


def _plans(mine: Overview) -> Iterator[str]:
    """What somebody approves they have to see, so a plan is told with all of its effect."""
    if mine.to_approve:
        yield f"Plans that wait for your yes: {len(mine.to_approve)}"
    for one in mine.to_approve[:_TO_APPROVE]:
        yield f"{one.short_handle} until {one.expires_at:%H:%M} UTC, {one.requester} asks: {one.command}"
        yield from one.plan.effect
        yield f"Touches: {one.plan.blast_radius}"
        yield from _to_type(one)
    if len(mine.to_approve) > _TO_APPROVE:
        yield f"... and {len(mine.to_approve) - _TO_APPROVE} more; `approvals` lists them."
    if mine.requested:
        yield f"Plans that you asked for and that wait: {len(mine.requested)}"
    for one in mine.requested[:_ASKED]:
        yield f"{one.short_handle} until {one.expires_at:%H:%M} UTC, {_whom(one)}: {one.command}"
        yield from _to_type(one) if not one.approvals_needed else ()
    if len(mine.requested) > _ASKED:
        yield f"... and {len(mine.requested) - _ASKED} more; `approvals` lists them."
    if not mine.to_approve and not mine.requested:
        yield "No plan waits for your yes, and none of yours waits."


def _to_type(one: WaitingPlan) -> Iterator[str]:
    """What no button says."""
    if one.plan.confirm_name:
        yield f"Approve it with `yes {one.short_handle} {one.plan.confirm_name}`"


def _whom(one: WaitingPlan) -> str:
    return "for others" if one.approvals_needed else "for you to confirm"


def _on_call(on_call: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    yield "On call:" if on_call else "Nobody is on call by the settings."
    for service, names in list(on_call.items())[:_SERVICES]:
        yield f"{service}: {', '.join(names)}"
    if len(on_call) > _SERVICES:
        yield f"... and {len(on_call) - _SERVICES} more services."


def _buttons(mine: Overview) -> Iterator[tuple[str, str]]:
    for one in mine.to_approve[:_TO_APPROVE]:
        if not one.plan.confirm_name:
            yield f"Approve {one.short_handle}", f"yes {one.handle}"
        yield f"Drop {one.short_handle}", f"no {one.handle}"
    for one in mine.requested[:_ASKED]:
        if not one.approvals_needed and not one.plan.confirm_name:
            yield f"Do {one.short_handle}", f"yes {one.handle}"
        yield f"Drop {one.short_handle}", f"no {one.handle}"
    for incident in mine.incidents:
        if incident.status is Status.OPEN:
            yield f"Acknowledge #{incident.id}", f"ack {incident.marked}"


command = HomeCommand()
