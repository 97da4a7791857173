"""cutback: what was live before a cutover is live again. `undo` of a cutover plans it."""

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
class CutbackArgs:
    run: Annotated[str, Handle()]


_MANUAL = Manual(
    topic=Topic.BACKUPS,
    examples=("cutback {run}",),
    details="The run is that of the `restore`, as for `cutover`. What stopped half-way goes back.",
    way_back="`undo <run>` plans the cutover again.",
    approval="Always another person, who types the store's name.",
    needs=(Facility.BACKUPS,),
)


@dataclass(frozen=True)
class CutbackAction:
    verb: str = "cutback"
    usage: str = "cutback <run>"
    summary: str = "bring back what was live before a cutover"
    manual: Manual = _MANUAL
    args: type[CutbackArgs] = CutbackArgs
    risk: Risk = Risk.IRREVERSIBLE
    read_only: bool = False
    long_running: bool = True
    limits: Mapping[str, str] = field(
        default_factory=lambda: MappingProxyType(
            {
                "writes": "not once both have been written since the cutover",
                "copy": "the copy is kept, never deleted by it",
            }
        )
    )

    def target(self, args: CutbackArgs) -> str:
        return ""

    def plan(self, args: CutbackArgs, tools: Tools) -> Plan:
        return cutover.plan_back(args.run, tools)

    def run(self, args: CutbackArgs, plan: Plan, run: str, by: Principal, tools: Tools) -> Outcome:
        return cutover.run_back(args.run, plan, tools)

    def probe(self, args: CutbackArgs, plan: Plan, run: str, tools: Tools) -> Outcome:
        return cutover.probe_back(args.run, tools)


action = CutbackAction()
