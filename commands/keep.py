"""keep: cancel the timed undo of a run, so that its change stays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from bot.chatops.arguments import Handle
from bot.core.command import CommandContext
from bot.core.manual import Facility, Manual, Topic
from bot.core.request import Reply, Request


@dataclass(frozen=True, kw_only=True)
class KeepArgs:
    run: Annotated[str, Handle()]


_MANUAL = Manual(
    topic=Topic.APPROVALS,
    examples=("keep {run}",),
    way_back="`undo {run}` still undoes it.",
    needs=(Facility.CLUSTER, Facility.SILENCES, Facility.BACKUPS),
)


@dataclass(frozen=True)
class KeepCommand:
    verb: str = "keep"
    usage: str = "keep <run>"
    summary: str = "keep a run's change: cancel its timed undo"
    manual: Manual = _MANUAL
    args: type[KeepArgs] = KeepArgs
    read_only: bool = False

    def run(self, request: Request, args: KeepArgs, context: CommandContext) -> Reply:
        return context.runs.cancel_timed_undo(args.run)


command = KeepCommand()
