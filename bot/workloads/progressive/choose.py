"""Chooses how to promote a service's new version: by Argo Rollouts, Flagger, or the weight of an nginx canary.

The tool that splits the traffic decides. An nginx canary is looked for last, and never one that belongs to a Rollout or
to Flagger: those write the same annotation and would overwrite it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from bot.core.action import Tools
from bot.core.errors import Rejected
from bot.core.plan import Outcome, Plan
from bot.workloads.argo_rollouts.verbs import FULL, PROMOTE, RolloutVerb
from bot.workloads.argo_rollouts.write import observation_of
from bot.workloads.objects import kinds
from bot.workloads.objects import target as targets
from bot.workloads.objects.strategy import STRATEGY, Strategy, StrategyRequest
from bot.workloads.progressive import flagger, nginx

#: The typed word for all steps at once.
ALL = "full"


class ArgoRolloutPromotion:
    """Argo Rollouts: one step, or all that are left."""

    name = "rollout"

    def plan(self, request: StrategyRequest) -> Plan:
        plan = _verb(request.wanted).plan(observation_of(request.site, request.workload))
        return replace(plan, preconditions={**plan.preconditions, STRATEGY: self.name}, hidden=(*plan.hidden, STRATEGY))

    def run(self, request: StrategyRequest, plan: Plan, run: str) -> Outcome:
        return _verb(request.wanted).run(observation_of(request.site, request.workload), plan, run, request.tools)

    def probe(self, request: StrategyRequest, plan: Plan, run: str) -> Outcome:
        return _verb(request.wanted).probe(observation_of(request.site, request.workload), plan, run, request.tools)


#: All strategies by name. A stored plan may name one that this version no longer has; it is refused.
STRATEGIES: Mapping[str, Strategy] = {
    way.name: way for way in (ArgoRolloutPromotion(), flagger.PROMOTION, nginx.NginxWeightPromotion())
}


def request_of(tools: Tools, service: str, wanted: str) -> StrategyRequest:
    """The request, with the workload as it is now."""
    target = targets.target_of(tools, service)
    thing = targets.workload_of(target, kinds.ROLLOUT, kinds.DEPLOYMENT)
    return StrategyRequest(
        service=service, site=target, workload=thing, owner=targets.owner_of(target, thing), wanted=wanted, tools=tools
    )


def strategy_of(request: StrategyRequest) -> Strategy:
    """Raises `Rejected` if nothing splits the traffic of that workload."""
    if request.site.workload.kind == kinds.ROLLOUT:
        return STRATEGIES["rollout"]
    if flagger.canary_of(request.site) is not None:
        return flagger.PROMOTION
    if nginx.canary_of(request) is not None:
        return STRATEGIES["nginx"]
    message = f"{request.site.workload} is no Rollout, and neither Flagger nor an nginx canary splits its traffic."
    hint = f"`status {request.service}` shows its own rollout."
    raise Rejected(f"{message} Nothing was done. {hint}", code="nothing_to_promote", status=409)


def _verb(wanted: str) -> RolloutVerb:
    if wanted not in ("", ALL):
        message = f"A Rollout defines its own steps, so {wanted} cannot be chosen. Nothing was done."
        raise Rejected(f"{message} Use `promote` alone for the next step, or with `full` for all.", code="bad_weight")
    return FULL if wanted == ALL else PROMOTE
