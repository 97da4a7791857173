"""unlink: end the link of the asker's account in a channel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from bot.chatops.arguments import Name
from bot.core.command import CommandContext
from bot.core.manual import Facility, Manual, Topic
from bot.core.request import Reply, Request


@dataclass(frozen=True, kw_only=True)
class UnlinkArgs:
    channel: Annotated[str, Name()]


_MANUAL = Manual(
    topic=Topic.PEOPLE, examples=("unlink telegram",), way_back="`link` it again.", needs=(Facility.ACCOUNTS,)
)


@dataclass(frozen=True)
class UnlinkCommand:
    verb: str = "unlink"
    usage: str = "unlink <channel>"
    summary: str = "end the link of your account in a channel"
    manual: Manual = _MANUAL
    args: type[UnlinkArgs] = UnlinkArgs
    read_only: bool = False

    def run(self, request: Request, args: UnlinkArgs, context: CommandContext) -> Reply:
        return context.accounts.unlink(args.channel)


command = UnlinkCommand()
