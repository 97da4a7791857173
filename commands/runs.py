"""runs: the last things that were done: how each stands, why, and what somebody has to do about it."""

from __future__ import annotations

from dataclasses import dataclass

from bot import states
from bot.kinds import Nothing
from bot.model import Ask, Reply
from bot.ports import Desk


@dataclass(frozen=True)
class Runs:
    verb: str = "runs"
    usage: str = "runs"
    says: str = "list the last runs and how they stand"
    args: type[Nothing] = Nothing
    reads: bool = True

    def run(self, ask: Ask, args: Nothing, desk: Desk) -> Reply:
        found = desk.runs.list_recent()
        if not found:
            return Reply(said="Nothing has run yet.")
        head = states.summary(found)
        return Reply(said="\n".join([*([head] if head else []), *map(states.line, found)]))


command = Runs()
