"""reopen: somebody says that a resolved incident is not over; it pages again, and belongs to nobody."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from bot.kinds import After, IncidentNumber, Text
from bot.model import Ask, Reply, Status
from bot.ports import Desk


@dataclass(frozen=True, kw_only=True)
class Args:
    incident: Annotated[int, IncidentNumber()]
    because: Annotated[str, Text(most=500), After("because")] = ""


@dataclass(frozen=True)
class Reopen:
    verb: str = "reopen"
    usage: str = "reopen <incident> [because <text>]"
    says: str = "say that a resolved incident is not over; it pages again"
    args: type[Args] = Args
    reads: bool = False

    def run(self, ask: Ask, args: Args, desk: Desk) -> Reply:
        before = desk.incidents.get(args.incident)
        if before.status is not Status.RESOLVED:
            return Reply(said=f"Incident {before.id} is not resolved: it is {before.status}.")
        after = desk.incidents.reopen(before, args.because)
        return Reply(said=f"Incident {after.id} is open again: {after.title}")


command = Reopen()
