"""cordon: a node takes no new pods any more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated

from bot.acting import Tools
from bot.acts import Outcome, Plan, Risk
from bot.kinds import Name
from bot.model import Principal
from bot.workloads import cordoning


@dataclass(frozen=True, kw_only=True)
class Args:
    node: Annotated[str, Name()]  #: with its cluster: "main/ip-10-0-0-1"


@dataclass(frozen=True)
class Cordon:
    verb: str = "cordon"
    usage: str = "cordon <node>"
    says: str = "let a node take no new pods; what runs on it stays"
    args: type[Args] = Args
    risk: Risk = Risk.UNDOABLE
    reads: bool = False
    slow: bool = False
    limits: Mapping[str, str] = field(
        default_factory=lambda: MappingProxyType({"nodes": "never the last one of its cluster that takes pods"})
    )

    def target(self, args: Args) -> str:
        return args.node

    def plan(self, args: Args, tools: Tools) -> Plan:
        return cordoning.planned(cordoning.site_of(tools, args.node), closed=True)

    def run(self, args: Args, plan: Plan, run: str, by: Principal, tools: Tools) -> Outcome:
        return cordoning.done(cordoning.site_of(tools, args.node), plan, run, closed=True)

    def probe(self, args: Args, plan: Plan, run: str, tools: Tools) -> Outcome:
        return cordoning.looked_for(cordoning.site_of(tools, args.node), plan, run)


action = Cordon()
