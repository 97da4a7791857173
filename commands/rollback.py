"""rollback: a service runs an older revision again, through the tool that manages it: Kubernetes, Argo CD or Helm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Annotated

from bot.chatops.arguments import Keyword, Name, OneOf
from bot.core.action import Tools
from bot.core.errors import Conflict
from bot.core.manual import Facility, Manual, Topic
from bot.core.plan import Outcome, Plan, Risk
from bot.core.request import Principal
from bot.workloads.objects import target as place
from bot.workloads.objects.strategy import STRATEGY, StrategyRequest, strategy_of_plan
from bot.workloads.rollback import choose


@dataclass(frozen=True, kw_only=True)
class RollbackArgs:
    service: Annotated[str, Name()]
    revision: Annotated[str, Name(), Keyword("to")] = ""
    replicas: Annotated[str, OneOf("keep"), Keyword("replicas")] = ""
    conflicts: Annotated[str, OneOf("force"), Keyword("conflicts")] = ""


_MANUAL = Manual(
    topic=Topic.WORKLOADS,
    examples=("rollback {service}", "rollback {service} to 41", "rollback {service} replicas keep"),
    details="Without `to`, the revision before this one.",
    way_back="`undo` and the run.",
    needs=(Facility.WORKLOAD,),
)


@dataclass(frozen=True)
class RollbackAction:
    verb: str = "rollback"
    usage: str = "rollback <service> [to <revision>] [replicas keep] [conflicts force]"
    summary: str = "run an older revision of a service again"
    manual: Manual = _MANUAL
    args: type[RollbackArgs] = RollbackArgs
    risk: Risk = Risk.REVERSIBLE
    read_only: bool = False
    long_running: bool = True
    limits: Mapping[str, str] = field(
        default_factory=lambda: MappingProxyType(
            {
                "revisions": "only those that are still stored",
                "owners": "not where Flux or an operator manages the workload: it would be reverted",
                "fields": "none is taken from its field manager without `conflicts force`",
            }
        )
    )

    def target(self, args: RollbackArgs) -> str:
        return args.service

    def plan(self, args: RollbackArgs, tools: Tools) -> Plan:
        case = _case(args, tools)
        place.check_not_deleting(case.site, case.workload)
        way = choose.strategy_for(case)
        choose.check_options(case, way)
        plan = way.plan(case)
        return replace(
            plan,
            effect=(*plan.effect, choose.reason(case)),
            preconditions={**plan.preconditions, STRATEGY: way.name},
            hidden=(*plan.hidden, STRATEGY),
        )

    def run(self, args: RollbackArgs, plan: Plan, run: str, by: Principal, tools: Tools) -> Outcome:
        case = _case(args, tools)
        place.check_not_deleting(case.site, case.workload)
        way = strategy_of_plan(choose.STRATEGIES, plan)
        if choose.strategy_for(case) is not way:
            raise Conflict(f"{case.site.workload} is managed by {case.owner} now. Nothing was done.")
        return way.run(case, plan, run)

    def probe(self, args: RollbackArgs, plan: Plan, run: str, tools: Tools) -> Outcome:
        return strategy_of_plan(choose.STRATEGIES, plan).probe(_case(args, tools), plan, run)


def _case(args: RollbackArgs, tools: Tools) -> StrategyRequest:
    target = place.target_of(tools, args.service)
    thing = place.workload_of(target)
    owner = place.owner_of(target, thing)
    return StrategyRequest(
        service=args.service,
        site=target,
        workload=thing,
        owner=owner,
        wanted=args.revision,
        tools=tools,
        keep_replicas=bool(args.replicas),
        force=bool(args.conflicts),
    )


action = RollbackAction()
