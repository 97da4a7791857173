"""assign: give an incident to another person. It is open until they acknowledge it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from bot.chatops.arguments import FreeText, IncidentNumber, Keyword, Person
from bot.core.command import CommandContext
from bot.core.incident import Status
from bot.core.manual import Manual, Topic
from bot.core.request import Reply, Request


@dataclass(frozen=True, kw_only=True)
class AssignArgs:
    incident: Annotated[int, IncidentNumber()]
    person: Annotated[str, Person()]
    because: Annotated[str, FreeText(max_length=1000, question="Why?"), Keyword("because")] = ""


_MANUAL = Manual(
    topic=Topic.INCIDENTS,
    examples=("assign {incident} {person}", "assign {incident} me"),
    details="It stays open until they acknowledge it.",
    way_back="`assign` it to somebody else.",
)


@dataclass(frozen=True)
class AssignCommand:
    verb: str = "assign"
    usage: str = "assign <incident> <person> [because <text>]"
    summary: str = "give an incident to a person"
    manual: Manual = _MANUAL
    args: type[AssignArgs] = AssignArgs
    read_only: bool = False

    def run(self, request: Request, args: AssignArgs, context: CommandContext) -> Reply:
        before = context.incidents.get(args.incident)
        after = context.incidents.assign(before, args.person, args.because)
        name = context.get_name(args.person)
        if after.version == before.version:
            return Reply(text=f"Incident {before.id} is already assigned to {name}; it is {before.status}.")
        if after.status is Status.ACKED:
            return Reply(text=f"Incident {after.id} is yours: {after.title}")
        return Reply(text=f"Incident {after.id} is assigned to {name}; it stays open until they acknowledge it.")


command = AssignCommand()
