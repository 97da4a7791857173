"""resume: an Argo Rollout that was paused by hand goes on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated

from bot.chatops.arguments import Name
from bot.core.action import Tools
from bot.core.plan import Outcome, Plan, Risk
from bot.core.request import Principal
from bot.workloads.argo_rollouts.verbs import RESUME
from bot.workloads.argo_rollouts.write import observe


@dataclass(frozen=True, kw_only=True)
class ResumeArgs:
    service: Annotated[str, Name()]


@dataclass(frozen=True)
class ResumeAction:
    verb: str = "resume"
    usage: str = "resume <service>"
    summary: str = "let a rollout go on that was paused by hand"
    args: type[ResumeArgs] = ResumeArgs
    risk: Risk = Risk.REVERSIBLE
    read_only: bool = False
    long_running: bool = True
    limits: Mapping[str, str] = field(
        default_factory=lambda: MappingProxyType({"kinds": "Argo Rollouts", "when": "while it is paused by hand"})
    )

    def target(self, args: ResumeArgs) -> str:
        return args.service

    def plan(self, args: ResumeArgs, tools: Tools) -> Plan:
        return RESUME.plan(observe(tools, args.service))

    def run(self, args: ResumeArgs, plan: Plan, run: str, by: Principal, tools: Tools) -> Outcome:
        return RESUME.run(observe(tools, args.service), plan, run, tools)

    def probe(self, args: ResumeArgs, plan: Plan, run: str, tools: Tools) -> Outcome:
        return RESUME.probe(observe(tools, args.service), plan, run, tools)


action = ResumeAction()
