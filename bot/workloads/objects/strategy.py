"""One verb, several strategies: the tool that manages a workload decides how to roll it back, or to promote it.

A verb chooses a strategy when it plans and stores its name in the plan's preconditions (`STRATEGY`); run and probe use
the same one. So if another tool takes over the workload in between, the plan no longer fits.
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

#: The key of the strategy in a plan's preconditions. Stored, so the value stays. People read it in the plan's effect.
STRATEGY = "way"


@dataclass(frozen=True, kw_only=True, slots=True)
class StrategyRequest:
    """What is asked of which workload."""

    service: str
    site: ServiceTarget
    workload: KubernetesObject  #: the workload as it is now
    owner: Owner
    wanted: str  #: as typed: a revision to roll back to, "full"; "" for the default
    tools: Tools
    keep_replicas: bool = False  #: keep the current number of replicas, whatever the older revision says
    force: bool = False  #: take over fields that other managers own


class Strategy(Protocol):
    """One strategy: `plan` only reads, `run` writes once, `probe` looks for the effect; as `bot.core.action.Action`."""

    name: str

    def plan(self, request: StrategyRequest) -> Plan: ...
    def run(self, request: StrategyRequest, plan: Plan, run: str) -> Outcome: ...
    def probe(self, request: StrategyRequest, plan: Plan, run: str) -> Outcome: ...


def strategy_of_plan(strategies: Mapping[str, StrategyT], plan: Plan) -> StrategyT:
    """The strategy of a plan. Raises `Rejected` if this version of the bot no longer has it."""
    found = strategies.get(plan.preconditions.get(STRATEGY, ""))
    if found is None:
        message = "This version of the bot cannot run this plan any more. Nothing was done. Ask for a new plan."
        raise Rejected(message, code="no_such_way", status=409)
    return found
