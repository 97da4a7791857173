"""drill: restore the newest usable backup of a store into scratch, check it, and remove it again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated

from bot.backups import drill, drill_plan
from bot.backups.reports import backups_of
from bot.chatops.arguments import Name, OneOf
from bot.core.action import Tools
from bot.core.manual import Facility, Manual, Topic
from bot.core.plan import Outcome, Plan, Result, Risk
from bot.core.request import Principal

STOP = "stop"


@dataclass(frozen=True, kw_only=True)
class DrillArgs:
    store: Annotated[str, Name()]
    what: Annotated[str | None, OneOf(STOP)] = None


_MANUAL = Manual(
    topic=Topic.BACKUPS,
    examples=("drill {store}", "drill {store} stop"),
    details="Never over live data. It gives way to a restore that a person asks for.",
    way_back="Nothing to undo: its copy is removed by itself, and at once with `drill <store> stop`.",
    needs=(Facility.BACKUPS,),
)


@dataclass(frozen=True)
class DrillAction:
    verb: str = "drill"
    usage: str = "drill <store> [stop]"
    summary: str = "prove that the newest backup restores"
    manual: Manual = _MANUAL
    args: type[DrillArgs] = DrillArgs
    risk: Risk = Risk.REVERSIBLE
    read_only: bool = False
    long_running: bool = True
    limits: Mapping[str, str] = field(
        default_factory=lambda: MappingProxyType(
            {
                "time": "`drill.at_most` of the store, and then it has failed",
                "at once": "one on each instance of an engine",
                "data": "used only after the isolation of the copy was tried and held",
            }
        )
    )

    def target(self, args: DrillArgs) -> str:
        return args.store

    def plan(self, args: DrillArgs, tools: Tools) -> Plan:
        if args.what != STOP:
            return drill_plan.plan(args.store, tools)
        drill_plan.drilled(args.store, backups_of(tools))
        return Plan(
            target=args.store,
            effect=(f"the drill of {args.store} that goes on is stopped, and its copy is removed",),
            blast_radius="the scratch copy of one drill",
            lock=f"end of the {drill_plan.lock_of(args.store)}",
        )

    def run(self, args: DrillArgs, plan: Plan, run: str, by: Principal, tools: Tools) -> Outcome:
        if args.what == STOP:
            return drill.stop(args.store, by.display_name, tools)
        return drill.run(args.store, plan, run, tools)

    def probe(self, args: DrillArgs, plan: Plan, run: str, tools: Tools) -> Outcome:
        if args.what == STOP:
            message = f"It is not known whether the drill of {args.store} was asked to stop. Ask again."
            return Outcome(result=Result.FAILED, message=message)
        return drill.probe(args.store, run, tools)


action = DrillAction()
