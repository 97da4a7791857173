"""ack: take an incident. Every chat and the pager are notified."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from bot.chatops.arguments import IncidentNumber
from bot.core.command import CommandContext
from bot.core.incident import Status
from bot.core.manual import Manual, Topic
from bot.core.request import Reply, Request


@dataclass(frozen=True, kw_only=True)
class AckArgs:
    incident: Annotated[int, IncidentNumber()]


_MANUAL = Manual(
    topic=Topic.INCIDENTS,
    examples=("ack {incident}", "ack"),
    details="Everybody sees that you have it. In an incident's thread the number may be left out.",
    way_back="`unack {incident}` gives it back, `assign {incident} {person}` gives it to somebody else.",
)


@dataclass(frozen=True)
class AckCommand:
    verb: str = "ack"
    usage: str = "ack <incident>"
    summary: str = "take an incident; its pages stop"
    manual: Manual = _MANUAL
    args: type[AckArgs] = AckArgs
    read_only: bool = False

    def run(self, request: Request, args: AckArgs, context: CommandContext) -> Reply:
        before = context.incidents.get(args.incident)
        if before.status is Status.ACKED and before.owner == request.by.id and not before.awaits_ack:
            return Reply(text=f"Incident {before.id} is already yours.")
        after = context.incidents.acknowledge(before)
        return Reply(text=f"Incident {before.id} is yours: {after.title}")


command = AckCommand()
