"""retry: what was aborted of an Argo Rollout is tried again, from its first step."""

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
from bot.workloads.rollout_verbs import RETRY


@dataclass(frozen=True, kw_only=True)
class Args:
    service: Annotated[str, Name()]


@dataclass(frozen=True)
class Retry:
    verb: str = "retry"
    usage: str = "retry <service>"
    says: str = "try an aborted rollout again from its first step"
    args: type[Args] = Args
    risk: Risk = Risk.UNDOABLE
    reads: bool = False
    slow: bool = True
    limits: Mapping[str, str] = field(
        default_factory=lambda: MappingProxyType({"kinds": "Argo Rollouts", "when": "after an abort"})
    )

    def target(self, args: Args) -> str:
        return args.service

    def plan(self, args: Args, tools: Tools) -> Plan:
        return RETRY.plan(looked(tools, args.service))

    def run(self, args: Args, plan: Plan, run: str, by: Principal, tools: Tools) -> Outcome:
        return RETRY.run(looked(tools, args.service), plan, run, tools)

    def probe(self, args: Args, plan: Plan, run: str, tools: Tools) -> Outcome:
        return RETRY.probe(looked(tools, args.service), plan, run, tools)


action = Retry()
