"""help: what this person may say; what they could never do is not offered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from bot.kinds import Name
from bot.model import Ask, Reply
from bot.ports import Desk, Rejected


@dataclass(frozen=True, kw_only=True)
class Args:
    command: Annotated[str | None, Name()] = None


@dataclass(frozen=True)
class Help:
    verb: str = "help"
    usage: str = "help [<command>]"
    says: str = "this list, or one line of it"
    args: type[Args] = Args
    reads: bool = True

    def run(self, ask: Ask, args: Args, desk: Desk) -> Reply:
        wanted = [one for one in desk.list_commands() if args.command in (None, one.verb)]
        if not wanted:
            said = f"There is no command {args.command} that you may say. `help` lists those that you may."
            raise Rejected(f"{said} Nothing was done.", code="unknown_command")
        return Reply(said="\n".join(f"{one.usage}: {one.says}" for one in wanted))


command = Help()
