"""runs: list the last runs: the state of each, the reason, and what a person has to do about it."""

from __future__ import annotations

from dataclasses import dataclass

from bot.chatops.arguments import NoArguments
from bot.core import run_state
from bot.core.command import CommandContext
from bot.core.manual import Facility, Manual, Topic
from bot.core.request import Reply, Request

_MANUAL = Manual(
    topic=Topic.APPROVALS, examples=("runs",), needs=(Facility.CLUSTER, Facility.SILENCES, Facility.BACKUPS)
)


@dataclass(frozen=True)
class RunsCommand:
    verb: str = "runs"
    usage: str = "runs"
    summary: str = "list the last runs and their states"
    manual: Manual = _MANUAL
    args: type[NoArguments] = NoArguments
    read_only: bool = True

    def run(self, request: Request, args: NoArguments, context: CommandContext) -> Reply:
        found = context.runs.list_recent()
        if not found:
            return Reply(text="Nothing has run yet.")
        head = run_state.count_needing_attention(found)
        return Reply(text="\n".join([*([head] if head else []), *map(run_state.describe_run, found)]))


command = RunsCommand()
