"""help: list the commands that the asker may use. A command that they could never use is not listed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from bot.chatops.arguments import Name
from bot.core.command import CommandContext
from bot.core.errors import Rejected
from bot.core.request import Reply, Request


@dataclass(frozen=True, kw_only=True)
class HelpArgs:
    command: Annotated[str | None, Name()] = None


@dataclass(frozen=True)
class HelpCommand:
    verb: str = "help"
    usage: str = "help [<command>]"
    summary: str = "list the commands that you may use, or describe one"
    args: type[HelpArgs] = HelpArgs
    read_only: bool = True

    def run(self, request: Request, args: HelpArgs, context: CommandContext) -> Reply:
        wanted = [one for one in context.list_commands() if args.command in (None, one.verb)]
        if not wanted:
            message = f"There is no command {args.command} that you may use. Nothing was done."
            raise Rejected(f"{message} `help` lists those that you may.", code="unknown_command")
        return Reply(text="\n".join(f"{one.usage}: {one.summary}" for one in wanted))


command = HelpCommand()
