"""remove-copy: a restored copy is removed, or, after a cutover, what was live before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated

from bot.backups import remove_copy
from bot.chatops.arguments import Handle
from bot.core.action import Tools
from bot.core.manual import Facility, Manual, Topic
from bot.core.plan import Outcome, Plan, Risk
from bot.core.request import Principal


@dataclass(frozen=True, kw_only=True)
class RemoveCopyArgs:
    run: Annotated[str, Handle()]


_MANUAL = Manual(
    topic=Topic.BACKUPS,
    examples=("remove-copy {run}",),
    details="The run is that of the `restore`. After its cutover, the old one is removed.",
    way_back="There is none: what is removed is gone.",
    approval="Always another person, who types the store's name.",
    needs=(Facility.BACKUPS,),
)


@dataclass(frozen=True)
class RemoveCopyAction:
    verb: str = "remove-copy"
    usage: str = "remove-copy <run>"
    summary: str = "remove a restored copy, or the old one"
    manual: Manual = _MANUAL
    args: type[RemoveCopyArgs] = RemoveCopyArgs
    risk: Risk = Risk.IRREVERSIBLE
    read_only: bool = False
    long_running: bool = True
    limits: Mapping[str, str] = field(
        default_factory=lambda: MappingProxyType(
            {
                "live": "never what is live",
                "copies": "only those with the label of that run",
            }
        )
    )

    def target(self, args: RemoveCopyArgs) -> str:
        return ""

    def plan(self, args: RemoveCopyArgs, tools: Tools) -> Plan:
        return remove_copy.plan(args.run, tools)

    def run(self, args: RemoveCopyArgs, plan: Plan, run: str, by: Principal, tools: Tools) -> Outcome:
        return remove_copy.run(args.run, plan, tools)

    def probe(self, args: RemoveCopyArgs, plan: Plan, run: str, tools: Tools) -> Outcome:
        return remove_copy.probe(args.run, tools)


action = RemoveCopyAction()
