"""status: show the state of a service's workload now: its pods, and the progress of a rollout.

It changes nothing. While the state is changing, the answer is updated in place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated

from bot.chatops.arguments import Name
from bot.core.action import Tools
from bot.core.manual import Facility, Manual, Topic
from bot.core.plan import Outcome, Plan, Result, Risk
from bot.core.request import Principal
from bot.workloads import describe
from bot.workloads.objects import target as place


@dataclass(frozen=True, kw_only=True)
class StatusArgs:
    service: Annotated[str, Name()]


_MANUAL = Manual(topic=Topic.WORKLOADS, examples=("status {service}",), needs=(Facility.WORKLOAD,))


@dataclass(frozen=True)
class StatusAction:
    verb: str = "status"
    usage: str = "status <service>"
    summary: str = "show the pods and the rollout of a service"
    manual: Manual = _MANUAL
    args: type[StatusArgs] = StatusArgs
    risk: Risk = Risk.NONE
    read_only: bool = True
    long_running: bool = False
    limits: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({"changed": "nothing"}))

    def target(self, args: StatusArgs) -> str:
        return args.service

    def plan(self, args: StatusArgs, tools: Tools) -> Plan:
        target = place.target_of(tools, args.service)
        place.workload_of(target)
        return Plan(target=args.service, effect=(f"Read {target.workload}.",), blast_radius="nothing is changed")

    def run(self, args: StatusArgs, plan: Plan, run: str, by: Principal, tools: Tools) -> Outcome:
        target = place.target_of(tools, args.service)
        found = describe.describe(target, place.workload_of(target), tools.now())
        return Outcome(
            result=Result.DONE, message="\n".join(found.lines), buttons=found.buttons, live=found.is_changing
        )

    def probe(self, args: StatusArgs, plan: Plan, run: str, tools: Tools) -> Outcome:
        return Outcome(result=Result.FAILED, message="`status` only reads, so nothing was changed. Try again.")


action = StatusAction()
