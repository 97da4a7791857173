"""approvals: list the plans that wait for approval."""

from __future__ import annotations

from dataclasses import dataclass

from bot.chatops.arguments import NoArguments
from bot.core.command import CommandContext
from bot.core.manual import Facility, Manual, Topic
from bot.core.request import Reply, Request

_MANUAL = Manual(
    topic=Topic.APPROVALS, examples=("approvals",), needs=(Facility.CLUSTER, Facility.SILENCES, Facility.BACKUPS)
)


@dataclass(frozen=True)
class ApprovalsCommand:
    verb: str = "approvals"
    usage: str = "approvals"
    summary: str = "list the plans that wait for approval"
    manual: Manual = _MANUAL
    args: type[NoArguments] = NoArguments
    read_only: bool = True

    def run(self, request: Request, args: NoArguments, context: CommandContext) -> Reply:
        found = context.plans.list_waiting()
        if not found:
            return Reply(text="No plan is waiting for approval.")
        return Reply(
            text="\n".join(
                f"{one.short_handle} until {one.expires_at:%H:%M} UTC, {one.requester}: {one.command}" for one in found
            )
        )


command = ApprovalsCommand()
