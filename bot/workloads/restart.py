"""Restarts the pods of a workload with the same template, by the annotation that `kubectl rollout restart` sets.

A Rollout has a field for that. Its controller evicts the older pods, as many at once as may be unavailable. The time is
set by the run and is in no plan, which would be another plan each second.
https://argo-rollouts.readthedocs.io/en/stable/features/restart/
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from http import HTTPStatus

from bot.core.action import Tools
from bot.core.errors import Conflict, Rejected
from bot.core.kubernetes import KubernetesObject, PatchType
from bot.core.plan import Outcome, Plan, Result
from bot.core.site import ServiceTarget
from bot.workloads.objects import kinds, pods, run_markers
from bot.workloads.objects import target as targets
from bot.workloads.objects.argo_rollout import observed
from bot.workloads.objects.owners import ManagedBy
from bot.workloads.objects.pod_progress import PodProgress
from bot.workloads.objects.status import WorkloadStatus, desired_replicas, status_count, status_of, timeout_for
from bot.workloads.objects.wait import wait_until_ready

#: Keys of a plan's preconditions: the object, and a digest of its pod template.
_UID, _RUNS = "uid", "runs"
_RESTARTED = "kubectl.kubernetes.io/restartedAt"
#: Remembered for the wait: the time of the restart, the phase of a Rollout before, the age of the newest pod before.
_AT, _PHASE, _NEWEST = "at", "phase", "newest"


def plan(target: ServiceTarget, thing: KubernetesObject) -> Plan:
    targets.check_not_deleting(target, thing)
    _check_can_restart(target, thing)
    targets.check_rights(target, [targets.patch_access(target.workload)])
    return Plan(
        target=target.service,
        effect=(
            f"Every pod of {target.workload} is replaced by a new one with the same template.",
            "There is no undo: data in the memory of the pods is lost.",
            *_warnings(target, thing),
        ),
        blast_radius=f"all pods of {target.workload}",
        preconditions={_UID: thing["metadata"]["uid"], _RUNS: _digest(target, thing)},
        hidden=(_UID, _RUNS),
    )


def run(target: ServiceTarget, thing: KubernetesObject, plan: Plan, run: str, tools: Tools) -> Outcome:
    """Raises `Conflict` if it was restarted or changed since the plan was made."""
    targets.check_not_deleting(target, thing)
    _check_can_restart(target, thing)
    if (thing["metadata"]["uid"], _digest(target, thing)) != (plan.preconditions[_UID], plan.preconditions[_RUNS]):
        raise Conflict(f"{target.workload} was restarted or changed since the plan")
    there = pods.pods_of(target.cluster, thing)
    older, at = frozenset(one["metadata"]["uid"] for one in there), _after(there, tools.now())
    phase, newest = str(_status(thing).get("phase", "")), max(map(_born, there), default="")
    tools.remember({_AT: at, _PHASE: phase, _NEWEST: newest})
    written = target.cluster.patch(
        target.workload, _steps(target, thing, run, at), how=PatchType.JSON, by=run_markers.field_manager(run)
    )
    return _wait(target, tools, _Restarting(target, phase, older, at, written), thing)


def probe(target: ServiceTarget, thing: KubernetesObject, plan: Plan, run: str, tools: Tools) -> Outcome:
    if run_markers.written_by(thing, run):
        return _resume_wait(target, thing, tools)
    if _digest(target, thing) == plan.preconditions[_RUNS]:
        return Outcome(result=Result.FAILED, message=f"{target.workload} was not restarted. Nothing was changed.")
    return Outcome(result=Result.UNKNOWN, message=f"{target.workload} was restarted or changed; it is unknown by whom.")


def _wait(target: ServiceTarget, tools: Tools, check: _Restarting, thing: KubernetesObject) -> Outcome:
    timeout = timeout_for(thing, in_line=status_count(thing, "desiredNumberScheduled") or desired_replicas(thing))
    reason = wait_until_ready(target, tools, check, timeout=timeout)
    message = f"{target.workload} {'was restarted' if reason else 'is restarted and ready'}."
    return Outcome(result=Result.DONE, message=message, degraded=reason)


def _resume_wait(target: ServiceTarget, thing: KubernetesObject, tools: Tools) -> Outcome:
    """Waits as `run` would have. Older pods are those up to the newest one before, by the cluster's own clock."""
    at, newest = tools.remembered.get(_AT, _restarted_at(target, thing)), tools.remembered.get(_NEWEST, "")
    if _restarted_at(target, thing) != at:
        path = ("restartAt",) if target.workload.kind == kinds.ROLLOUT else ("template",)
        reason = f"It was restarted or changed since by {run_markers.owner_name_of_field(thing, 'spec', *path)}."
        return Outcome(result=Result.DONE, message=f"{target.workload} was restarted.", degraded=reason)
    there = pods.pods_of(target.cluster, thing)
    older = frozenset(one["metadata"]["uid"] for one in there if _born(one) <= newest)
    return _wait(target, tools, _Restarting(target, tools.remembered.get(_PHASE, ""), older, at, thing), thing)


class _Restarting:
    """A `ProgressCheck` (see `objects.wait`). Pods that were there before are not judged.

    A Rollout that waits in the middle of its steps, or was aborted, only has to be restarted: it need not get further.
    """

    def __init__(
        self, target: ServiceTarget, phase: str, older: frozenset[str], at: str, written: KubernetesObject
    ) -> None:
        self._target = target
        self._phase = phase  #: before the restart
        self._at = at
        rule = self._of_rollout if target.workload.kind == kinds.ROLLOUT else None
        self._pods = PodProgress(target, "", older=older, written=written, rule=rule)

    def __call__(self, thing: KubernetesObject) -> WorkloadStatus:
        return self._pods(thing)

    def _of_rollout(self, thing: KubernetesObject) -> WorkloadStatus:
        """In the same phase as before, degraded or paused, only its pods count: Argo Rollouts reports the restart as
        complete when it removes the last old pods, before there is anything in their place.
        """
        progress, status = status_of(kinds.ROLLOUT, thing), _status(thing)
        same = status.get("phase", "") == self._phase and observed(thing)
        if progress.failed and not same:
            return progress
        if status.get("restartedAt") != self._at:
            return WorkloadStatus(message="its controller still has pods to restart")
        if not same:
            return progress
        available, count = status_count(thing, "availableReplicas"), desired_replicas(thing)
        return WorkloadStatus(message=f"{available} of {count} are available", done=available >= count)


def _status(thing: KubernetesObject) -> KubernetesObject:
    return thing.get("status") or {}


def _check_can_restart(target: ServiceTarget, thing: KubernetesObject) -> None:
    spec, workload = thing["spec"], target.workload
    if workload.kind == kinds.DEPLOYMENT and spec.get("paused"):
        message = f"{workload} is paused, so no pod would be replaced. Nothing was done."
        hint = f"Run `kubectl rollout resume deployment/{workload.name}` first."
        raise Rejected(f"{message} {hint}", code="paused", status=HTTPStatus.CONFLICT)
    if (spec.get("updateStrategy") or {}).get("type") == "OnDelete":
        message = f"{workload} has the update strategy OnDelete, so no pod would be replaced. Nothing was done."
        raise Rejected(f"{message} Delete its pods by hand.", code="on_delete", status=HTTPStatus.CONFLICT)


def _warnings(target: ServiceTarget, thing: KubernetesObject) -> Iterator[str]:
    owner = targets.owner_of(target, thing)
    if owner.by is ManagedBy.OPERATOR:
        yield f"It is managed by {owner}, which may revert the restart's annotation."
    if (thing["spec"].get("strategy") or {}).get("type") == "Recreate":
        yield "Its strategy is Recreate: all pods end before the first new one starts."
    if desired_replicas(thing) == 1 and target.workload.kind != kinds.DAEMONSET:
        yield "It has one replica: nothing serves if that pod ends before the new one is ready."
    if target.workload.kind == kinds.ROLLOUT:
        yield "Argo Rollouts replaces no more pods at once than may be unavailable, and waits for disruption budgets."


def _steps(target: ServiceTarget, thing: KubernetesObject, run: str, at: str) -> list[dict[str, object]]:
    uid = {"op": "test", "path": "/metadata/uid", "value": thing["metadata"]["uid"]}
    if target.workload.kind == kinds.ROLLOUT:
        return [
            uid,
            {"op": "add", "path": "/spec/restartAt", "value": at},
            *run_markers.annotation_patch(thing, run_markers.annotation(run)),
        ]
    template = thing["spec"]["template"]
    inside = [
        {**step, "path": f"/spec/template{step['path']}"}
        for step in run_markers.annotation_patch(template, {_RESTARTED: at})
    ]
    same = {"op": "test", "path": "/spec/template", "value": template}
    return [uid, same, *inside, *run_markers.annotation_patch(thing, run_markers.annotation(run))]


def _restarted_at(target: ServiceTarget, thing: KubernetesObject) -> str:
    if target.workload.kind == kinds.ROLLOUT:
        return str(thing["spec"].get("restartAt") or "")
    meta = thing["spec"]["template"].get("metadata") or {}
    return str((meta.get("annotations") or {}).get(_RESTARTED, ""))


def _born(pod: KubernetesObject) -> str:
    return str(pod["metadata"]["creationTimestamp"])


def _after(there: Iterable[KubernetesObject], now: datetime) -> str:
    """Now, or one second after the newest of those pods: Argo Rollouts skips pods created at that very time."""
    born = (datetime.fromisoformat(one["metadata"]["creationTimestamp"]) for one in there)
    at = max([now, *(one + timedelta(seconds=1) for one in born)])
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _digest(target: ServiceTarget, thing: KubernetesObject) -> str:
    """A digest of the template, and of the time of the last restart where the template does not have it."""
    what = thing["spec"].get("restartAt") if target.workload.kind == kinds.ROLLOUT else None
    message = json.dumps([thing["spec"].get("template"), what], sort_keys=True)
    return hashlib.sha256(message.encode()).hexdigest()[:16]
