"""incidents: what is open now."""

from __future__ import annotations

from dataclasses import dataclass

from bot.chatops.arguments import NoArguments
from bot.core.command import CommandContext
from bot.core.incident import Incident, Status
from bot.core.request import Reply, Request

_SHOWN = 20


@dataclass(frozen=True)
class IncidentsCommand:
    verb: str = "incidents"
    usage: str = "incidents"
    summary: str = "list what is open, worst first"
    args: type[NoArguments] = NoArguments
    read_only: bool = True

    def run(self, request: Request, args: NoArguments, context: CommandContext) -> Reply:
        found = context.incidents.list_unresolved(_SHOWN + 1)
        if not found:
            return Reply(text="No incident is open.")
        lines = [_line(one) for one in sorted(found[:_SHOWN], key=lambda one: (one.severity.rank, one.id))]
        if len(found) > _SHOWN:
            lines.append("... and more; the board shows them all.")
        return Reply(text="\n".join(lines))


def _line(one: Incident) -> str:
    has = f", assigned to {one.owner}" if one.status is Status.OPEN else f", {one.owner} has it"
    who = has if one.owner else ""
    return f"#{one.id} {one.severity} {one.status}{who}: {one.title} ({one.firing} firing)"


command = IncidentsCommand()
