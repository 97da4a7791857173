"""pause: an Argo Rollout stands still until somebody resumes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated

from bot.chatops.arguments import Name
from bot.core.action import Tools
from bot.core.plan import Outcome, Plan, Risk
from bot.core.request import Principal
from bot.workloads.argo_rollouts.verbs import PAUSE
from bot.workloads.argo_rollouts.write import observe


@dataclass(frozen=True, kw_only=True)
class PauseArgs:
    service: Annotated[str, Name()]


@dataclass(frozen=True)
class PauseAction:
    verb: str = "pause"
    usage: str = "pause <service>"
    summary: str = "halt a rollout by hand"
    args: type[PauseArgs] = PauseArgs
    risk: Risk = Risk.REVERSIBLE
    read_only: bool = False
    long_running: bool = True
    limits: Mapping[str, str] = field(
        default_factory=lambda: MappingProxyType({"kinds": "Argo Rollouts", "when": "while it is not paused by hand"})
    )

    def target(self, args: PauseArgs) -> str:
        return args.service

    def plan(self, args: PauseArgs, tools: Tools) -> Plan:
        return PAUSE.plan(observe(tools, args.service))

    def run(self, args: PauseArgs, plan: Plan, run: str, by: Principal, tools: Tools) -> Outcome:
        return PAUSE.run(observe(tools, args.service), plan, run, tools)

    def probe(self, args: PauseArgs, plan: Plan, run: str, tools: Tools) -> Outcome:
        return PAUSE.probe(observe(tools, args.service), plan, run, tools)


action = PauseAction()
