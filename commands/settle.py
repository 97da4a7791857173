"""settle: a person says how a run ended of which nobody knows; only then its target is free again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from bot.kinds import After, Handle, OneOf, Text
from bot.model import Ask, Reply
from bot.ports import Desk


@dataclass(frozen=True, kw_only=True)
class SettleArgs:
    run: Annotated[str, Handle()]
    ended: Annotated[str, OneOf("done", "failed")]
    because: Annotated[str, Text(most=500), After("because")]


@dataclass(frozen=True)
class Settle:
    verb: str = "settle"
    usage: str = "settle <run> <done|failed> because <text>"
    says: str = "say how a run ended that ended as unknown, after looking"
    args: type[SettleArgs] = SettleArgs
    reads: bool = False

    def run(self, ask: Ask, args: SettleArgs, desk: Desk) -> Reply:
        return desk.runs.record_result(args.run, args.ended, args.because)


command = Settle()
