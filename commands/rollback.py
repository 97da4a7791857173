"""rollback: a service runs an older revision again, by whoever keeps its workload as it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Annotated

from bot.acting import Moved, Tools
from bot.acts import Outcome, Plan, Risk
from bot.kinds import After, Name, OneOf
from bot.model import Principal
from bot.workloads import going_back, place
from bot.workloads.ways import WAY, Case, chosen


@dataclass(frozen=True, kw_only=True)
class Args:
    service: Annotated[str, Name()]
    revision: Annotated[str, Name(), After("to")] = ""
    replicas: Annotated[str, OneOf("keep"), After("replicas")] = ""
    conflicts: Annotated[str, OneOf("force"), After("conflicts")] = ""


@dataclass(frozen=True)
class Rollback:
    verb: str = "rollback"
    usage: str = "rollback <service> [to <revision>] [replicas <keep>] [conflicts <force>]"
    says: str = "let a service run an older revision again"
    args: type[Args] = Args
    risk: Risk = Risk.UNDOABLE
    reads: bool = False
    slow: bool = True
    limits: Mapping[str, str] = field(
        default_factory=lambda: MappingProxyType(
            {
                "revisions": "only those that are still kept",
                "owners": "not against Flux or an operator, who would take it back",
                "fields": "none is taken from whoever holds it, unless asked to",
            }
        )
    )

    def target(self, args: Args) -> str:
        return args.service

    def plan(self, args: Args, tools: Tools) -> Plan:
        case = _case(args, tools)
        place.check_stays(case.site, case.thing)
        way = going_back.way_for(case)
        going_back.check_wishes(case, way)
        plan = way.plan(case)
        return replace(
            plan,
            effect=(going_back.why(case), *plan.effect),
            seen={**plan.seen, WAY: way.name},
            private=(*plan.private, WAY),
        )

    def run(self, args: Args, plan: Plan, run: str, by: Principal, tools: Tools) -> Outcome:
        case = _case(args, tools)
        place.check_stays(case.site, case.thing)
        way = chosen(going_back.WAYS, plan)
        if going_back.way_for(case) is not way:
            raise Moved(f"{case.site.workload} is kept by {case.owner} now. Nothing was done.")
        return way.run(case, plan, run)

    def probe(self, args: Args, plan: Plan, run: str, tools: Tools) -> Outcome:
        return chosen(going_back.WAYS, plan).probe(_case(args, tools), plan, run)


def _case(args: Args, tools: Tools) -> Case:
    site = place.site_of(tools, args.service)
    thing = place.workload_of(site)
    owner = place.owner_of(site, thing)
    return Case(
        service=args.service,
        site=site,
        thing=thing,
        owner=owner,
        wish=args.revision,
        tools=tools,
        keep=bool(args.replicas),
        force=bool(args.conflicts),
    )


action = Rollback()
