"""resolve: somebody declares an incident over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from bot.kinds import IncidentNumber
from bot.model import Ask, Reply, Status
from bot.ports import Desk


@dataclass(frozen=True, kw_only=True)
class Args:
    incident: Annotated[int, IncidentNumber()]


@dataclass(frozen=True)
class Resolve:
    verb: str = "resolve"
    usage: str = "resolve <incident>"
    says: str = "declare an incident over; it opens again if it goes on firing"
    args: type[Args] = Args
    reads: bool = False

    def run(self, ask: Ask, args: Args, desk: Desk) -> Reply:
        before = desk.incidents.get(args.incident)
        if before.status is Status.RESOLVED:
            return Reply(said=f"Incident {before.id} was already resolved by {before.resolved_by}.")
        after = desk.incidents.resolve(before)
        if after.firing:
            return Reply(said=f"Incident {before.id} is resolved. {after.firing} of its alerts still fire.")
        return Reply(said=f"Incident {before.id} is resolved.")


command = Resolve()
