"""resume: an Argo Rollout that was paused by hand goes on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated

from bot.acting import Tools
from bot.acts import Outcome, Plan, Risk
from bot.forms import Principal
from bot.kinds import Name
from bot.workloads.rollout_acts import observe
from bot.workloads.rollout_verbs import RESUME


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
