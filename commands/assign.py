"""assign: somebody gives an incident to somebody else, who has it once they acknowledge it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from bot.kinds import IncidentNumber, Person
from bot.model import Ask, Reply, Status
from bot.ports import Desk


@dataclass(frozen=True, kw_only=True)
class Args:
    incident: Annotated[int, IncidentNumber()]
    person: Annotated[str, Person()]


@dataclass(frozen=True)
class Assign:
    verb: str = "assign"
    usage: str = "assign <incident> <person>"
    says: str = "give an incident to somebody; it is open until they acknowledge it"
    args: type[Args] = Args
    reads: bool = False

    def run(self, ask: Ask, args: Args, desk: Desk) -> Reply:
        before = desk.incidents.get(args.incident)
        if before.owner == args.person and before.status is not Status.RESOLVED:
            return Reply(said=f"Incident {before.id} is {args.person}'s already, and {before.status}.")
        after = desk.incidents.assign(before, args.person)
        if after.status is Status.ACKED:
            return Reply(said=f"Incident {after.id} is yours: {after.title}")
        return Reply(said=f"Incident {after.id} is assigned to {args.person}, and open until they acknowledge it.")


command = Assign()
