"""incidents: what is open now."""

from __future__ import annotations

from dataclasses import dataclass

from bot.kinds import Nothing
from bot.model import Ask, Incident, Reply, Status
from bot.ports import Desk

_SHOWN = 20


@dataclass(frozen=True)
class Incidents:
    verb: str = "incidents"
    usage: str = "incidents"
    says: str = "list what is open, worst first"
    args: type[Nothing] = Nothing
    reads: bool = True

    def run(self, ask: Ask, args: Nothing, desk: Desk) -> Reply:
        found = desk.incidents.list_unresolved(_SHOWN + 1)
        if not found:
            return Reply(said="No incident is open.")
        lines = [_line(one) for one in sorted(found[:_SHOWN], key=lambda one: (one.severity.rank, one.id))]
        if len(found) > _SHOWN:
            lines.append("... and more; the board shows them all.")
        return Reply(said="\n".join(lines))


def _line(one: Incident) -> str:
    has = f", assigned to {one.owner}" if one.status is Status.OPEN else f", {one.owner} has it"
    who = has if one.owner else ""
    return f"#{one.id} {one.severity} {one.status}{who}: {one.title} ({one.firing} firing)"


command = Incidents()
