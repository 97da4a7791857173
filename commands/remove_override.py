"""remove-override: what `override` has changed counts no longer. What was before stays as it was."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from bot.chatops.arguments import Handle
from bot.core.command import CommandContext
from bot.core.manual import Facility, Manual, Topic
from bot.core.request import Reply, Request


@dataclass(frozen=True, kw_only=True)
class RemoveOverrideArgs:
    override: Annotated[str, Handle()]


_MANUAL = Manual(
    topic=Topic.PEOPLE,
    examples=("remove-override 3f9a2b1c",),
    details="One that has begun ends now; one that is over stays as it was.",
    way_back="`override` again.",
    needs=(Facility.ROTA,),
)


@dataclass(frozen=True)
class RemoveOverrideCommand:
    verb: str = "remove-override"
    usage: str = "remove-override <override>"
    summary: str = "end an override of a rota"
    manual: Manual = _MANUAL
    args: type[RemoveOverrideArgs] = RemoveOverrideArgs
    read_only: bool = False

    def run(self, request: Request, args: RemoveOverrideArgs, context: CommandContext) -> Reply:
        ended = context.on_call.remove_override(args.override)
        who = context.get_name(ended.override.people[0])
        return Reply(text=f"{who} is not on call for rota {ended.rota} by override {ended.id} any more.", shared=True)


command = RemoveOverrideCommand()
