"""ack: somebody takes an incident; every chat and the pager hear of it."""

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
class Ack:
    verb: str = "ack"
    usage: str = "ack <incident>"
    says: str = "take an incident; its pages stop"
    args: type[Args] = Args
    reads: bool = False

    def run(self, ask: Ask, args: Args, desk: Desk) -> Reply:
        before = desk.incidents.get(args.incident)
        if before.status is Status.ACKED and before.owner == ask.by.id:
            return Reply(said=f"You already have incident {before.id}.")
        after = desk.incidents.acknowledge(before)
        return Reply(said=f"Incident {before.id} is yours: {after.title}")


command = Ack()
