"""whoami: show the asker, their accounts, and their roles with the reason for each."""

from __future__ import annotations

from dataclasses import dataclass

from bot.chatops.arguments import NoArguments
from bot.core.command import CommandContext
from bot.core.request import Reply, Request


@dataclass(frozen=True)
class WhoamiCommand:
    verb: str = "whoami"
    usage: str = "whoami"
    summary: str = "show who you are to the bot: your accounts and roles, and why"
    args: type[NoArguments] = NoArguments
    read_only: bool = True

    def run(self, request: Request, args: NoArguments, context: CommandContext) -> Reply:
        return Reply(text="\n".join(context.accounts.describe_identity()))


command = WhoamiCommand()
