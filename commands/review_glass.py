"""review-glass: somebody looked at what was done behind a broken glass; one that still counts ends with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from bot.chatops.arguments import FreeText, Keyword, Person
from bot.core.command import CommandContext
from bot.core.request import Reply, Request


@dataclass(frozen=True, kw_only=True)
class ReviewGlassArgs:
    person: Annotated[str, Person()]
    because: Annotated[str, FreeText(max_length=500, question="What did you find?"), Keyword("because")]


@dataclass(frozen=True)
class ReviewGlassCommand:
    verb: str = "review-glass"
    usage: str = "review-glass <person> because <text>"
    summary: str = "say what you found of somebody's broken glass; ends it, if it still counts"
    args: type[ReviewGlassArgs] = ReviewGlassArgs
    read_only: bool = False

    def run(self, request: Request, args: ReviewGlassArgs, context: CommandContext) -> Reply:
        return context.break_glass.review(args.person, args.because)


command = ReviewGlassCommand()
