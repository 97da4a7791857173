"""unlink: an account that was linked is nobody's again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from bot.kinds import Name
from bot.model import Ask, Reply
from bot.ports import Desk


@dataclass(frozen=True, kw_only=True)
class Args:
    place: Annotated[str, Name()]


@dataclass(frozen=True)
class Unlink:
    verb: str = "unlink"
    usage: str = "unlink <place>"
    says: str = "give up the account that you linked in a place, such as telegram"
    args: type[Args] = Args
    reads: bool = False

    def run(self, ask: Ask, args: Args, desk: Desk) -> Reply:
        return desk.accounts.unlink(args.place)


command = Unlink()
