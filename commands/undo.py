"""undo: what a run did is planned backwards, in the words that the run left, and goes the way of any other ask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from bot.chatops.arguments import Handle
from bot.core.command import CommandContext
from bot.core.request import Reply, Request


@dataclass(frozen=True, kw_only=True)
class UndoArgs:
    run: Annotated[str, Handle()]


@dataclass(frozen=True)
class UndoCommand:
    verb: str = "undo"
    usage: str = "undo <run>"
    summary: str = "plan the way back from what a run did; refused where somebody has changed it since"
    args: type[UndoArgs] = UndoArgs
    read_only: bool = False

    def run(self, request: Request, args: UndoArgs, context: CommandContext) -> Reply:
        return context.runs.undo(args.run)


command = UndoCommand()
