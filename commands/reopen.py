"""reopen: open a resolved incident again. It pages again and has no owner."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from bot.chatops.arguments import FreeText, IncidentNumber, Keyword
from bot.core.command import CommandContext
from bot.core.incident import Status
from bot.core.manual import Manual, Topic
from bot.core.request import Reply, Request


@dataclass(frozen=True, kw_only=True)
class ReopenArgs:
    incident: Annotated[int, IncidentNumber()]
    because: Annotated[str, FreeText(max_length=500, question="Why?"), Keyword("because")] = ""


_MANUAL = Manual(
    topic=Topic.INCIDENTS,
    examples=("reopen {incident}", "reopen {incident} because it is back"),
    way_back="`resolve {incident}`.",
)


@dataclass(frozen=True)
class ReopenCommand:
    verb: str = "reopen"
    usage: str = "reopen <incident> [because <text>]"
    summary: str = "reopen a resolved incident; it pages again"
    manual: Manual = _MANUAL
    args: type[ReopenArgs] = ReopenArgs
    read_only: bool = False

    def run(self, request: Request, args: ReopenArgs, context: CommandContext) -> Reply:
        before = context.incidents.get(args.incident)
        if before.status is not Status.RESOLVED:
            return Reply(text=f"Incident {before.id} is not resolved: it is {before.status}.")
        after = context.incidents.reopen(before, args.because)
        return Reply(text=f"Incident {after.id} is open again: {after.title}")


command = ReopenCommand()
