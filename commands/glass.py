"""glass: who broke it last, why, until when, and what a review found."""

from __future__ import annotations

from dataclasses import dataclass

from bot.kinds import Nothing
from bot.model import Ask, Reply
from bot.ports import Desk


@dataclass(frozen=True)
class Glass:
    verb: str = "glass"
    usage: str = "glass"
    says: str = "list the last times that the glass was broken, and their reviews"
    args: type[Nothing] = Nothing
    reads: bool = True

    def run(self, ask: Ask, args: Nothing, desk: Desk) -> Reply:
        return Reply(said="\n".join(desk.break_glass.list_recent()) or "Nobody has broken the glass.")


command = Glass()
