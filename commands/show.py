"""show: one incident in a few lines, with its firing alerts and its last notes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from bot.chatops.arguments import IncidentNumber
from bot.core.command import CommandContext
from bot.core.incident import Incident
from bot.core.request import Reply, Request
from commands.incidents import owner_clause

_ALERTS, _NOTES = 5, 5


@dataclass(frozen=True, kw_only=True)
class ShowArgs:
    incident: Annotated[int, IncidentNumber()]


@dataclass(frozen=True)
class ShowCommand:
    verb: str = "show"
    usage: str = "show <incident>"
    summary: str = "show the state of an incident, its firing alerts and its last notes"
    args: type[ShowArgs] = ShowArgs
    read_only: bool = True

    def run(self, request: Request, args: ShowArgs, context: CommandContext) -> Reply:
        return Reply(text="\n".join(_lines(context.incidents.get(args.incident), context)))


def _lines(one: Incident, context: CommandContext) -> Iterator[str]:
    yield f"#{one.id} {one.title}"
    yield f"{one.severity}, {one.status}, {one.firing} of {one.total} alerts firing{owner_clause(one)}"
    if one.flapping_words:
        yield one.firing_words
    yield f"opened {one.opened_at:%Y-%m-%d %H:%M} UTC"
    if one.resolved_at:
        yield f"resolved {one.resolved_at:%Y-%m-%d %H:%M} UTC by {one.resolved_by}"
    names = context.incidents.list_firing_alerts(one, _ALERTS)
    if names:
        more = f" and {one.firing - len(names)} more" if one.firing > len(names) else ""
        yield f"firing: {', '.join(names)}{more}"
    for event in context.incidents.list_notes(one, _NOTES):
        yield f"{event.at:%H:%M} {event.text}"


command = ShowCommand()
