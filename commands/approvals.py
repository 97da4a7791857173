"""approvals: the plans that wait for a yes."""

from __future__ import annotations

from dataclasses import dataclass

from bot.kinds import Nothing
from bot.model import Ask, Reply
from bot.ports import Desk


@dataclass(frozen=True)
class Approvals:
    verb: str = "approvals"
    usage: str = "approvals"
    says: str = "list the plans that wait for a yes"
    args: type[Nothing] = Nothing
    reads: bool = True

    def run(self, ask: Ask, args: Nothing, desk: Desk) -> Reply:
        found = desk.plans.list_waiting()
        if not found:
            return Reply(said="No plan waits for a yes.")
        return Reply(said="\n".join(f"{one.short} until {one.until:%H:%M} UTC, {one.by}: {one.words}" for one in found))


command = Approvals()
