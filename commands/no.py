"""no: a plan is dropped; nothing of it is done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from bot.kinds import Handle
from bot.model import Ask, Reply
from bot.ports import Desk


@dataclass(frozen=True, kw_only=True)
class NoArgs:
    handle: Annotated[str, Handle()]


@dataclass(frozen=True)
class No:
    verb: str = "no"
    usage: str = "no <handle>"
    says: str = "drop a plan; nothing of it is done"
    args: type[NoArgs] = NoArgs
    reads: bool = False

    def run(self, ask: Ask, args: NoArgs, desk: Desk) -> Reply:
        return desk.plans.reject(args.handle)


command = No()
