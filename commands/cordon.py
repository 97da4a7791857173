"""cordon: a node takes no new pods. `uncordon` is the same action in the other direction."""

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
from bot.workloads import cordon


@dataclass(frozen=True, kw_only=True)
class CordonArgs:
    node: Annotated[str, Name()]  #: with its cluster: "main/ip-10-0-0-1"


_MANUAL = Manual(
    topic=Topic.WORKLOADS,
    examples=("cordon main/ip-10-0-0-1",),
    details="Its running pods stay. A node is named with its cluster.",
    way_back="`uncordon` the same node.",
    needs=(Facility.CLUSTER,),
)


@dataclass(frozen=True)
class CordonAction:
    verb: str = "cordon"
    usage: str = "cordon <node>"
    summary: str = "let a node take no new pods"
    manual: Manual = _MANUAL
    args: type[CordonArgs] = CordonArgs
    risk: Risk = Risk.REVERSIBLE
    read_only: bool = False
    long_running: bool = False
    limits: Mapping[str, str] = field(
        default_factory=lambda: MappingProxyType({"nodes": "never the last one of its cluster that takes pods"})
    )
    closed: bool = True  #: whether the node is closed to new pods afterwards

    def target(self, args: CordonArgs) -> str:
        return args.node

    def plan(self, args: CordonArgs, tools: Tools) -> Plan:
        return cordon.plan(cordon.site_of(tools, args.node), closed=self.closed)

    def run(self, args: CordonArgs, plan: Plan, run: str, by: Principal, tools: Tools) -> Outcome:
        return cordon.run(cordon.site_of(tools, args.node), plan, run, closed=self.closed)

    def probe(self, args: CordonArgs, plan: Plan, run: str, tools: Tools) -> Outcome:
        return cordon.probe(cordon.site_of(tools, args.node), plan, run)


action = CordonAction()
