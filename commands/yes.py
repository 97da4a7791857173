"""yes: approve a plan, or confirm one's own. The last approval that is needed starts the run.

The approval of a dangerous plan has to name its target: `yes 1a2b3c4d prod/api`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from bot.chatops.arguments import FreeText, Handle
from bot.core.command import CommandContext
from bot.core.manual import Facility, Manual, Topic
from bot.core.request import Reply, Request


@dataclass(frozen=True, kw_only=True)
class YesArgs:
    handle: Annotated[str, Handle(placeholder="plan")]
    name: Annotated[str | None, FreeText(placeholder="name")] = None


_MANUAL = Manual(
    topic=Topic.APPROVALS,
    examples=("yes {plan}", "yes {plan} {service}"),
    details="A dangerous plan wants the name of its target behind it.",
    way_back="`undo` and the run, once it has run.",
    needs=(Facility.CLUSTER, Facility.SILENCES, Facility.BACKUPS),
)


@dataclass(frozen=True)
class YesCommand:
    verb: str = "yes"
    usage: str = "yes <plan> [<name>]"
    summary: str = "approve another person's plan, or confirm your own"
    manual: Manual = _MANUAL
    args: type[YesArgs] = YesArgs
    read_only: bool = False

    def run(self, request: Request, args: YesArgs, context: CommandContext) -> Reply:
        return context.plans.approve(args.handle, args.name or "")


command = YesCommand()
