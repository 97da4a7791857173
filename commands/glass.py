"""glass: who broke it last, why, until when, and what a review found."""

from __future__ import annotations

from dataclasses import dataclass

from bot.chatops.arguments import NoArguments
from bot.core.command import CommandContext
from bot.core.request import Reply, Request


@dataclass(frozen=True)
class GlassCommand:
    verb: str = "glass"
    usage: str = "glass"
    summary: str = "list the last times that the glass was broken, and their reviews"
    args: type[NoArguments] = NoArguments
    read_only: bool = True

    def run(self, request: Request, args: NoArguments, context: CommandContext) -> Reply:
        return Reply(text="\n".join(context.break_glass.list_recent()) or "Nobody has broken the glass.")


command = GlassCommand()
