"""How far the rollout of a workload is: the rules of `kubectl rollout status`, made stricter. Pure.

Stricter: every replica has to be available, not only updated; old replicas must be gone; a StatefulSet without a
partition must have made its update revision the current one.
https://github.com/kubernetes/kubernetes/blob/master/staging/src/k8s.io/kubectl/pkg/polymorphichelpers/rollout_status.go
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from bot.core.kubernetes import KubernetesObject, ResourceKind
from bot.workloads.objects import kinds
from bot.workloads.objects.argo_rollout import Phase, observed, phase_of

#: The default progress deadline of Kubernetes, and the bot's own margin after it.
_DEADLINE_S, _MARGIN_S = 600, 60
_EACH = timedelta(minutes=1)
#: The controller sets this on a Deployment with the first ReplicaSet.
_REVISION = "deployment.kubernetes.io/revision"


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkloadStatus:
    """The progress of a rollout. Neither `done` nor `failed`: it is under way."""

    message: str  #: "4 of 6 are ready", for people
    done: bool = False
    failed: str = ""  #: why it will not finish by itself: a sentence
    not_observed: bool = False  #: its controller has not seen the change yet

    def with_reason(self, reason: str) -> WorkloadStatus:
        """With the reason of the wait: a sentence, or "" if unknown."""
        return replace(self, message=f"{self.message}; {reason.rstrip('.')}") if reason else self


def status_of(kind: ResourceKind, thing: KubernetesObject) -> WorkloadStatus:
    """The progress of that workload towards its spec."""
    return _RULES[kind](thing)


def timeout_for(thing: KubernetesObject, *, in_line: int = 0) -> timedelta:
    """How long its rollout may take: its own progress deadline and a margin.

    `in_line`: the number of pods that are replaced one after the other; each may take a while.
    """
    message = (thing.get("spec") or {}).get("progressDeadlineSeconds") or _DEADLINE_S
    return timedelta(seconds=min(int(message), 3600) + _MARGIN_S) + _EACH * in_line


def desired_replicas(thing: KubernetesObject) -> int:
    """The replicas that its spec asks for; 1 if unset."""
    count = (thing.get("spec") or {}).get("replicas")
    return 1 if count is None else int(count)


def status_count(thing: KubernetesObject, name: str) -> int:
    """A count in its status; counts of 0 are left out there."""
    return int((thing.get("status") or {}).get(name) or 0)


def condition(thing: KubernetesObject, kind: str) -> Mapping[str, Any]:
    """That condition of its status; empty where there is none."""
    for one in (thing.get("status") or {}).get("conditions") or ():
        if one.get("type") == kind:
            return dict(one)
    return {}


def is_paused(kind: ResourceKind, thing: KubernetesObject) -> bool:
    """Whether it is a paused Deployment, which rolls out no new template.

    Its replica count still takes effect: the controller scales the existing ReplicaSets.
    """
    return kind == kinds.DEPLOYMENT and bool((thing.get("spec") or {}).get("paused"))


def waits_for_resume(kind: ResourceKind, thing: KubernetesObject) -> bool:
    """Whether it is paused and has no ReplicaSet yet: no pod is created before it is resumed."""
    rolled_out = (thing["metadata"].get("annotations") or {}).get(_REVISION)
    return is_paused(kind, thing) and not rolled_out and not status_count(thing, "replicas")


def surge_of(thing: KubernetesObject) -> int:
    """How many pods a Deployment may have above its count while it has pods of two templates."""
    spec = thing.get("spec") or {}
    rolling = (spec.get("strategy") or {}).get("rollingUpdate")
    message = "0" if rolling is None else str(rolling.get("maxSurge", "25%"))
    return -(-int(message[:-1]) * desired_replicas(thing) // 100) if message.endswith("%") else int(message)


def is_ready(thing: KubernetesObject) -> bool:
    """Whether the Ready condition of a pod or node is true."""
    return condition(thing, "Ready").get("status") == "True"


def not_observed(kind: ResourceKind, thing: KubernetesObject) -> bool:
    """Whether its controller has not seen the current spec. A Rollout keeps `observedGeneration` as a text."""
    if kind == kinds.ROLLOUT:
        return not observed(thing)
    return status_count(thing, "observedGeneration") < int(thing["metadata"].get("generation") or 0)


NOT_OBSERVED = WorkloadStatus(message="its controller has not seen the change yet", not_observed=True)


def _deployment(thing: KubernetesObject) -> WorkloadStatus:
    if not_observed(kinds.DEPLOYMENT, thing):
        return NOT_OBSERVED
    progress = condition(thing, "Progressing")
    if progress.get("reason") == "ProgressDeadlineExceeded":
        return WorkloadStatus(
            message="progress deadline exceeded",
            failed=f"It made no progress in time: {progress.get('message', '')}".rstrip(": "),
        )
    count, updated = desired_replicas(thing), status_count(thing, "updatedReplicas")
    if updated < count:
        return WorkloadStatus(message=f"{updated} of {count} are of the new revision")
    if status_count(thing, "replicas") > updated:
        return WorkloadStatus(
            message=f"{status_count(thing, 'replicas') - updated} of the old revision are still there"
        )
    return _available(thing, count)


def _available(thing: KubernetesObject, count: int) -> WorkloadStatus:
    available = status_count(thing, "availableReplicas")
    return WorkloadStatus(message=f"{available} of {count} are available", done=available >= count)


def _statefulset(thing: KubernetesObject) -> WorkloadStatus:
    if not_observed(kinds.STATEFULSET, thing) or not status_count(thing, "observedGeneration"):
        return NOT_OBSERVED
    spec, count = thing["spec"], desired_replicas(thing)
    if status_count(thing, "replicas") > count:
        return WorkloadStatus(message=f"{status_count(thing, 'replicas') - count} surplus pods are still there")
    if status_count(thing, "readyReplicas") < count:
        return WorkloadStatus(message=f"{status_count(thing, 'readyReplicas')} of {count} are ready")
    strategy = spec.get("updateStrategy") or {}
    if strategy.get("type", "RollingUpdate") == "RollingUpdate":
        partition = int((strategy.get("rollingUpdate") or {}).get("partition") or 0)
        updated = status_count(thing, "updatedReplicas")
        if partition and updated < count - partition:
            return WorkloadStatus(
                message=f"{updated} of {count - partition} above the partition are of the new revision"
            )
        status = thing.get("status") or {}
        if not partition and status.get("updateRevision") != status.get("currentRevision"):
            return WorkloadStatus(message=f"{updated} of {count} are of the new revision")
    return _available(thing, count)


def _daemonset(thing: KubernetesObject) -> WorkloadStatus:
    if not_observed(kinds.DAEMONSET, thing):
        return NOT_OBSERVED
    count, updated = status_count(thing, "desiredNumberScheduled"), status_count(thing, "updatedNumberScheduled")
    rolling = (thing["spec"].get("updateStrategy") or {}).get("type", "RollingUpdate") == "RollingUpdate"
    if rolling and updated < count:
        return WorkloadStatus(message=f"{updated} of {count} are of the new revision")
    available = status_count(thing, "numberAvailable")
    return WorkloadStatus(message=f"{available} of {count} are available", done=available >= count)


def _rollout(thing: KubernetesObject) -> WorkloadStatus:
    """An Argo Rollout."""
    if not_observed(kinds.ROLLOUT, thing):
        return NOT_OBSERVED
    phase, message = phase_of(thing)
    if phase is Phase.DEGRADED:
        return WorkloadStatus(
            message="degraded", failed=f"Argo Rollouts says that it is degraded: {message or 'no reason given'}."
        )
    if phase is not Phase.HEALTHY:
        return WorkloadStatus(message=f"{phase}{f', {message}' if message else ''}")
    return _available(thing, desired_replicas(thing))


_RULES: dict[ResourceKind, Callable[[KubernetesObject], WorkloadStatus]] = {
    kinds.DEPLOYMENT: _deployment,
    kinds.STATEFULSET: _statefulset,
    kinds.DAEMONSET: _daemonset,
    kinds.ROLLOUT: _rollout,
}
