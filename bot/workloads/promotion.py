"""How a service's new version is taken on: by Argo Rollouts, by Flagger, or by the weight of an nginx canary.

Who splits the traffic decides the way. A canary by nginx is the last one looked for, and never one that belongs to a
Rollout or to Flagger: those write the same annotation, and would take it back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from bot.acting import Tools
from bot.acts import Outcome, Plan
from bot.ports import Rejected
from bot.workloads import flagger, kinds, nginx, place
from bot.workloads.rollout_acts import looked_at
from bot.workloads.rollout_verbs import FULL, PROMOTE, Verb
from bot.workloads.ways import WAY, Case, Way

#: The wish for all at once.
ALL = "full"


class ByRollout:
    """Argo Rollouts: a step, or all that are left."""

    name = "rollout"

    def plan(self, case: Case) -> Plan:
        plan = _verb(case.wish).plan(looked_at(case.site, case.thing))
        return replace(plan, seen={**plan.seen, WAY: self.name}, private=(*plan.private, WAY))

    def run(self, case: Case, plan: Plan, run: str) -> Outcome:
        return _verb(case.wish).run(looked_at(case.site, case.thing), plan, run, case.tools)

    def probe(self, case: Case, plan: Plan, run: str) -> Outcome:
        return _verb(case.wish).probe(looked_at(case.site, case.thing), plan, run, case.tools)


#: All there are, by name. One that this version does not have is refused by name.
WAYS: Mapping[str, Way] = {way.name: way for way in (ByRollout(), flagger.PROMOTION, nginx.ByWeight())}


def case_of(tools: Tools, service: str, wish: str) -> Case:
    """What is asked, of the workload as it stands."""
    site = place.site_of(tools, service)
    thing = place.workload_of(site, kinds.ROLLOUT, kinds.DEPLOYMENT)
    return Case(service=service, site=site, thing=thing, owner=place.owner_of(site, thing), wish=wish, tools=tools)


def way_of(case: Case) -> Way:
    """Raises `Rejected` where nothing splits the traffic of that workload."""
    if case.site.workload.kind == kinds.ROLLOUT:
        return WAYS["rollout"]
    if flagger.canary_of(case.site) is not None:
        return flagger.PROMOTION
    if nginx.canary_of(case) is not None:
        return WAYS["nginx"]
    said = f"{case.site.workload} is no Rollout, and neither Flagger nor an nginx canary splits its traffic."
    hint = f"`status {case.service}` says how far its own rollout is."
    raise Rejected(f"{said} Nothing was done. {hint}", code="nothing_to_promote", status=409)


def _verb(wish: str) -> Verb:
    if wish not in ("", ALL):
        said = f"The steps of a Rollout are its own, so that {wish} cannot be chosen. Nothing was done."
        raise Rejected(f"{said} Say `promote` alone for the next step, or with `full` for all.", code="bad_weight")
    return FULL if wish == ALL else PROMOTE
