"""retry: what was aborted of an Argo Rollout is tried again, from its first step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated

from bot.chatops.arguments import Name
from bot.core.action import Tools
from bot.core.plan import Outcome, Plan, Risk
from bot.core.request import Principal
from bot.workloads.argo_rollouts.verbs import RETRY
from bot.workloads.argo_rollouts.write import observe


@dataclass(frozen=True, kw_only=True)
class RetryArgs:
    service: Annotated[str, Name()]


@dataclass(frozen=True)
class RetryAction:
    verb: str = "retry"
    usage: str = "retry <service>"
    summary: str = "try an aborted rollout again from its first step"
    args: type[RetryArgs] = RetryArgs
    risk: Risk = Risk.REVERSIBLE
    read_only: bool = False
    long_running: bool = True
    limits: Mapping[str, str] = field(
        default_factory=lambda: MappingProxyType({"kinds": "Argo Rollouts", "when": "after an abort"})
    )

    def target(self, args: RetryArgs) -> str:
        return args.service

    def plan(self, args: RetryArgs, tools: Tools) -> Plan:
        return RETRY.plan(observe(tools, args.service))

    def run(self, args: RetryArgs, plan: Plan, run: str, by: Principal, tools: Tools) -> Outcome:
        return RETRY.run(observe(tools, args.service), plan, run, tools)

    def probe(self, args: RetryArgs, plan: Plan, run: str, tools: Tools) -> Outcome:
        return RETRY.probe(observe(tools, args.service), plan, run, tools)


action = RetryAction()
