"""break-glass: take what the sleeping roles allow, for half an hour; it pages, and somebody else has to review it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from bot.kinds import After, Text
from bot.model import Ask, Reply
from bot.ports import Desk


@dataclass(frozen=True, kw_only=True)
class BreakGlassArgs:
    because: Annotated[str, Text(most=500, asked="Why? Whoever reviews it reads it."), After("because")]


@dataclass(frozen=True)
class BreakGlass:
    verb: str = "break-glass"
    usage: str = "break-glass because <text>"
    says: str = "take the rights for an emergency for 30 minutes; it pages, and it is reviewed"
    args: type[BreakGlassArgs] = BreakGlassArgs
    reads: bool = False

    def run(self, ask: Ask, args: BreakGlassArgs, desk: Desk) -> Reply:
        return desk.break_glass.activate(args.because)


command = BreakGlass()
