"""severity: a person sets the severity of an incident, higher or lower than its alerts do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from bot.chatops.arguments import IncidentNumber, OneOf
from bot.core.alert import Severity
from bot.core.command import CommandContext
from bot.core.manual import Manual, Topic
from bot.core.request import Reply, Request


@dataclass(frozen=True, kw_only=True)
class SeverityArgs:
    incident: Annotated[int, IncidentNumber()]
    severity: Annotated[Severity, OneOf(*Severity)]


_MANUAL = Manual(
    topic=Topic.INCIDENTS,
    examples=("severity {incident} critical", "severity {incident} info"),
    details="After that only an alert worse than all before changes it.",
    way_back="`severity` with the earlier one.",
)


@dataclass(frozen=True)
class SeverityCommand:
    verb: str = "severity"
    usage: str = "severity <incident> <critical|error|warning|info>"
    summary: str = "set the severity of an incident"
    manual: Manual = _MANUAL
    args: type[SeverityArgs] = SeverityArgs
    read_only: bool = False

    def run(self, request: Request, args: SeverityArgs, context: CommandContext) -> Reply:
        before = context.incidents.get(args.incident)
        after = context.incidents.set_severity(before, args.severity)
        if after.version == before.version:
            return Reply(text=f"Incident {before.id} already has severity {before.severity}.")
        return Reply(text=f"Incident {after.id} has severity {after.severity} now; it was {before.severity}.")


command = SeverityCommand()
