"""resolve: declare an incident over. It opens again if its alerts keep firing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from bot.chatops.arguments import IncidentNumber
from bot.core.command import CommandContext
from bot.core.incident import Status
from bot.core.manual import Manual, Topic
from bot.core.request import Reply, Request


@dataclass(frozen=True, kw_only=True)
class ResolveArgs:
    incident: Annotated[int, IncidentNumber()]


_MANUAL = Manual(
    topic=Topic.INCIDENTS,
    examples=("resolve {incident}", "resolve"),
    details="It opens again if its alerts keep firing. In an incident's thread the number may be left out.",
    way_back="`reopen {incident}`.",
)


@dataclass(frozen=True)
class ResolveCommand:
    verb: str = "resolve"
    usage: str = "resolve <incident>"
    summary: str = "resolve an incident"
    manual: Manual = _MANUAL
    args: type[ResolveArgs] = ResolveArgs
    read_only: bool = False

    def run(self, request: Request, args: ResolveArgs, context: CommandContext) -> Reply:
        before = context.incidents.get(args.incident)
        if before.status is Status.RESOLVED:
            return Reply(text=f"Incident {before.id} was already resolved by {before.resolver_name}.")
        after = context.incidents.resolve(before)
        if after.firing:
            firing = f"Alerts that still fire: {after.firing}. It opens again if they keep firing."
            return Reply(text=f"Incident {before.id} is resolved. {firing}")
        return Reply(text=f"Incident {before.id} is resolved.")


command = ResolveCommand()
