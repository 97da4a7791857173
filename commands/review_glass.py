"""review-glass: record the review of a person's last use of break-glass. A use that is still active ends with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from bot.chatops.arguments import FreeText, Keyword, Person
from bot.core.command import CommandContext
from bot.core.manual import Facility, Manual, Topic
from bot.core.request import Reply, Request


@dataclass(frozen=True, kw_only=True)
class ReviewGlassArgs:
    person: Annotated[str, Person()]
    because: Annotated[str, FreeText(max_length=500, question="What did you find?"), Keyword("because")]


_MANUAL = Manual(
    topic=Topic.PEOPLE,
    examples=("review-glass {person} because the restart was right",),
    details="It ends the use if it is still active.",
    way_back="A review stays.",
    needs=(Facility.BREAK_GLASS,),
)


@dataclass(frozen=True)
class ReviewGlassCommand:
    verb: str = "review-glass"
    usage: str = "review-glass <person> because <text>"
    summary: str = "review a person's use of break-glass"
    manual: Manual = _MANUAL
    args: type[ReviewGlassArgs] = ReviewGlassArgs
    read_only: bool = False

    def run(self, request: Request, args: ReviewGlassArgs, context: CommandContext) -> Reply:
        return context.break_glass.review(args.person, args.because)


command = ReviewGlassCommand()
