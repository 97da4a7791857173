"""abort: an Argo Rollout that is under way is given up, and what is stable gets all traffic."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated

from bot.acting import Tools
from bot.acts import Outcome, Plan, Risk
from bot.kinds import Name
from bot.model import Principal
from bot.workloads.rollout_acts import looked
from bot.workloads.rollout_verbs import ABORT


@dataclass(frozen=True, kw_only=True)
class Args:
    service: Annotated[str, Name()]


@dataclass(frozen=True)
class Abort:
    verb: str = "abort"
    usage: str = "abort <service>"
    says: str = "give up a rollout that is under way: all traffic goes back"
    args: type[Args] = Args
    risk: Risk = Risk.UNDOABLE
    reads: bool = False
    slow: bool = True
    limits: Mapping[str, str] = field(
        default_factory=lambda: MappingProxyType(
            {"kinds": "Argo Rollouts", "when": "while a new version is on its way"}
        )
    )

    def target(self, args: Args) -> str:
        return args.service

    def plan(self, args: Args, tools: Tools) -> Plan:
        return ABORT.plan(looked(tools, args.service))

    def run(self, args: Args, plan: Plan, run: str, by: Principal, tools: Tools) -> Outcome:
        return ABORT.run(looked(tools, args.service), plan, run, tools)

    def probe(self, args: Args, plan: Plan, run: str, tools: Tools) -> Outcome:
        return ABORT.probe(looked(tools, args.service), plan, run, tools.now())


action = Abort()
