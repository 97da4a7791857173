"""undo: plan the undo of a run, by the command that the run left. It is approved and run as any other command."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from bot.chatops.arguments import Handle
from bot.core.command import CommandContext
from bot.core.manual import Facility, Manual, Topic
from bot.core.request import Reply, Request


@dataclass(frozen=True, kw_only=True)
class UndoArgs:
    run: Annotated[str, Handle()]


_MANUAL = Manual(
    topic=Topic.APPROVALS,
    examples=("undo {run}",),
    details="`runs` lists the runs. Refused if somebody has changed the target since.",
    way_back="`undo` the run of the undo.",
    needs=(Facility.CLUSTER, Facility.SILENCES, Facility.BACKUPS),
)


@dataclass(frozen=True)
class UndoCommand:
    verb: str = "undo"
    usage: str = "undo <run>"
    summary: str = "plan the undo of a run"
    manual: Manual = _MANUAL
    args: type[UndoArgs] = UndoArgs
    read_only: bool = False

    def run(self, request: Request, args: UndoArgs, context: CommandContext) -> Reply:
        return context.runs.undo(args.run)


command = UndoCommand()
