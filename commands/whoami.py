"""whoami: show the asker, their accounts, and their roles with the reason for each."""

from __future__ import annotations

from dataclasses import dataclass

from bot.chatops.arguments import NoArguments
from bot.core.command import CommandContext
from bot.core.manual import Manual, Topic
from bot.core.request import Reply, Request

_MANUAL = Manual(topic=Topic.PEOPLE, examples=("whoami",))


@dataclass(frozen=True)
class WhoamiCommand:
    verb: str = "whoami"
    usage: str = "whoami"
    summary: str = "show your accounts and roles, and why"
    manual: Manual = _MANUAL
    args: type[NoArguments] = NoArguments
    read_only: bool = True

    def run(self, request: Request, args: NoArguments, context: CommandContext) -> Reply:
        return Reply(text="\n".join(context.accounts.describe_identity()))


command = WhoamiCommand()
