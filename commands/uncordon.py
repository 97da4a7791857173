"""uncordon: a node takes new pods again."""

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
class Uncordon:
    verb: str = "uncordon"
    usage: str = "uncordon <node>"
    says: str = "let a node take new pods again"
    args: type[Args] = Args
    risk: Risk = Risk.UNDOABLE
    reads: bool = False
    slow: bool = False
    limits: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({"nodes": "one at a time"}))

    def target(self, args: Args) -> str:
        return args.node

    def plan(self, args: Args, tools: Tools) -> Plan:
        return cordoning.planned(cordoning.site_of(tools, args.node), closed=False)

    def run(self, args: Args, plan: Plan, run: str, by: Principal, tools: Tools) -> Outcome:
        return cordoning.done(cordoning.site_of(tools, args.node), plan, run, closed=False)

    def probe(self, args: Args, plan: Plan, run: str, tools: Tools) -> Outcome:
        return cordoning.looked_for(cordoning.site_of(tools, args.node), plan, run)


action = Uncordon()
