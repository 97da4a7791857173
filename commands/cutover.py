"""cutover: a restored and checked copy takes the place of the live one, after a safety backup."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated

from bot.backups import cutover
from bot.chatops.arguments import Handle
from bot.core.action import Tools
from bot.core.manual import Facility, Manual, Topic
from bot.core.plan import Outcome, Plan, Risk
from bot.core.request import Principal


@dataclass(frozen=True, kw_only=True)
class CutoverArgs:
    run: Annotated[str, Handle()]


_MANUAL = Manual(
    topic=Topic.BACKUPS,
    examples=("cutover {run}",),
    details="The run is that of the `restore`. What stopped half-way goes on.",
    way_back="`undo <run>` brings the old one back, until both have been written.",
    approval="Always another person, who types the name of the live one.",
    needs=(Facility.BACKUPS,),
)


@dataclass(frozen=True)
class CutoverAction:
    verb: str = "cutover"
    usage: str = "cutover <run>"
    summary: str = "put a restored copy in the place of the live one"
    manual: Manual = _MANUAL
    args: type[CutoverArgs] = CutoverArgs
    risk: Risk = Risk.IRREVERSIBLE
    read_only: bool = False
    long_running: bool = True
    limits: Mapping[str, str] = field(
        default_factory=lambda: MappingProxyType(
            {
                "copy": "one that was restored for people, and checked",
                "safety": "never without a backup of the live one, or what its engine has instead",
                "old": "the old one is kept, never deleted by it",
            }
        )
    )

    def target(self, args: CutoverArgs) -> str:
        return ""

    def plan(self, args: CutoverArgs, tools: Tools) -> Plan:
        return cutover.plan(args.run, tools)

    def run(self, args: CutoverArgs, plan: Plan, run: str, by: Principal, tools: Tools) -> Outcome:
        return cutover.run(args.run, plan, run, tools)

    def probe(self, args: CutoverArgs, plan: Plan, run: str, tools: Tools) -> Outcome:
        return cutover.probe(args.run, tools)


action = CutoverAction()
