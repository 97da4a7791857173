"""promote: give a new version more traffic: the next step of its rollout, or all of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated

from bot.chatops.arguments import Name
from bot.chatops.tokens import ArgumentSlot, Tokens, shorten
from bot.core.action import Tools
from bot.core.manual import Facility, Manual, Topic
from bot.core.plan import Outcome, Plan, Risk
from bot.core.request import Principal
from bot.workloads.objects import strategy
from bot.workloads.progressive import choose

_PERCENT = re.compile(r"(0|[1-9][0-9]?|100)%")


@dataclass(frozen=True)
class PromoteTarget:
    """How far: `full`, or a weight such as `25%`. A number without `%` is refused."""

    def usage(self, field: str) -> str:
        return f"{choose.ALL}|weight%"

    def parse(self, tokens: Tokens, slot: ArgumentSlot) -> str:
        word = tokens.next_word()
        if word == choose.ALL or _PERCENT.fullmatch(word):
            return word
        raise slot.refusal(f"{shorten(word)} must be `full` or a weight from 0% to 100%, such as 25%.")

    def format(self, value: object) -> str:
        return str(value)


@dataclass(frozen=True, kw_only=True)
class PromoteArgs:
    service: Annotated[str, Name()]
    far: Annotated[str, PromoteTarget()] = ""


_MANUAL = Manual(
    topic=Topic.WORKLOADS,
    examples=("promote {service}", "promote {service} full", "promote {service} 25%"),
    details="One step, or `full` for all. A weight is for an nginx canary.",
    way_back="`undo` and the run. With Flagger there is none.",
    approval="`full` needs another person.",
    needs=(Facility.WORKLOAD,),
)


@dataclass(frozen=True)
class PromoteAction:
    verb: str = "promote"
    usage: str = "promote <service> [<full|weight%>]"
    summary: str = "give a new version more traffic"
    manual: Manual = _MANUAL
    args: type[PromoteArgs] = PromoteArgs
    risk: Risk = Risk.REVERSIBLE
    read_only: bool = False
    long_running: bool = True
    limits: Mapping[str, str] = field(
        default_factory=lambda: MappingProxyType(
            {
                "step": "one at a time, only while the rollout waits and its pods are available",
                "full": "needs a second person, who types the name of the rollout",
                "weight": "only for nginx canaries",
            }
        )
    )

    def target(self, args: PromoteArgs) -> str:
        return args.service

    def plan(self, args: PromoteArgs, tools: Tools) -> Plan:
        case = choose.request_of(tools, args.service, args.far)
        return choose.strategy_of(case).plan(case)

    def run(self, args: PromoteArgs, plan: Plan, run: str, by: Principal, tools: Tools) -> Outcome:
        case = choose.request_of(tools, args.service, args.far)
        return strategy.strategy_of_plan(choose.STRATEGIES, plan).run(case, plan, run)

    def probe(self, args: PromoteArgs, plan: Plan, run: str, tools: Tools) -> Outcome:
        case = choose.request_of(tools, args.service, args.far)
        return strategy.strategy_of_plan(choose.STRATEGIES, plan).probe(case, plan, run)


action = PromoteAction()
