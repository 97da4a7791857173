"""A Deployment goes back to a ReplicaSet that it still has, as `kubectl rollout undo` does it, and pinned to that one.

The trap: kubectl also replaces the Deployment's annotations by the ReplicaSet's, and drops whatever was set on it since
that was made: a paging team, a tool's own mark. Here they stay. The change cause alone goes back with the template,
because it is about the template, and `kubectl rollout history` would tell the wrong one.
https://github.com/kubernetes/kubernetes/blob/master/staging/src/k8s.io/kubectl/pkg/polymorphichelpers/rollback.go
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from bot.acts import Ended, Outcome, Plan
from bot.clusters import How, Thing
from bot.workloads import history, marks, place, returning
from bot.workloads.history import Choice
from bot.workloads.settling import Settling
from bot.workloads.status import patience_for
from bot.workloads.watching import watched
from bot.workloads.ways import Case

_CAUSE = "kubernetes.io/change-cause"


class ByReplicaSet:
    name = "deployment"

    def plan(self, case: Case) -> Plan:
        site, thing = case.site, case.thing
        returning.refuse_paused(case)
        place.check_rights(site, [place.changing(site.workload)])
        kept = history.replicasets(site.cluster, thing)
        template = thing["spec"]["template"]
        choice = history.choose(kept, history.current(kept, thing), template, case.wish)
        return returning.planned(case, choice, tuple(_warnings(thing)))

    def run(self, case: Case, plan: Plan, run: str) -> Outcome:
        """One patch, which fails as a whole where the template is not the one that was read a moment before. Its
        version says nothing here: a busy Deployment's status changes all the time.
        """
        site, thing = case.site, case.thing
        returning.refuse_paused(case)
        choice = returning.still(case, plan, history.replicasets(site.cluster, thing))
        written = site.cluster.patch(site.workload, _steps(thing, choice, run), how=How.STEPS, by=marks.manager(run))
        returning.give_up(case, plan, run)
        return self._watched(case, choice, written)

    def probe(self, case: Case, plan: Plan, run: str) -> Outcome:
        kept = history.replicasets(case.site.cluster, case.thing)
        outcome = returning.looked_for(case, plan, run, kept)
        if outcome.ended is not Ended.DONE:
            return outcome
        choice = returning.resumed(case, plan, kept)
        if choice is None:
            return replace(outcome, unwell=returning.changed_since(case))
        return self._watched(case, choice, case.thing)

    def _watched(self, case: Case, choice: Choice, written: Thing) -> Outcome:
        site = case.site
        look = Settling(site, choice.goal.pods, behind=choice.now.name if choice.now else "", written=written)
        return returning.over(site, choice, watched(site, case.tools, look, patience=patience_for(case.thing)))


def _steps(thing: Thing, choice: Choice, run: str) -> list[dict[str, object]]:
    cause = (choice.goal.kept["metadata"].get("annotations") or {}).get(_CAUSE)
    return [
        {"op": "test", "path": "/metadata/uid", "value": thing["metadata"]["uid"]},
        {"op": "test", "path": "/spec/template", "value": thing["spec"]["template"]},
        {"op": "replace", "path": "/spec/template", "value": choice.goal.template},
        *marks.noted(thing, {**marks.annotation(run), _CAUSE: cause}),
    ]


def _warnings(thing: Thing) -> Iterator[str]:
    strategy = thing["spec"].get("strategy") or {}
    if strategy.get("type") == "Recreate":
        yield "Its strategy is Recreate: no pod runs until the older ones are gone and the first new one is ready."
