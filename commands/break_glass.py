"""break-glass: take what the sleeping roles allow, for half an hour; it pages, and somebody else has to review it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from bot.chatops.arguments import FreeText, Keyword
from bot.core.command import CommandContext
from bot.core.request import Reply, Request


@dataclass(frozen=True, kw_only=True)
class BreakGlassArgs:
    because: Annotated[str, FreeText(max_length=500, question="Why? Whoever reviews it reads it."), Keyword("because")]


@dataclass(frozen=True)
class BreakGlassCommand:
    verb: str = "break-glass"
    usage: str = "break-glass because <text>"
    summary: str = "take the rights for an emergency for 30 minutes; it pages, and it is reviewed"
    args: type[BreakGlassArgs] = BreakGlassArgs
    read_only: bool = False

    def run(self, request: Request, args: BreakGlassArgs, context: CommandContext) -> Reply:
        return context.break_glass.activate(args.because)


command = BreakGlassCommand()
