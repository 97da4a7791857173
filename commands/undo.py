"""undo: what a run did is planned backwards, in the words that the run left, and goes the way of any other ask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from bot.kinds import Handle
from bot.model import Ask, Reply
from bot.ports import Desk


@dataclass(frozen=True, kw_only=True)
class UndoArgs:
    run: Annotated[str, Handle()]


@dataclass(frozen=True)
class Undo:
    verb: str = "undo"
    usage: str = "undo <run>"
    says: str = "plan the way back from what a run did; refused where somebody has changed it since"
    args: type[UndoArgs] = UndoArgs
    reads: bool = False

    def run(self, ask: Ask, args: UndoArgs, desk: Desk) -> Reply:
        return desk.runs.undo(args.run)


command = Undo()
