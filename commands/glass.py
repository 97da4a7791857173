"""glass: list the last uses of break-glass: by whom, why, until when, and the finding of each review."""

from __future__ import annotations

from dataclasses import dataclass

from bot.chatops.arguments import NoArguments
from bot.core.command import CommandContext
from bot.core.manual import Facility, Manual, Topic
from bot.core.request import Reply, Request

_MANUAL = Manual(topic=Topic.PEOPLE, examples=("glass",), needs=(Facility.BREAK_GLASS,))


@dataclass(frozen=True)
class GlassCommand:
    verb: str = "glass"
    usage: str = "glass"
    summary: str = "list the last uses of break-glass and their reviews"
    manual: Manual = _MANUAL
    args: type[NoArguments] = NoArguments
    read_only: bool = True

    def run(self, request: Request, args: NoArguments, context: CommandContext) -> Reply:
        return Reply(text="\n".join(context.break_glass.list_recent()) or "Break-glass has not been used.")


command = GlassCommand()
