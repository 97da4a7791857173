"""unlink: an account that was linked is nobody's again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from bot.chatops.arguments import Name
from bot.core.command import CommandContext
from bot.core.request import Reply, Request


@dataclass(frozen=True, kw_only=True)
class UnlinkArgs:
    place: Annotated[str, Name()]


@dataclass(frozen=True)
class UnlinkCommand:
    verb: str = "unlink"
    usage: str = "unlink <place>"
    summary: str = "give up the account that you linked in a place, such as telegram"
    args: type[UnlinkArgs] = UnlinkArgs
    read_only: bool = False

    def run(self, request: Request, args: UnlinkArgs, context: CommandContext) -> Reply:
        return context.accounts.unlink(args.place)


command = UnlinkCommand()
