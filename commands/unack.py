"""unack: give an incident back. Nobody has it then, and it pages again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from bot.chatops.arguments import FreeText, IncidentNumber, Keyword
from bot.core.command import CommandContext
from bot.core.manual import Manual, Topic
from bot.core.request import Reply, Request


@dataclass(frozen=True, kw_only=True)
class UnackArgs:
    incident: Annotated[int, IncidentNumber()]
    because: Annotated[str, FreeText(max_length=1000, question="Why?"), Keyword("because")] = ""


_MANUAL = Manual(
    topic=Topic.INCIDENTS,
    examples=("unack {incident}", "unack {incident} because my train leaves"),
    details="It is open again, and whoever is on call in the pager is paged with your reason.",
    way_back="`ack` it again.",
)


@dataclass(frozen=True)
class UnackCommand:
    verb: str = "unack"
    usage: str = "unack <incident> [because <text>]"
    summary: str = "give an incident back; it pages again"
    manual: Manual = _MANUAL
    args: type[UnackArgs] = UnackArgs
    read_only: bool = False

    def run(self, request: Request, args: UnackArgs, context: CommandContext) -> Reply:
        before = context.incidents.get(args.incident)
        after = context.incidents.unacknowledge(before, args.because)
        if after.version == before.version:
            return Reply(text=f"Nobody has acknowledged incident {before.id}. Nothing was done.")
        return Reply(text=f"Nobody has incident {after.id} now: {after.title}")


command = UnackCommand()
