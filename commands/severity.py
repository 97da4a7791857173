"""severity: somebody says how bad an incident is, better or worse than its alerts do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from bot.chatops.arguments import IncidentNumber, OneOf
from bot.core.alert import Severity
from bot.core.command import CommandContext
from bot.core.request import Reply, Request


@dataclass(frozen=True, kw_only=True)
class SeverityArgs:
    incident: Annotated[int, IncidentNumber()]
    severity: Annotated[Severity, OneOf(*Severity)]


@dataclass(frozen=True)
class SeverityCommand:
    verb: str = "severity"
    usage: str = "severity <incident> <critical|error|warning|info>"
    summary: str = "say how bad an incident is; only an alert worse than all before changes it again"
    args: type[SeverityArgs] = SeverityArgs
    read_only: bool = False

    def run(self, request: Request, args: SeverityArgs, context: CommandContext) -> Reply:
        before = context.incidents.get(args.incident)
        after = context.incidents.set_severity(before, args.severity)
        if after.version == before.version:
            return Reply(text=f"Incident {before.id} is {before.severity} already.")
        return Reply(text=f"Incident {after.id} is {after.severity} now, {before.severity} before.")


command = SeverityCommand()
