"""promote: a new version gets more of the traffic: the next step of its rollout, or all of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated

from bot.acting import Tools
from bot.acts import Outcome, Plan, Risk
from bot.kinds import Name
from bot.model import Principal
from bot.sentence import Line, Slot, short
from bot.workloads import promotion, ways

_PERCENT = re.compile(r"(0|[1-9][0-9]?|100)%")


@dataclass(frozen=True)
class Far:
    """How far: `full`, or a weight such as `25%`, which never is a number alone."""

    def shape(self, field: str) -> str:
        return f"{promotion.ALL}|weight%"

    def take(self, line: Line, slot: Slot) -> str:
        word = line.word()
        if word == promotion.ALL or _PERCENT.fullmatch(word):
            return word
        raise slot.wrong(f"{short(word)} is neither `full` nor a weight such as 25%, 0% to 100%.")

    def write(self, value: object) -> str:
        return str(value)


@dataclass(frozen=True, kw_only=True)
class Args:
    service: Annotated[str, Name()]
    far: Annotated[str, Far()] = ""


@dataclass(frozen=True)
class Promote:
    verb: str = "promote"
    usage: str = "promote <service> [<full|weight%>]"
    says: str = "give a new version more of the traffic: the next step, or all of them"
    args: type[Args] = Args
    risk: Risk = Risk.UNDOABLE
    reads: bool = False
    slow: bool = True
    limits: Mapping[str, str] = field(
        default_factory=lambda: MappingProxyType(
            {
                "step": "one at a time, only while it waits and its pods are available",
                "full": "needs a second person and the rollout's name typed",
                "weight": "of nginx canaries alone",
            }
        )
    )

    def target(self, args: Args) -> str:
        return args.service

    def plan(self, args: Args, tools: Tools) -> Plan:
        case = promotion.case_of(tools, args.service, args.far)
        return promotion.way_of(case).plan(case)

    def run(self, args: Args, plan: Plan, run: str, by: Principal, tools: Tools) -> Outcome:
        case = promotion.case_of(tools, args.service, args.far)
        return ways.chosen(promotion.WAYS, plan).run(case, plan, run)

    def probe(self, args: Args, plan: Plan, run: str, tools: Tools) -> Outcome:
        case = promotion.case_of(tools, args.service, args.far)
        return ways.chosen(promotion.WAYS, plan).probe(case, plan, run)


action = Promote()
