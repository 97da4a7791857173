"""abort: a new version that is under way is given up, by Argo Rollouts or Flagger: all traffic goes back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated

from bot.acting import Tools
from bot.acts import Outcome, Plan, Risk
from bot.kinds import Name
from bot.model import Principal
from bot.workloads import flagger, kinds, promotion
from bot.workloads.rollout_acts import looked_at
from bot.workloads.rollout_verbs import ABORT
from bot.workloads.ways import Case


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
            {"kinds": "Argo Rollouts, and Deployments that Flagger keeps", "when": "while a new version is on its way"}
        )
    )

    def target(self, args: Args) -> str:
        return args.service

    def plan(self, args: Args, tools: Tools) -> Plan:
        case = promotion.case_of(tools, args.service, "")
        return flagger.ROLLBACK.plan(case) if _flagged(case) else ABORT.plan(looked_at(case.site, case.thing))

    def run(self, args: Args, plan: Plan, run: str, by: Principal, tools: Tools) -> Outcome:
        case = promotion.case_of(tools, args.service, "")
        if _flagged(case):
            return flagger.ROLLBACK.run(case, plan, run)
        return ABORT.run(looked_at(case.site, case.thing), plan, run, tools)

    def probe(self, args: Args, plan: Plan, run: str, tools: Tools) -> Outcome:
        case = promotion.case_of(tools, args.service, "")
        if _flagged(case):
            return flagger.ROLLBACK.probe(case, plan, run)
        return ABORT.probe(looked_at(case.site, case.thing), plan, run, tools)


def _flagged(case: Case) -> bool:
    """A Deployment has nobody else who could give it up."""
    return case.site.workload.kind == kinds.DEPLOYMENT


action = Abort()
