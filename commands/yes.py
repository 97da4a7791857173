"""yes: somebody approves a plan, or the asker confirms it; the last yes that is needed lets it run.

A plan that is grave wants its target named as well: `yes 1a2b3c4d prod/api`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from bot.chatops.arguments import FreeText, Handle
from bot.core.command import CommandContext
from bot.core.request import Reply, Request


@dataclass(frozen=True, kw_only=True)
class YesArgs:
    handle: Annotated[str, Handle()]
    name: Annotated[str | None, FreeText(placeholder="name")] = None


@dataclass(frozen=True)
class YesCommand:
    verb: str = "yes"
    usage: str = "yes <handle> [<name>]"
    summary: str = "approve a plan that somebody asked for, or confirm your own"
    args: type[YesArgs] = YesArgs
    read_only: bool = False

    def run(self, request: Request, args: YesArgs, context: CommandContext) -> Reply:
        return context.plans.approve(args.handle, args.name or "")


command = YesCommand()
