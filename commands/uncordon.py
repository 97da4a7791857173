"""uncordon: a node takes new pods again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated

from bot.chatops.arguments import Name
from bot.core.action import Tools
from bot.core.plan import Outcome, Plan, Risk
from bot.core.request import Principal
from bot.workloads import cordon


@dataclass(frozen=True, kw_only=True)
class UncordonArgs:
    node: Annotated[str, Name()]  #: with its cluster: "main/ip-10-0-0-1"


@dataclass(frozen=True)
class UncordonAction:
    verb: str = "uncordon"
    usage: str = "uncordon <node>"
    summary: str = "let a node take new pods again"
    args: type[UncordonArgs] = UncordonArgs
    risk: Risk = Risk.REVERSIBLE
    read_only: bool = False
    long_running: bool = False
    limits: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({"nodes": "one at a time"}))

    def target(self, args: UncordonArgs) -> str:
        return args.node

    def plan(self, args: UncordonArgs, tools: Tools) -> Plan:
        return cordon.plan(cordon.site_of(tools, args.node), closed=False)

    def run(self, args: UncordonArgs, plan: Plan, run: str, by: Principal, tools: Tools) -> Outcome:
        return cordon.run(cordon.site_of(tools, args.node), plan, run, closed=False)

    def probe(self, args: UncordonArgs, plan: Plan, run: str, tools: Tools) -> Outcome:
        return cordon.probe(cordon.site_of(tools, args.node), plan, run)


action = UncordonAction()
