"""keep: cancel the timed undo of a run, so that its change stays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from bot.chatops.arguments import Handle
from bot.core.command import CommandContext
from bot.core.request import Reply, Request


@dataclass(frozen=True, kw_only=True)
class KeepArgs:
    run: Annotated[str, Handle()]


@dataclass(frozen=True)
class KeepCommand:
    verb: str = "keep"
    usage: str = "keep <run>"
    summary: str = "cancel the timed undo of a run: its change stays"
    args: type[KeepArgs] = KeepArgs
    read_only: bool = False

    def run(self, request: Request, args: KeepArgs, context: CommandContext) -> Reply:
        return context.runs.cancel_timed_undo(args.run)


command = KeepCommand()
