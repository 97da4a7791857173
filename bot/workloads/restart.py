"""A workload's pods are started anew, with the same template: the mark that `kubectl rollout restart` sets in it.

A Rollout has a field for that, and its controller evicts older pods, as many at once as may be unavailable. The time is
set when it runs and is in no plan, which would be another one each second.
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
from bot.workloads.objects import target as place
from bot.workloads.objects.argo_rollout import observed
from bot.workloads.objects.owners import ManagedBy
from bot.workloads.objects.pod_progress import PodProgress
from bot.workloads.objects.status import WorkloadStatus, desired_replicas, status_count, status_of, timeout_for
from bot.workloads.objects.wait import wait_until_ready

#: Names in a plan's `seen`: the object, and a digest of what its pods are made of.
_UID, _RUNS = "uid", "runs"
_RESTARTED = "kubectl.kubernetes.io/restartedAt"
#: What is noted for the watch: the mark, the phase that a Rollout had, and when the newest pod was made that was there.
_AT, _PHASE, _NEWEST = "at", "phase", "newest"


def plan(target: ServiceTarget, thing: KubernetesObject) -> Plan:
    place.check_not_deleting(target, thing)
    _refuse_what_stands_still(target, thing)
    place.check_rights(target, [place.patch_access(target.workload)])
    return Plan(
        target=target.service,
        effect=(
            f"Every pod of {target.workload} is replaced by one that runs the same.",
            *_warnings(target, thing),
            "There is no undo: what its pods held in memory is gone.",
        ),
        blast_radius=f"all pods of {target.workload}",
        preconditions={_UID: thing["metadata"]["uid"], _RUNS: _digest(target, thing)},
        hidden=(_UID, _RUNS),
    )


def run(target: ServiceTarget, thing: KubernetesObject, plan: Plan, run: str, tools: Tools) -> Outcome:
    """Raises `Moved` where it was restarted, or changed, since the plan was made."""
    place.check_not_deleting(target, thing)
    _refuse_what_stands_still(target, thing)
    if (thing["metadata"]["uid"], _digest(target, thing)) != (plan.preconditions[_UID], plan.preconditions[_RUNS]):
        raise Conflict(f"{target.workload} was restarted or changed since")
    there = pods.pods_of(target.cluster, thing)
    older, at = frozenset(one["metadata"]["uid"] for one in there), _after(there, tools.now())
    phase, newest = str(_status(thing).get("phase", "")), max(map(_born, there), default="")
    tools.remember({_AT: at, _PHASE: phase, _NEWEST: newest})
    written = target.cluster.patch(
        target.workload, _steps(target, thing, run, at), how=PatchType.JSON, by=run_markers.field_manager(run)
    )
    return _watched(target, tools, _Restarting(target, phase, older, at, written), thing)


def probe(target: ServiceTarget, thing: KubernetesObject, plan: Plan, run: str, tools: Tools) -> Outcome:
    if run_markers.written_by(thing, run):
        return _watched_on(target, thing, tools)
    if _digest(target, thing) == plan.preconditions[_RUNS]:
        return Outcome(result=Result.FAILED, message=f"{target.workload} was not told to restart. Nothing was changed.")
    return Outcome(
        result=Result.UNKNOWN, message=f"{target.workload} was restarted or changed; it does not say by whom."
    )


def _watched(target: ServiceTarget, tools: Tools, look: _Restarting, thing: KubernetesObject) -> Outcome:
    patience = timeout_for(thing, in_line=status_count(thing, "desiredNumberScheduled") or desired_replicas(thing))
    reason = wait_until_ready(target, tools, look, timeout=patience)
    message = f"{target.workload} {'was told to restart' if reason else 'is restarted'}."
    return Outcome(result=Result.DONE, message=message, degraded=reason)


def _watched_on(target: ServiceTarget, thing: KubernetesObject, tools: Tools) -> Outcome:
    """As `run` would have watched it. Older pods are known by the newest of them, by the cluster's own clock."""
    at, newest = tools.remembered.get(_AT, _restarted_at(target, thing)), tools.remembered.get(_NEWEST, "")
    if _restarted_at(target, thing) != at:
        path = ("restartAt",) if target.workload.kind == kinds.ROLLOUT else ("template",)
        reason = f"It was restarted or changed since by {run_markers.owner_name_of_field(thing, 'spec', *path)}."
        return Outcome(result=Result.DONE, message=f"{target.workload} was told to restart.", degraded=reason)
    there = pods.pods_of(target.cluster, thing)
    older = frozenset(one["metadata"]["uid"] for one in there if _born(one) <= newest)
    return _watched(target, tools, _Restarting(target, tools.remembered.get(_PHASE, ""), older, at, thing), thing)


class _Restarting:
    """A `watching.ProgressCheck`. Pods that were there before are not judged.

    A Rollout that waits halfway, or was aborted, is as well afterwards as it was: it only has to be restarted.
    """

    def __init__(
        self, target: ServiceTarget, phase: str, older: frozenset[str], at: str, written: KubernetesObject
    ) -> None:
        self._target = target
        self._phase = phase  #: that it had before
        self._at = at
        rule = self._of_rollout if target.workload.kind == kinds.ROLLOUT else None
        self._settling = PodProgress(target, "", older=older, written=written, rule=rule)

    def __call__(self, thing: KubernetesObject) -> WorkloadStatus:
        return self._settling(thing)

    def _of_rollout(self, thing: KubernetesObject) -> WorkloadStatus:
        """In the phase that it had before, degraded or paused, only its pods count: Argo Rollouts says that all are
        restarted when it takes the last ones away, before there is anything in their place.
        """
        standing, status = status_of(kinds.ROLLOUT, thing), _status(thing)
        same = status.get("phase", "") == self._phase and observed(thing)
        if standing.failed and not same:
            return standing
        if status.get("restartedAt") != self._at:
            return WorkloadStatus(message="its controller still has pods to restart")
        if not same:
            return standing
        available, count = status_count(thing, "availableReplicas"), desired_replicas(thing)
        return WorkloadStatus(message=f"{available} of {count} are available", done=available >= count)


def _status(thing: KubernetesObject) -> KubernetesObject:
    return thing.get("status") or {}


def _refuse_what_stands_still(target: ServiceTarget, thing: KubernetesObject) -> None:
    spec, workload = thing["spec"], target.workload
    if workload.kind == kinds.DEPLOYMENT and spec.get("paused"):
        message = f"{workload} is paused, so no pod would move. Nothing was done."
        hint = f"`kubectl rollout resume deployment/{workload.name}` first."
        raise Rejected(f"{message} {hint}", code="paused", status=HTTPStatus.CONFLICT)
    if (spec.get("updateStrategy") or {}).get("type") == "OnDelete":
        message = f"{workload} has the update strategy OnDelete, so no pod would move. Nothing was done."
        raise Rejected(f"{message} Delete its pods by hand.", code="on_delete", status=HTTPStatus.CONFLICT)


def _warnings(target: ServiceTarget, thing: KubernetesObject) -> Iterator[str]:
    owner = place.owner_of(target, thing)
    if owner.by is ManagedBy.OPERATOR:
        yield f"It is kept by {owner}, which may take the mark of the restart back."
    if (thing["spec"].get("strategy") or {}).get("type") == "Recreate":
        yield "Its strategy is Recreate: all pods end before the first new one starts."
    if desired_replicas(thing) == 1 and target.workload.kind != kinds.DAEMONSET:
        yield "It has one replica: nothing else serves where that one ends before the new one is ready."
    if target.workload.kind == kinds.ROLLOUT:
        yield "Argo Rollouts takes no more pods at a time than may be unavailable, and waits where a budget forbids it."


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
    """Now, or the second after the newest of those pods: Argo Rollouts passes over one that is made at that time."""
    born = (datetime.fromisoformat(one["metadata"]["creationTimestamp"]) for one in there)
    at = max([now, *(one + timedelta(seconds=1) for one in born)])
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _digest(target: ServiceTarget, thing: KubernetesObject) -> str:
    """Of the template, or of the time of the last restart where that is not in there."""
    what = thing["spec"].get("restartAt") if target.workload.kind == kinds.ROLLOUT else None
    message = json.dumps([thing["spec"].get("template"), what], sort_keys=True)
    return hashlib.sha256(message.encode()).hexdigest()[:16]
