"""yes: somebody approves a plan, or the asker confirms it; the last yes that is needed lets it run.

A plan that is grave wants its target named as well: `yes 1a2b3c4d prod/api`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from bot.kinds import Handle, Text
from bot.model import Ask, Reply
from bot.ports import Desk


@dataclass(frozen=True, kw_only=True)
class YesArgs:
    handle: Annotated[str, Handle()]
    name: Annotated[str | None, Text(shown="name")] = None


@dataclass(frozen=True)
class Yes:
    verb: str = "yes"
    usage: str = "yes <handle> [<name>]"
    says: str = "approve a plan that somebody asked for, or confirm your own"
    args: type[YesArgs] = YesArgs
    reads: bool = False

    def run(self, ask: Ask, args: YesArgs, desk: Desk) -> Reply:
        return desk.plans.approve(args.handle, args.name or "")


command = Yes()
