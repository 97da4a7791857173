"""severity: somebody says how bad an incident is, better or worse than its alerts do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from bot.kinds import IncidentNumber, OneOf
from bot.model import Ask, Reply, Severity
from bot.ports import Desk


@dataclass(frozen=True, kw_only=True)
class Args:
    incident: Annotated[int, IncidentNumber()]
    severity: Annotated[Severity, OneOf(*Severity)]


@dataclass(frozen=True)
class Weigh:
    verb: str = "severity"
    usage: str = "severity <incident> <critical|error|warning|info>"
    says: str = "say how bad an incident is; only an alert worse than all before changes it again"
    args: type[Args] = Args
    reads: bool = False

    def run(self, ask: Ask, args: Args, desk: Desk) -> Reply:
        before = desk.incidents.get(args.incident)
        after = desk.incidents.set_severity(before, args.severity)
        if after.version == before.version:
            return Reply(said=f"Incident {before.id} is {before.severity} already.")
        return Reply(said=f"Incident {after.id} is {after.severity} now, {before.severity} before.")


command = Weigh()
