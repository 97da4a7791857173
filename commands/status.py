"""status: how a service's workload is now: its pods, and how far a rollout of it is.

It changes nothing. While it is on its way, whoever asked is told again as it goes on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated

from bot.acting import Tools
from bot.acts import Ended, Outcome, Plan, Risk
from bot.kinds import Name
from bot.model import Principal
from bot.workloads import place, telling


@dataclass(frozen=True, kw_only=True)
class Args:
    service: Annotated[str, Name()]


@dataclass(frozen=True)
class Status:
    verb: str = "status"
    usage: str = "status <service>"
    says: str = "tell how a service runs now, and how far its rollout is"
    args: type[Args] = Args
    risk: Risk = Risk.NONE
    reads: bool = True
    slow: bool = False
    limits: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({"changed": "nothing"}))

    def target(self, args: Args) -> str:
        return args.service

    def plan(self, args: Args, tools: Tools) -> Plan:
        site = place.site_of(tools, args.service)
        place.workload_of(site)
        return Plan(target=args.service, effect=(f"Look at {site.workload}.",), radius="nothing is changed")

    def run(self, args: Args, plan: Plan, run: str, by: Principal, tools: Tools) -> Outcome:
        site = place.site_of(tools, args.service)
        told = telling.told(site, place.workload_of(site), tools.now())
        return Outcome(ended=Ended.DONE, said="\n".join(told.lines), buttons=told.buttons, moves=told.moves)

    def probe(self, args: Args, plan: Plan, run: str, tools: Tools) -> Outcome:
        return Outcome(ended=Ended.FAILED, said="A look changes nothing. Ask again.")


action = Status()
