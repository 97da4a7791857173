"""restart: every pod of a service is replaced by one that runs the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated

from bot.acting import Tools
from bot.acts import Outcome, Plan, Risk
from bot.kinds import Name
from bot.model import Principal
from bot.workloads import place, restarting


@dataclass(frozen=True, kw_only=True)
class Args:
    service: Annotated[str, Name()]


@dataclass(frozen=True)
class Restart:
    verb: str = "restart"
    usage: str = "restart <service>"
    says: str = "replace every pod of a service by one that runs the same"
    args: type[Args] = Args
    risk: Risk = Risk.UNDOABLE
    reads: bool = False
    slow: bool = True
    limits: Mapping[str, str] = field(
        default_factory=lambda: MappingProxyType(
            {"workloads": "none that is paused, or whose pods only people replace"}
        )
    )

    def target(self, args: Args) -> str:
        return args.service

    def plan(self, args: Args, tools: Tools) -> Plan:
        site = place.site_of(tools, args.service)
        return restarting.planned(site, place.workload_of(site))

    def run(self, args: Args, plan: Plan, run: str, by: Principal, tools: Tools) -> Outcome:
        site = place.site_of(tools, args.service)
        return restarting.done(site, place.workload_of(site), plan, run, tools)

    def probe(self, args: Args, plan: Plan, run: str, tools: Tools) -> Outcome:
        site = place.site_of(tools, args.service)
        return restarting.looked_for(site, place.workload_of(site), plan, run, tools)


action = Restart()
