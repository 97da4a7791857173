"""keep: a run that would be undone by itself stays as it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from bot.kinds import Handle
from bot.model import Ask, Reply
from bot.ports import Desk


@dataclass(frozen=True, kw_only=True)
class KeepArgs:
    run: Annotated[str, Handle()]


@dataclass(frozen=True)
class Keep:
    verb: str = "keep"
    usage: str = "keep <run>"
    says: str = "let a run stay that would be undone by itself"
    args: type[KeepArgs] = KeepArgs
    reads: bool = False

    def run(self, ask: Ask, args: KeepArgs, desk: Desk) -> Reply:
        return desk.runs.cancel_timed_undo(args.run)


command = Keep()
