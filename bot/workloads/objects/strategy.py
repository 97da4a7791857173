"""One verb, several ways: who keeps a workload decides how it goes back, or on.

Each way plans, runs and can be looked for.

A verb picks a way when it plans and writes its name into what the plan saw (`STRATEGY`); run and probe take that one
again, so that a workload which changes hands in between is a plan that no longer fits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar

from bot.core.action import Tools
from bot.core.errors import Rejected
from bot.core.kubernetes import KubernetesObject
from bot.core.plan import Outcome, Plan
from bot.core.site import ServiceTarget
from bot.workloads.objects.owners import Owner

StrategyT = TypeVar("StrategyT")

#: Under this name a plan's `seen` holds its way; it is told to people in the plan's effect instead.
STRATEGY = "way"


@dataclass(frozen=True, kw_only=True, slots=True)
class StrategyRequest:
    """What is asked of which workload."""

    service: str
    site: ServiceTarget
    workload: KubernetesObject  #: the workload as it stands
    owner: Owner
    wanted: str  #: what is wanted, as it was typed: a revision to go back to, "full"; "" for the usual
    tools: Tools
    keep_replicas: bool = False  #: the replicas that it has now are to stay, whatever the older revision says
    force: bool = False  #: fields that others hold are to be taken from them


class Strategy(Protocol):
    """One way. `plan` reads only; `run` writes once; `probe` looks for its effect; as in `acting.Action`."""

    name: str

    def plan(self, request: StrategyRequest) -> Plan: ...
    def run(self, request: StrategyRequest, plan: Plan, run: str) -> Outcome: ...
    def probe(self, request: StrategyRequest, plan: Plan, run: str) -> Outcome: ...


def strategy_of_plan(strategies: Mapping[str, StrategyT], plan: Plan) -> StrategyT:
    """The way of a plan. Raises `Rejected` where this version does not have it any more."""
    found = strategies.get(plan.preconditions.get(STRATEGY, ""))
    if found is None:
        message = "The bot no longer knows the way of this plan. Nothing was done. Ask for it again."
        raise Rejected(message, code="no_such_way", status=409)
    return found
