"""restart: replace every pod of a service by a new one of the same version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated

from bot.chatops.arguments import Name
from bot.core.action import Tools
from bot.core.manual import Facility, Manual, Topic
from bot.core.plan import Outcome, Plan, Risk
from bot.core.request import Principal
from bot.workloads import restart
from bot.workloads.objects import target as place


@dataclass(frozen=True, kw_only=True)
class RestartArgs:
    service: Annotated[str, Name()]


_MANUAL = Manual(
    topic=Topic.WORKLOADS,
    examples=("restart {service}",),
    way_back="There is none: what the pods hold in memory is lost.",
    needs=(Facility.WORKLOAD,),
)


@dataclass(frozen=True)
class RestartAction:
    verb: str = "restart"
    usage: str = "restart <service>"
    summary: str = "replace every pod by a new one of the same version"
    manual: Manual = _MANUAL
    args: type[RestartArgs] = RestartArgs
    risk: Risk = Risk.REVERSIBLE
    read_only: bool = False
    long_running: bool = True
    limits: Mapping[str, str] = field(
        default_factory=lambda: MappingProxyType(
            {"workloads": "not while paused, and not with the update strategy OnDelete"}
        )
    )

    def target(self, args: RestartArgs) -> str:
        return args.service

    def plan(self, args: RestartArgs, tools: Tools) -> Plan:
        target = place.target_of(tools, args.service)
        return restart.plan(target, place.workload_of(target))

    def run(self, args: RestartArgs, plan: Plan, run: str, by: Principal, tools: Tools) -> Outcome:
        target = place.target_of(tools, args.service)
        return restart.run(target, place.workload_of(target), plan, run, tools)

    def probe(self, args: RestartArgs, plan: Plan, run: str, tools: Tools) -> Outcome:
        target = place.target_of(tools, args.service)
        return restart.probe(target, place.workload_of(target), plan, run, tools)


action = RestartAction()
