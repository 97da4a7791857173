"""no: drop a plan. It can no longer run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from bot.chatops.arguments import Handle
from bot.core.command import CommandContext
from bot.core.manual import Facility, Manual, Topic
from bot.core.request import Reply, Request


@dataclass(frozen=True, kw_only=True)
class NoArgs:
    handle: Annotated[str, Handle(placeholder="plan")]


_MANUAL = Manual(
    topic=Topic.APPROVALS,
    examples=("no {plan}",),
    way_back="Send the command again for a new plan.",
    needs=(Facility.CLUSTER, Facility.SILENCES, Facility.BACKUPS),
)


@dataclass(frozen=True)
class NoCommand:
    verb: str = "no"
    usage: str = "no <plan>"
    summary: str = "drop a plan; nothing is done"
    manual: Manual = _MANUAL
    args: type[NoArgs] = NoArgs
    read_only: bool = False

    def run(self, request: Request, args: NoArgs, context: CommandContext) -> Reply:
        return context.plans.reject(args.handle)


command = NoCommand()
