"""pause: an Argo Rollout halts until somebody resumes it. `resume` and `retry` are the same action in other states."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated

from bot.chatops.arguments import Name
from bot.core.action import Tools
from bot.core.manual import Facility, Manual, Topic
from bot.core.plan import Outcome, Plan, Risk
from bot.core.request import Principal
from bot.workloads.argo_rollouts.verbs import PAUSE, RolloutVerb
from bot.workloads.argo_rollouts.write import observe


@dataclass(frozen=True, kw_only=True)
class RolloutArgs:
    service: Annotated[str, Name()]


@dataclass(frozen=True, kw_only=True)
class RolloutAction:
    """One verb of Argo Rollouts alone; `does` holds all that differs."""

    verb: str
    usage: str
    summary: str
    manual: Manual
    limits: Mapping[str, str]
    does: RolloutVerb
    args: type[RolloutArgs] = RolloutArgs
    risk: Risk = Risk.REVERSIBLE
    read_only: bool = False
    long_running: bool = True

    def target(self, args: RolloutArgs) -> str:
        return args.service

    def plan(self, args: RolloutArgs, tools: Tools) -> Plan:
        return self.does.plan(observe(tools, args.service))

    def run(self, args: RolloutArgs, plan: Plan, run: str, by: Principal, tools: Tools) -> Outcome:
        return self.does.run(observe(tools, args.service), plan, run, tools)

    def probe(self, args: RolloutArgs, plan: Plan, run: str, tools: Tools) -> Outcome:
        return self.does.probe(observe(tools, args.service), plan, run, tools)


action = RolloutAction(
    verb="pause",
    usage="pause <service>",
    summary="pause a rollout by hand",
    manual=Manual(
        topic=Topic.WORKLOADS, examples=("pause {service}",), way_back="`resume {service}`.", needs=(Facility.ROLLOUT,)
    ),
    limits=MappingProxyType({"kinds": "Argo Rollouts", "when": "while it is not paused by hand"}),
    does=PAUSE,
)
