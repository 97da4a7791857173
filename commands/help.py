"""help: what can be said."""

from __future__ import annotations

from dataclasses import dataclass

from bot.model import Ask, Reply
from bot.ports import Desk


@dataclass(frozen=True)
class Help:
    verb: str = "help"
    usage: str = "help"
    says: str = "this list"

    def run(self, ask: Ask, rest: str, desk: Desk) -> Reply:
        return Reply(said="\n".join(f"{one.usage}: {one.says}" for one in desk.commands()))


command = Help()
