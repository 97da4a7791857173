"""StatefulSets and DaemonSets go back to a ControllerRevision: a patch that their controller has kept, sent as it is.

The traps: the patch is applied with the very bytes that were kept, since a template read into types loses what those do
not know; and a StatefulSet whose pods broke stays broken until they are deleted (`unsticking`).
https://github.com/kubernetes/kubernetes/blob/master/staging/src/k8s.io/kubectl/pkg/polymorphichelpers/rollback.go
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from bot.acts import Ended, Outcome, Plan
from bot.clusters import Access, How, Thing
from bot.sites import Site
from bot.workloads import history, kinds, marks, place, returning
from bot.workloads.history import Choice
from bot.workloads.settling import Settling
from bot.workloads.status import Standing, counted, patience_for, wanted
from bot.workloads.unsticking import Unsticking, partition_of, stuck
from bot.workloads.watching import watched
from bot.workloads.ways import Case


class ByControllerRevision:
    name = "revisions"

    def plan(self, case: Case) -> Plan:
        site, thing = case.site, case.thing
        place.check_rights(site, list(_writes(site, thing)))
        kept = history.controller_revisions(site.cluster, thing)
        choice = history.choose(kept, history.current(kept, thing), thing["spec"]["template"], case.wish)
        return returning.planned(case, choice, tuple(_warnings(site, thing)))

    def run(self, case: Case, plan: Plan, run: str) -> Outcome:
        site, thing = case.site, case.thing
        choice = returning.still(case, plan, history.controller_revisions(site.cluster, thing))
        patch, by = _patch(thing, choice, run), marks.manager(run)
        written = site.cluster.patch(site.workload, patch, how=How.STRATEGIC, by=by)
        returning.give_up(case, plan, run)
        if not _rolls(thing):
            return _for_later(site, choice)
        patience = patience_for(thing, in_line=_count(thing))
        if not _waits_in_line(site, thing):
            settling = Settling(site, choice.goal.pods, written=written)
            return returning.over(site, choice, watched(site, case.tools, settling, patience=patience))
        look = Unsticking(site, choice.goal, most=wanted(thing), written=written)
        outcome = returning.over(site, choice, watched(site, case.tools, look, patience=patience))
        if not look.deleted:
            return outcome
        return replace(outcome, said=f"{outcome.said} Deleted: {', '.join(sorted(look.deleted.values()))}.")

    def probe(self, case: Case, plan: Plan, run: str) -> Outcome:
        """Watched on without deleting anything: only a person knows whether that is still wanted."""
        site, thing = case.site, case.thing
        kept = history.controller_revisions(site.cluster, thing)
        outcome = returning.looked_for(case, plan, run, kept)
        if outcome.ended is not Ended.DONE:
            return outcome
        choice = returning.resumed(case, plan, kept)
        if choice is None:
            return replace(outcome, unwell=returning.changed_since(case))
        if not _rolls(thing):
            return _for_later(site, choice)
        settling = Settling(site, choice.goal.pods, written=thing)
        look = partial(_unless_stuck, site, choice, settling) if _waits_in_line(site, thing) else settling
        patience = patience_for(thing, in_line=_count(thing))
        return returning.over(site, choice, watched(site, case.tools, look, patience=patience))


def _for_later(site: Site, choice: Choice) -> Outcome:
    said = f"{site.workload} was given {choice.goal.hash} again; each pod gets it once it is deleted."
    return replace(returning.over(site, choice, ""), said=said)


def _unless_stuck(site: Site, choice: Choice, settling: Settling, thing: Thing) -> Standing:
    names = sorted(one["metadata"]["name"] for one in stuck(site, thing, choice.goal))
    if names:
        said = f"It waits for pods that have to be deleted first: {', '.join(names)}."
        return Standing(said="stuck", failed=said)
    return settling(thing)


def _patch(thing: Thing, choice: Choice, run: str) -> Thing:
    """As it was kept, for the object as it was read: any write since then is a 409, and nothing is done."""
    meta = thing["metadata"]
    head = {"uid": meta["uid"], "resourceVersion": meta["resourceVersion"], "annotations": marks.annotation(run)}
    return {**choice.goal.kept["data"], "metadata": head}


def _writes(site: Site, thing: Thing) -> Iterator[Access]:
    yield place.changing(site.workload)
    if _rolls(thing) and _waits_in_line(site, thing):
        yield Access(verb="delete", group="", resource="pods", namespace=site.workload.namespace)


def _warnings(site: Site, thing: Thing) -> Iterator[str]:
    if not _rolls(thing):
        yield "Its update strategy is OnDelete: no pod moves until somebody deletes it."
        return
    if site.workload.kind != kinds.STATEFULSET:
        return
    partition = partition_of(thing)
    if partition:
        yield f"Its partition is {partition}: pods below {site.workload.name}-{partition} do not move."
    if _waits_in_line(site, thing):
        yield (
            "It waits for ever for a pod that does not get ready: pods of other revisions that are not ready then are"
            f" deleted, at most {wanted(thing)}."
        )


def _rolls(thing: Thing) -> bool:
    return bool((thing["spec"].get("updateStrategy") or {}).get("type", "RollingUpdate") == "RollingUpdate")


def _waits_in_line(site: Site, thing: Thing) -> bool:
    """Whether one pod that is not ready holds up all others."""
    ordered = thing["spec"].get("podManagementPolicy", "OrderedReady") == "OrderedReady"
    return ordered and site.workload.kind == kinds.STATEFULSET


def _count(thing: Thing) -> int:
    return counted(thing, "desiredNumberScheduled") or wanted(thing)
