"""resolve: somebody declares an incident over."""

from __future__ import annotations

from dataclasses import dataclass

from bot import words
from bot.model import Ask, Reply, Status
from bot.ports import Desk


@dataclass(frozen=True)
class Resolve:
    verb: str = "resolve"
    usage: str = "resolve <incident>"
    says: str = "declare an incident over; it opens again if it goes on firing"

    def run(self, ask: Ask, rest: str, desk: Desk) -> Reply:
        number = words.target(rest, ask.incident_id, self.usage)
        before = desk.incident(number)
        if before.status is Status.RESOLVED:
            return Reply(said=f"Incident {number} was already resolved by {before.resolved_by}.")
        after = desk.resolve(before, ask)
        if after.firing:
            return Reply(said=f"Incident {number} is resolved. {after.firing} of its alerts still fire.")
        return Reply(said=f"Incident {number} is resolved.")


command = Resolve()
