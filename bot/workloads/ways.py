"""One verb, several ways: who keeps a workload decides how it goes back, or on.

Each way plans, runs and can be looked for.

A verb picks a way when it plans and writes its name into what the plan saw (`WAY`); run and probe take that one again,
so that a workload which changes hands in between is a plan that no longer fits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar

from bot.acting import Tools
from bot.acts import Outcome, Plan
from bot.clusters import Thing
from bot.ports import Rejected
from bot.sites import Site
from bot.workloads.owners import Owner

Chosen = TypeVar("Chosen")

#: Under this name a plan's `seen` holds its way; it is told to people in the plan's effect instead.
WAY = "way"


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """What is asked of which workload."""

    service: str
    site: Site
    thing: Thing  #: the workload as it stands
    owner: Owner
    wish: str  #: what is wanted, as it was typed: a revision to go back to, "full"; "" for the usual
    tools: Tools
    keep: bool = False  #: the replicas that it has now are to stay, whatever the older revision says
    force: bool = False  #: fields that others hold are to be taken from them


class Way(Protocol):
    """One way. `plan` reads only; `run` writes once; `probe` looks for its effect; as in `acting.Action`."""

    name: str

    def plan(self, case: Case) -> Plan: ...
    def run(self, case: Case, plan: Plan, run: str) -> Outcome: ...
    def probe(self, case: Case, plan: Plan, run: str) -> Outcome: ...


def chosen(ways: Mapping[str, Chosen], plan: Plan) -> Chosen:
    """The way of a plan. Raises `Rejected` where this version does not have it any more."""
    found = ways.get(plan.seen.get(WAY, ""))
    if found is None:
        said = "The bot no longer knows the way of this plan. Nothing was done. Ask for it again."
        raise Rejected(said, code="no_such_way", status=409)
    return found
