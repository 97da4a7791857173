"""break-glass: activate the break-glass roles of the asker for 30 minutes. It pages, and another person reviews it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from bot.chatops.arguments import FreeText, Keyword
from bot.core.command import CommandContext
from bot.core.manual import Facility, Manual, Topic
from bot.core.request import Reply, Request


@dataclass(frozen=True, kw_only=True)
class BreakGlassArgs:
    because: Annotated[str, FreeText(max_length=500, question="Why? The reviewer will read it."), Keyword("because")]


_MANUAL = Manual(
    topic=Topic.PEOPLE,
    examples=("break-glass because the database is down and nobody with the right answers",),
    details="It pages, and another person reviews it.",
    way_back="Another person ends it early: `review-glass` with your name.",
    needs=(Facility.BREAK_GLASS,),
)


@dataclass(frozen=True)
class BreakGlassCommand:
    verb: str = "break-glass"
    usage: str = "break-glass because <text>"
    summary: str = "take your emergency rights for 30 minutes"
    manual: Manual = _MANUAL
    args: type[BreakGlassArgs] = BreakGlassArgs
    read_only: bool = False

    def run(self, request: Request, args: BreakGlassArgs, context: CommandContext) -> Reply:
        return context.break_glass.activate(args.because)


command = BreakGlassCommand()
