"""settle: a person records the result of a run whose result is unknown. Until then its target is locked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from bot.chatops.arguments import FreeText, Handle, Keyword, OneOf
from bot.core.command import CommandContext
from bot.core.manual import Facility, Manual, Topic
from bot.core.request import Reply, Request


@dataclass(frozen=True, kw_only=True)
class SettleArgs:
    run: Annotated[str, Handle()]
    result: Annotated[str, OneOf("done", "failed")]
    because: Annotated[str, FreeText(max_length=500, question="How do you know?"), Keyword("because")]


_MANUAL = Manual(
    topic=Topic.APPROVALS,
    examples=("settle {run} done because the pods are there", "settle {run} failed because nothing changed"),
    details="Look first: the target takes no action until then.",
    way_back="There is none.",
    needs=(Facility.CLUSTER, Facility.SILENCES, Facility.BACKUPS),
)


@dataclass(frozen=True)
class SettleCommand:
    verb: str = "settle"
    usage: str = "settle <run> <done|failed> because <text>"
    summary: str = "record the result of a run that ended unknown"
    manual: Manual = _MANUAL
    args: type[SettleArgs] = SettleArgs
    read_only: bool = False

    def run(self, request: Request, args: SettleArgs, context: CommandContext) -> Reply:
        return context.runs.record_result(args.run, args.result, args.because)


command = SettleCommand()
