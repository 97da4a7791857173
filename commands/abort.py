"""abort: stop a rollout in progress, by Argo Rollouts or Flagger. All traffic goes back to the stable version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated

from bot.chatops.arguments import Name
from bot.core.action import Tools
from bot.core.manual import Facility, Manual, Topic
from bot.core.plan import Outcome, Plan, Risk
from bot.core.request import Principal
from bot.workloads.argo_rollouts.verbs import ABORT
from bot.workloads.argo_rollouts.write import observation_of
from bot.workloads.objects import kinds
from bot.workloads.objects.strategy import StrategyRequest
from bot.workloads.progressive import choose, flagger


@dataclass(frozen=True, kw_only=True)
class AbortArgs:
    service: Annotated[str, Name()]


_MANUAL = Manual(
    topic=Topic.WORKLOADS,
    examples=("abort {service}",),
    details="For Argo Rollouts, and for Deployments that Flagger manages.",
    way_back="`retry {service}` starts an Argo Rollout again. With Flagger there is no undo.",
    needs=(Facility.ROLLOUT, Facility.FLAGGER),
)


@dataclass(frozen=True)
class AbortAction:
    verb: str = "abort"
    usage: str = "abort <service>"
    summary: str = "stop a rollout: all traffic goes back to stable"
    manual: Manual = _MANUAL
    args: type[AbortArgs] = AbortArgs
    risk: Risk = Risk.REVERSIBLE
    read_only: bool = False
    long_running: bool = True
    limits: Mapping[str, str] = field(
        default_factory=lambda: MappingProxyType(
            {"kinds": "Argo Rollouts, and Deployments that Flagger manages", "when": "while a rollout is in progress"}
        )
    )

    def target(self, args: AbortArgs) -> str:
        return args.service

    def plan(self, args: AbortArgs, tools: Tools) -> Plan:
        case = choose.request_of(tools, args.service, "")
        return flagger.ROLLBACK.plan(case) if _flagged(case) else ABORT.plan(observation_of(case.site, case.workload))

    def run(self, args: AbortArgs, plan: Plan, run: str, by: Principal, tools: Tools) -> Outcome:
        case = choose.request_of(tools, args.service, "")
        if _flagged(case):
            return flagger.ROLLBACK.run(case, plan, run)
        return ABORT.run(observation_of(case.site, case.workload), plan, run, tools)

    def probe(self, args: AbortArgs, plan: Plan, run: str, tools: Tools) -> Outcome:
        case = choose.request_of(tools, args.service, "")
        if _flagged(case):
            return flagger.ROLLBACK.probe(case, plan, run)
        return ABORT.probe(observation_of(case.site, case.workload), plan, run, tools)


def _flagged(case: StrategyRequest) -> bool:
    """Only Flagger can abort the rollout of a Deployment."""
    return case.site.workload.kind == kinds.DEPLOYMENT


action = AbortAction()
