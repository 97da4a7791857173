"""link: link another account to the asker, by a code that one private chat shows and the other sends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from bot.chatops.arguments import FreeText
from bot.chatops.tokens import ArgumentSlot, Tokens
from bot.core.command import CommandContext
from bot.core.manual import Facility, Manual, Topic
from bot.core.request import Reply, Request

_LONGEST = 200


@dataclass(frozen=True)
class LinkCodeArgument(FreeText):
    """Any text that was sent as a code. It is never refused here: each wrong code has to be counted."""

    def usage(self, field: str) -> str:
        return field

    def parse(self, tokens: Tokens, slot: ArgumentSlot) -> str:
        return tokens.remainder()[:_LONGEST]


@dataclass(frozen=True, kw_only=True)
class LinkArgs:
    code: Annotated[str | None, LinkCodeArgument()] = None


_MANUAL = Manual(
    topic=Topic.PEOPLE,
    examples=("link",),
    details="Get a code here and send it from your other account, both in private.",
    way_back="`unlink` and the channel.",
    needs=(Facility.ACCOUNTS,),
)


@dataclass(frozen=True)
class LinkCommand:
    verb: str = "link"
    usage: str = "link [<code>]"
    summary: str = "link another of your accounts"
    manual: Manual = _MANUAL
    args: type[LinkArgs] = LinkArgs
    read_only: bool = False

    def run(self, request: Request, args: LinkArgs, context: CommandContext) -> Reply:
        return context.accounts.redeem_link_code(args.code) if args.code else context.accounts.issue_link_code()


command = LinkCommand()
