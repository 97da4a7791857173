"""review-glass: somebody looked at what was done behind a broken glass; one that still counts ends with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from bot.kinds import After, Person, Text
from bot.model import Ask, Reply
from bot.ports import Desk


@dataclass(frozen=True, kw_only=True)
class ReviewGlassArgs:
    person: Annotated[str, Person()]
    because: Annotated[str, Text(most=500, asked="What did you find?"), After("because")]


@dataclass(frozen=True)
class ReviewGlass:
    verb: str = "review-glass"
    usage: str = "review-glass <person> because <text>"
    says: str = "say what you found of somebody's broken glass; ends it, if it still counts"
    args: type[ReviewGlassArgs] = ReviewGlassArgs
    reads: bool = False

    def run(self, ask: Ask, args: ReviewGlassArgs, desk: Desk) -> Reply:
        return desk.break_glass.review(args.person, args.because)


command = ReviewGlass()
