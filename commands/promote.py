"""promote: a new version gets more of the traffic: the next step of its rollout, or all of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated

from bot.acting import Tools
from bot.acts import Outcome, Plan, Risk
from bot.forms import Principal
from bot.kinds import Name
from bot.sentence import ArgumentSlot, Tokens, shorten
from bot.workloads import promotion, ways

_PERCENT = re.compile(r"(0|[1-9][0-9]?|100)%")


@dataclass(frozen=True)
class PromoteTarget:
    """How far: `full`, or a weight such as `25%`, which never is a number alone."""

    def usage(self, field: str) -> str:
        return f"{promotion.ALL}|weight%"

    def parse(self, tokens: Tokens, slot: ArgumentSlot) -> str:
        word = tokens.next_word()
        if word == promotion.ALL or _PERCENT.fullmatch(word):
            return word
        raise slot.refusal(f"{shorten(word)} is neither `full` nor a weight such as 25%, 0% to 100%.")

    def format(self, value: object) -> str:
        return str(value)


@dataclass(frozen=True, kw_only=True)
class PromoteArgs:
    service: Annotated[str, Name()]
    far: Annotated[str, PromoteTarget()] = ""


@dataclass(frozen=True)
class PromoteAction:
    verb: str = "promote"
    usage: str = "promote <service> [<full|weight%>]"
    summary: str = "give a new version more of the traffic: the next step, or all of them"
    args: type[PromoteArgs] = PromoteArgs
    risk: Risk = Risk.REVERSIBLE
    read_only: bool = False
    long_running: bool = True
    limits: Mapping[str, str] = field(
        default_factory=lambda: MappingProxyType(
            {
                "step": "one at a time, only while it waits and its pods are available",
                "full": "needs a second person and the rollout's name typed",
                "weight": "of nginx canaries alone",
            }
        )
    )

    def target(self, args: PromoteArgs) -> str:
        return args.service

    def plan(self, args: PromoteArgs, tools: Tools) -> Plan:
        case = promotion.request_of(tools, args.service, args.far)
        return promotion.strategy_of(case).plan(case)

    def run(self, args: PromoteArgs, plan: Plan, run: str, by: Principal, tools: Tools) -> Outcome:
        case = promotion.request_of(tools, args.service, args.far)
        return ways.strategy_of_plan(promotion.STRATEGIES, plan).run(case, plan, run)

    def probe(self, args: PromoteArgs, plan: Plan, run: str, tools: Tools) -> Outcome:
        case = promotion.request_of(tools, args.service, args.far)
        return ways.strategy_of_plan(promotion.STRATEGIES, plan).probe(case, plan, run)


action = PromoteAction()
