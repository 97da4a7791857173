"""The progress of a workload towards what it was scaled to, and whether somebody has scaled it otherwise since.

Stricter than `kubectl scale`, which also ends when somebody else has set another count: here that is a failure. Pods
that cannot start end the wait with their reason; a quota that prevents pods does after a short while.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from bot.core.errors import Rejected
from bot.core.kubernetes import KubernetesObject, ObjectRef, ResourceKind
from bot.core.site import ServiceTarget
from bot.lib.redact import shown
from bot.workloads.objects import kinds, pods, run_markers, status
from bot.workloads.objects.status import WorkloadStatus
from bot.workloads.scale import autoscalers
from bot.workloads.scale.autoscalers import Autoscaler
from bot.workloads.scale.patch import ABSENT, ScalePatch

#: How long a quota may prevent pods: pods being deleted count towards it until they are gone.
_PASSING_S = 30.0
_LONGEST = 300
_FIELD_NAMES = {"replicas": "It", "floor": "Its floor", "ceiling": "Its ceiling", "paused": "Its pause"}


@dataclass
class Convergence:
    """A `ProgressCheck` (see `objects.wait`). `phase`: a Rollout's before the write, maybe that of a canary."""

    site: ServiceTarget
    patch: ScalePatch
    ref: ObjectRef
    after: dict[str, str]
    phase: str
    elapsed: Callable[[], float]
    off: bool = False  #: the autoscaler is off while there are 0 replicas
    _refused_since: float | None = field(default=None, init=False)

    def __call__(self, workload: KubernetesObject) -> WorkloadStatus:
        held = workload if self.patch.kind is None else self.site.cluster.get(self.ref)
        if held is None:
            return WorkloadStatus(message="gone", failed=f"{self.ref} is gone.")
        lost = overwritten_by(self.patch, held, self.after)
        if lost:
            return WorkloadStatus(message="overwritten", failed=lost)
        progress = self._progress(workload, held)
        if progress.done:
            self._refused_since = None
            return progress
        return self._with_reason(workload, progress)

    def _progress(self, workload: KubernetesObject, held: KubernetesObject) -> WorkloadStatus:
        kind = self.site.workload.kind
        if self.patch.kind is None:
            return replica_status(kind, workload, int(self.after["replicas"]), exact=True, phase=self.phase)
        at = self.after.get("paused", ABSENT)
        if at != ABSENT:
            return replica_status(kind, workload, int(at), exact=True, phase=self.phase)
        if self.after.get("paused") == ABSENT and (waits := self._still_paused(held)):
            return WorkloadStatus(message=waits)
        count = status.desired_replicas(workload)
        floor, ceiling = (0 if self.off else int(self.after["floor"])), int(self.after["ceiling"])
        if (held.get("spec") or {}).get("idleReplicaCount") is not None:
            floor = min(floor, count)  # KEDA keeps fewer while there is no work.
        if not floor <= count <= ceiling:
            return WorkloadStatus(message=f"{count} replicas are desired; its autoscaler has not acted yet")
        return replica_status(kind, workload, floor, exact=False, phase=self.phase)

    def _still_paused(self, scaled: KubernetesObject) -> str:
        """KEDA has to create its HPA again; after a pause it sometimes does not, a known fault of KEDA."""
        if status.condition(scaled, "Paused").get("status") == "True":
            return "KEDA still reports that it is paused; setting the annotation and removing it again may help"
        if autoscalers.made_by_keda(self.site.cluster, scaled) is None:
            return "KEDA has not created its HorizontalPodAutoscaler yet"
        return ""

    def _with_reason(self, workload: KubernetesObject, progress: WorkloadStatus) -> WorkloadStatus:
        """With the reason why it is not done yet, if one can be seen."""
        refused = self._refused(workload)
        if refused:
            now = self.elapsed()
            if self._refused_since is None:
                self._refused_since = now
            if now - self._refused_since >= _PASSING_S:
                return WorkloadStatus(message=progress.message, failed=refused)
            return progress.with_reason(refused)
        self._refused_since = None
        if status.status_count(workload, "replicas") == 0:
            return progress
        mine = pods.pods_of(self.site.cluster, workload)
        hopeless = pods.failing_pods(mine)
        if hopeless:
            return WorkloadStatus(message=progress.message, failed=hopeless)
        return progress.with_reason(pods.stuck_pods(mine))

    def _refused(self, workload: KubernetesObject) -> str:
        """Why pods cannot be created, mostly a quota. A StatefulSet has that only in its events."""
        failing = status.condition(workload, "ReplicaFailure")
        if failing.get("status") == "True":
            return f"{failing.get('reason', 'Failed')}: {_short(failing.get('message'))}."
        if self.site.workload.kind == kinds.STATEFULSET and status.status_count(
            workload, "replicas"
        ) < status.desired_replicas(workload):
            warning = pods.warning_of(self.site.cluster, self.ref.namespace, [workload["metadata"]["uid"]])
            return warning if warning.startswith("FailedCreate") else ""
        return ""


def current_state_note(target: ServiceTarget, patch: ScalePatch, ref: ObjectRef, asked: int) -> str:
    """What to add to the result, where the current count is not the requested one: a sentence, or ""."""
    try:
        workload = target.cluster.get(target.workload)
        auto = _autoscaler(target, patch, ref)
    except Rejected:
        return ""  # A refusal of this read, let through, would be reported as a refusal of the write.
    if workload is None:
        return ""
    if status.waits_for_resume(target.workload.kind, workload):
        return " It is paused: its first pods are created when it is resumed."
    count = status.desired_replicas(workload)
    if auto is None or auto.paused_at is not None or count in (0, asked):
        return ""
    reason = (
        f", because its autoscaler has no metrics ({auto.missing_metrics})"
        if auto.missing_metrics and count > asked
        else ""
    )
    return f" {count} replica{' is' if count == 1 else 's are'} desired now{reason}."


def _autoscaler(target: ServiceTarget, patch: ScalePatch, ref: ObjectRef) -> Autoscaler | None:
    held = target.cluster.get(ref) if patch.kind is not None else None
    if held is None:
        return None
    if patch.kind == kinds.HPA:
        return autoscalers.hpa(held, ref.namespace)
    return autoscalers.scaled_object(held, ref.namespace, autoscalers.made_by_keda(target.cluster, held))


def replica_status(
    kind: ResourceKind, workload: KubernetesObject, count: int, *, exact: bool, phase: str
) -> WorkloadStatus:
    """Whether that many replicas are available; with `exact`, and no more than those."""
    if status.not_observed(kind, workload):
        return status.NOT_OBSERVED
    state = workload.get("status") or {}
    now = str(state.get("phase", ""))
    if kind == kinds.ROLLOUT and now not in ("Healthy", phase):
        return WorkloadStatus(message=f"{now or 'no phase yet'}, {state.get('message') or 'no reason given'}")
    if status.waits_for_resume(kind, workload):
        return WorkloadStatus(message="it is paused: its first pods are created when it is resumed", done=True)
    there, available = status.status_count(workload, "replicas"), status.status_count(workload, "availableReplicas")
    whole = kind != kinds.ROLLOUT or now == "Healthy"  # In the middle of a rollout there are more.
    most = count + _surge(kind, workload)
    if exact and whole and there > most:
        return WorkloadStatus(message=f"{there - most} more than {most} are still there")
    if kind == kinds.STATEFULSET and status.status_count(workload, "readyReplicas") < count:
        return WorkloadStatus(message=f"{status.status_count(workload, 'readyReplicas')} of {count} are ready")
    return WorkloadStatus(message=f"{available} of {count} are available", done=available >= count)


def _surge(kind: ResourceKind, workload: KubernetesObject) -> int:
    """A Deployment that is paused between two templates keeps pods of both, and its surge on top."""
    both = status.status_count(workload, "replicas") > status.status_count(workload, "updatedReplicas")
    return (
        status.surge_of(workload)
        if both and status.is_paused(kind, workload) and status.desired_replicas(workload)
        else 0
    )


def overwritten_by(patch: ScalePatch, held: KubernetesObject, after: dict[str, str]) -> str:
    """Who has set it to another value since: a sentence; "" while it is as it was set."""
    now = patch.read(held)
    for one in patch.values:
        if now[one.name] == after[one.name]:
            continue
        who = run_markers.owner_name_of_field(held, *one.path)
        if now[one.name] == ABSENT:
            return f"Its pause was ended by {who}."
        return f"{_FIELD_NAMES[one.name]} was set back to {now[one.name]} by {who}."
    return ""


def _short(message: object) -> str:
    return shown(str(message or "no reason given"), _LONGEST).rstrip(".")
