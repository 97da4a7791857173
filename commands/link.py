"""link: a further account becomes the asker's, with a code that one private place shows and the other one sends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from bot.kinds import Text
from bot.model import Ask, Reply
from bot.ports import Desk
from bot.sentence import Line, Slot

_LONGEST = 200


@dataclass(frozen=True)
class Code(Text):
    """Whatever was sent as a code. It is never refused here: a wrong one has to be counted, however it looks."""

    def shape(self, field: str) -> str:
        return field

    def take(self, line: Line, slot: Slot) -> str:
        return line.all()[:_LONGEST]


@dataclass(frozen=True, kw_only=True)
class Args:
    code: Annotated[str | None, Code()] = None


@dataclass(frozen=True)
class Link:
    verb: str = "link"
    usage: str = "link [<code>]"
    says: str = "link another account of yours: get a code here, send it there, both in private"
    args: type[Args] = Args
    reads: bool = False

    def run(self, ask: Ask, args: Args, desk: Desk) -> Reply:
        return desk.accounts.redeem_link_code(args.code) if args.code else desk.accounts.issue_link_code()


command = Link()
