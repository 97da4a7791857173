"""scale: set the replicas of a service, or the minimum and maximum of its autoscaler."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from types import MappingProxyType
from typing import Annotated

from bot.chatops.arguments import Duration, Integer, Keyword, Name
from bot.core.action import Tools
from bot.core.manual import Facility, Manual, Topic
from bot.core.plan import Outcome, Plan, Risk
from bot.core.request import Principal
from bot.workloads.scale import scale
from bot.workloads.scale.change import ScaleRequest

_MOST = 10_000


@dataclass(frozen=True, kw_only=True)
class ScaleArgs:
    service: Annotated[str, Name()]
    replicas: Annotated[int, Integer(0, _MOST, "a replica count")]
    ceiling: Annotated[int | None, Integer(1, _MOST, "a replica count"), Keyword("max")] = None
    held: Annotated[
        timedelta | None, Duration(minimum=timedelta(minutes=1), maximum=timedelta(days=7)), Keyword("for")
    ] = None

    @property
    def wish(self) -> ScaleRequest:
        return ScaleRequest(service=self.service, count=self.replicas, ceiling=self.ceiling)


_MANUAL = Manual(
    topic=Topic.WORKLOADS,
    examples=("scale {service} 6", "scale {service} 6 for 2h", "scale {service} 4 max 12"),
    details="With an autoscaler, its limits. With `for` it is undone by itself.",
    way_back="`undo` and the run sets the earlier count again.",
    approval="0 in production needs another person, who types the name.",
    needs=(Facility.WORKLOAD,),
)


@dataclass(frozen=True)
class ScaleAction:
    verb: str = "scale"
    usage: str = f"scale <service> <replicas 0-{_MOST}> [max <ceiling 1-{_MOST}>] [for <duration>]"
    summary: str = "set the replicas of a service"
    manual: Manual = _MANUAL
    args: type[ScaleArgs] = ScaleArgs
    risk: Risk = Risk.REVERSIBLE
    read_only: bool = False
    long_running: bool = True
    limits: Mapping[str, str] = field(
        default_factory=lambda: MappingProxyType(
            {
                "replicas": "within the service's minimum and maximum, and no more than its largest step at once",
                "volumes and votes": "none is lost by scaling down",
                "quotas": "a change that does not fit is refused",
            }
        )
    )

    def target(self, args: ScaleArgs) -> str:
        return args.service

    def plan(self, args: ScaleArgs, tools: Tools) -> Plan:
        return scale.plan(args.wish, args.held or timedelta(0), tools)

    def run(self, args: ScaleArgs, plan: Plan, run: str, by: Principal, tools: Tools) -> Outcome:
        return scale.run(args.wish, plan, run, tools)

    def probe(self, args: ScaleArgs, plan: Plan, run: str, tools: Tools) -> Outcome:
        return scale.probe(args.wish, plan, run, tools)


action = ScaleAction()
