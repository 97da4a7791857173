"""ack: somebody takes an incident; every chat and the pager hear of it."""

from __future__ import annotations

from dataclasses import dataclass

from bot import words
from bot.model import Ask, Reply, Status
from bot.ports import Desk


@dataclass(frozen=True)
class Ack:
    verb: str = "ack"
    usage: str = "ack <incident>"
    says: str = "take an incident; its pages stop"

    def run(self, ask: Ask, rest: str, desk: Desk) -> Reply:
        number = words.target(rest, ask.incident_id, self.usage)
        before = desk.incident(number)
        if before.status is Status.ACKED and before.owner == ask.by.id:
            return Reply(said=f"You already have incident {number}.")
        after = desk.acknowledge(before, ask)
        return Reply(said=f"Incident {number} is yours: {after.title}")


command = Ack()
