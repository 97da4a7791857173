"""whoami: the asker, their accounts, and their roles with the reason for each."""

from __future__ import annotations

from dataclasses import dataclass

from bot.kinds import Nothing
from bot.model import Ask, Reply
from bot.ports import Desk


@dataclass(frozen=True)
class Whoami:
    verb: str = "whoami"
    usage: str = "whoami"
    says: str = "who the bot takes you for, with your accounts and roles, and why"
    args: type[Nothing] = Nothing
    reads: bool = True

    def run(self, ask: Ask, args: Nothing, desk: Desk) -> Reply:
        return Reply(said="\n".join(desk.accounts.describe_identity()))


command = Whoami()
