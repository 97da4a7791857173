"""Rolls StatefulSets and DaemonSets back to a ControllerRevision: a patch stored by their controller, sent unchanged.

The traps: the patch is sent exactly as it was stored, because parsing the template into types would lose unknown
fields; and a StatefulSet with broken pods stays broken until those are deleted (`stuck_pods`).
https://github.com/kubernetes/kubernetes/blob/master/staging/src/k8s.io/kubectl/pkg/polymorphichelpers/rollback.go
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from bot.core.kubernetes import KubernetesObject, PatchType, ResourceAccess
from bot.core.plan import Outcome, Plan, Result
from bot.core.site import ServiceTarget
from bot.workloads.objects import kinds, run_markers
from bot.workloads.objects import target as targets
from bot.workloads.objects.pod_progress import PodProgress
from bot.workloads.objects.status import WorkloadStatus, desired_replicas, status_count, timeout_for
from bot.workloads.objects.strategy import StrategyRequest
from bot.workloads.objects.wait import wait_until_ready
from bot.workloads.rollback import common, revisions
from bot.workloads.rollback.revisions import RevisionChoice
from bot.workloads.rollback.stuck_pods import StuckPodRemoval, partition_of, stuck_pods


class ControllerRevisionRollback:
    name = "revisions"

    def plan(self, request: StrategyRequest) -> Plan:
        target, thing = request.site, request.workload
        targets.check_rights(target, list(_writes(target, thing)))
        kept = revisions.controller_revisions(target.cluster, thing)
        choice = revisions.choose(kept, revisions.current(kept, thing), thing["spec"]["template"], request.wanted)
        return common.rollback_plan(request, choice, tuple(_warnings(target, thing)))

    def run(self, request: StrategyRequest, plan: Plan, run: str) -> Outcome:
        target, thing = request.site, request.workload
        choice = common.recheck(request, plan, revisions.controller_revisions(target.cluster, thing))
        patch, by = _patch(thing, choice, run), run_markers.field_manager(run)
        written = target.cluster.patch(target.workload, patch, how=PatchType.STRATEGIC, by=by)
        common.release_fields(request, plan, run)
        if not _rolls(thing):
            return _for_later(target, choice)
        timeout = timeout_for(thing, in_line=_count(thing))
        if not _waits_in_line(target, thing):
            progress = PodProgress(target, choice.goal.pods, written=written)
            return common.rollback_outcome(
                target, choice, wait_until_ready(target, request.tools, progress, timeout=timeout)
            )
        check = StuckPodRemoval(target, choice.goal, most=desired_replicas(thing), written=written)
        outcome = common.rollback_outcome(
            target, choice, wait_until_ready(target, request.tools, check, timeout=timeout)
        )
        if not check.deleted:
            return outcome
        return replace(outcome, message=f"{outcome.message} Deleted: {', '.join(sorted(check.deleted.values()))}.")

    def probe(self, request: StrategyRequest, plan: Plan, run: str) -> Outcome:
        """Resumes the wait without deleting anything: only a person knows whether that is still wanted."""
        target, thing = request.site, request.workload
        kept = revisions.controller_revisions(target.cluster, thing)
        outcome = common.probe_revision(request, plan, run, kept)
        if outcome.result is not Result.DONE:
            return outcome
        choice = common.resume_choice(request, plan, kept)
        if choice is None:
            return replace(outcome, degraded=common.changed_since(request))
        if not _rolls(thing):
            return _for_later(target, choice)
        progress = PodProgress(target, choice.goal.pods, written=thing)
        check = partial(_unless_stuck, target, choice, progress) if _waits_in_line(target, thing) else progress
        timeout = timeout_for(thing, in_line=_count(thing))
        return common.rollback_outcome(target, choice, wait_until_ready(target, request.tools, check, timeout=timeout))


def _for_later(target: ServiceTarget, choice: RevisionChoice) -> Outcome:
    message = f"{target.workload} was set back to {choice.goal.hash}; each pod gets it when somebody deletes it."
    return replace(common.rollback_outcome(target, choice, ""), message=message)


def _unless_stuck(
    target: ServiceTarget, choice: RevisionChoice, progress: PodProgress, thing: KubernetesObject
) -> WorkloadStatus:
    names = sorted(one["metadata"]["name"] for one in stuck_pods(target, thing, choice.goal))
    if names:
        message = f"It waits for pods that have to be deleted first: {', '.join(names)}."
        return WorkloadStatus(message="stuck", failed=message)
    return progress(thing)


def _patch(thing: KubernetesObject, choice: RevisionChoice, run: str) -> KubernetesObject:
    """The stored patch, for the object as it was read: after any other write it fails with 409, and nothing is done."""
    meta = thing["metadata"]
    head = {"uid": meta["uid"], "resourceVersion": meta["resourceVersion"], "annotations": run_markers.annotation(run)}
    return {**choice.goal.kept["data"], "metadata": head}


def _writes(target: ServiceTarget, thing: KubernetesObject) -> Iterator[ResourceAccess]:
    yield targets.patch_access(target.workload)
    if _rolls(thing) and _waits_in_line(target, thing):
        yield ResourceAccess(verb="delete", group="", resource="pods", namespace=target.workload.namespace)


def _warnings(target: ServiceTarget, thing: KubernetesObject) -> Iterator[str]:
    if not _rolls(thing):
        yield "Its update strategy is OnDelete: no pod is replaced until somebody deletes it."
        return
    if target.workload.kind != kinds.STATEFULSET:
        return
    partition = partition_of(thing)
    if partition:
        yield f"Its partition is {partition}: pods below {target.workload.name}-{partition} are not replaced."
    if _waits_in_line(target, thing):
        yield f"Unready pods of other revisions would block it, and are deleted: at most {desired_replicas(thing)}."


def _rolls(thing: KubernetesObject) -> bool:
    return bool((thing["spec"].get("updateStrategy") or {}).get("type", "RollingUpdate") == "RollingUpdate")


def _waits_in_line(target: ServiceTarget, thing: KubernetesObject) -> bool:
    """Whether one unready pod blocks all others."""
    ordered = thing["spec"].get("podManagementPolicy", "OrderedReady") == "OrderedReady"
    return ordered and target.workload.kind == kinds.STATEFULSET


def _count(thing: KubernetesObject) -> int:
    return status_count(thing, "desiredNumberScheduled") or desired_replicas(thing)
