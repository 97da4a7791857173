"""Rolls a Deployment back to a ReplicaSet that it still has, like `kubectl rollout undo`, pinned to that one.

The trap: kubectl also replaces the Deployment's annotations by the ReplicaSet's, and drops those set since: a paging
team, a tool's own mark. Here they stay. Only the change cause is rolled back with the template: it describes the
template, and `kubectl rollout history` would show the wrong one.
https://github.com/kubernetes/kubernetes/blob/master/staging/src/k8s.io/kubectl/pkg/polymorphichelpers/rollback.go
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from bot.core.kubernetes import KubernetesObject, PatchType
from bot.core.plan import Outcome, Plan, Result
from bot.workloads.objects import run_markers
from bot.workloads.objects import target as targets
from bot.workloads.objects.pod_progress import PodProgress
from bot.workloads.objects.status import timeout_for
from bot.workloads.objects.strategy import StrategyRequest
from bot.workloads.objects.wait import wait_until_ready
from bot.workloads.rollback import common, revisions
from bot.workloads.rollback.revisions import RevisionChoice

_CAUSE = "kubernetes.io/change-cause"


class ReplicaSetRollback:
    name = "deployment"

    def plan(self, request: StrategyRequest) -> Plan:
        target, thing = request.site, request.workload
        common.refuse_paused(request)
        targets.check_rights(target, [targets.patch_access(target.workload)])
        kept = revisions.replicasets(target.cluster, thing)
        template = thing["spec"]["template"]
        choice = revisions.choose(kept, revisions.current(kept, thing), template, request.wanted)
        return common.rollback_plan(request, choice, tuple(_warnings(thing)))

    def run(self, request: StrategyRequest, plan: Plan, run: str) -> Outcome:
        """One patch, which fails as a whole if the template has changed since it was read.

        The resource version is no test for that: the status of a busy Deployment changes all the time.
        """
        target, thing = request.site, request.workload
        common.refuse_paused(request)
        choice = common.recheck(request, plan, revisions.replicasets(target.cluster, thing))
        written = target.cluster.patch(
            target.workload, _steps(thing, choice, run), how=PatchType.JSON, by=run_markers.field_manager(run)
        )
        common.release_fields(request, plan, run)
        return self._watched(request, choice, written)

    def probe(self, request: StrategyRequest, plan: Plan, run: str) -> Outcome:
        kept = revisions.replicasets(request.site.cluster, request.workload)
        outcome = common.probe_revision(request, plan, run, kept)
        if outcome.result is not Result.DONE:
            return outcome
        choice = common.resume_choice(request, plan, kept)
        if choice is None:
            return replace(outcome, degraded=common.changed_since(request))
        return self._watched(request, choice, request.workload)

    def _watched(self, request: StrategyRequest, choice: RevisionChoice, written: KubernetesObject) -> Outcome:
        target = request.site
        check = PodProgress(target, choice.goal.pods, behind=choice.now.name if choice.now else "", written=written)
        return common.rollback_outcome(
            target, choice, wait_until_ready(target, request.tools, check, timeout=timeout_for(request.workload))
        )


def _steps(thing: KubernetesObject, choice: RevisionChoice, run: str) -> list[dict[str, object]]:
    cause = (choice.goal.kept["metadata"].get("annotations") or {}).get(_CAUSE)
    return [
        {"op": "test", "path": "/metadata/uid", "value": thing["metadata"]["uid"]},
        {"op": "test", "path": "/spec/template", "value": thing["spec"]["template"]},
        {"op": "replace", "path": "/spec/template", "value": choice.goal.template},
        *run_markers.annotation_patch(thing, {**run_markers.annotation(run), _CAUSE: cause}),
    ]


def _warnings(thing: KubernetesObject) -> Iterator[str]:
    strategy = thing["spec"].get("strategy") or {}
    if strategy.get("type") == "Recreate":
        yield "Its strategy is Recreate: no pod runs between the end of the old ones and the first ready new one."
