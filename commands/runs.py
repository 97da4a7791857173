"""runs: the last things that were done, and how they ended."""

from __future__ import annotations

from dataclasses import dataclass

from bot.kinds import Nothing
from bot.model import Ask, Reply
from bot.ports import Desk


@dataclass(frozen=True)
class Runs:
    verb: str = "runs"
    usage: str = "runs"
    says: str = "list the last runs and how they ended"
    args: type[Nothing] = Nothing
    reads: bool = True

    def run(self, ask: Ask, args: Nothing, desk: Desk) -> Reply:
        found = desk.runs()
        if not found:
            return Reply(said="Nothing has run yet.")
        return Reply(said="\n".join(found))


command = Runs()
