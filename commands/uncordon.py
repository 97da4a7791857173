"""uncordon: a node takes new pods again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated

from bot.acting import Tools
from bot.acts import Outcome, Plan, Risk
from bot.forms import Principal
from bot.kinds import Name
from bot.workloads import cordoning


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
        return cordoning.plan(cordoning.site_of(tools, args.node), closed=False)

    def run(self, args: UncordonArgs, plan: Plan, run: str, by: Principal, tools: Tools) -> Outcome:
        return cordoning.run(cordoning.site_of(tools, args.node), plan, run, closed=False)

    def probe(self, args: UncordonArgs, plan: Plan, run: str, tools: Tools) -> Outcome:
        return cordoning.probe(cordoning.site_of(tools, args.node), plan, run)


action = UncordonAction()
