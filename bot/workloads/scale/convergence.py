"""How far a workload is with what it was scaled to, and whether that is still what it was scaled to.

Stricter than `kubectl scale`, which ends when somebody else has set another count: here that is told as what it is.
Pods that cannot come up end the wait with their reason; those that a quota keeps away do once that has lasted a little.
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

#: For so long a quota may be in the way: what is being deleted counts for it until it is gone.
_PASSING_S = 30.0
_LONGEST = 300
_WHAT = {"replicas": "It", "floor": "Its floor", "ceiling": "Its ceiling", "paused": "Its pause"}


@dataclass
class Convergence:
    """A `watching.ProgressCheck`. `phase`: that a Rollout had before, which may be the middle of a canary."""

    site: ServiceTarget
    patch: ScalePatch
    ref: ObjectRef
    after: dict[str, str]
    phase: str
    elapsed: Callable[[], float]
    off: bool = False  #: an autoscaler that does nothing while there are 0 replicas
    _refused_since: float | None = field(default=None, init=False)

    def __call__(self, workload: KubernetesObject) -> WorkloadStatus:
        held = workload if self.patch.kind is None else self.site.cluster.get(self.ref)
        if held is None:
            return WorkloadStatus(message="gone", failed=f"{self.ref} is gone.")
        lost = overwritten_by(self.patch, held, self.after)
        if lost:
            return WorkloadStatus(message="taken back", failed=lost)
        standing = self._standing(workload, held)
        if standing.done:
            self._refused_since = None
            return standing
        return self._why(workload, standing)

    def _standing(self, workload: KubernetesObject, held: KubernetesObject) -> WorkloadStatus:
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
            floor = min(floor, count)  # While nothing is to be done KEDA keeps fewer.
        if not floor <= count <= ceiling:
            return WorkloadStatus(message=f"{count} replicas are wanted, and its autoscaler has not acted yet")
        return replica_status(kind, workload, floor, exact=False, phase=self.phase)

    def _still_paused(self, scaled: KubernetesObject) -> str:
        """KEDA's own HPA has to be there again; that it is not, after a pause, is a known fault of KEDA."""
        if status.condition(scaled, "Paused").get("status") == "True":
            return "KEDA still says that it is paused; setting the annotation and removing it again may help"
        if autoscalers.made_by_keda(self.site.cluster, scaled) is None:
            return "KEDA has not made its HorizontalPodAutoscaler yet"
        return ""

    def _why(self, workload: KubernetesObject, standing: WorkloadStatus) -> WorkloadStatus:
        """Why it is not done yet, where that can be seen."""
        refused = self._refused(workload)
        if refused:
            now = self.elapsed()
            if self._refused_since is None:
                self._refused_since = now
            if now - self._refused_since >= _PASSING_S:
                return WorkloadStatus(message=standing.message, failed=refused)
            return standing.with_reason(refused)
        self._refused_since = None
        if status.status_count(workload, "replicas") == 0:
            return standing
        mine = pods.pods_of(self.site.cluster, workload)
        hopeless = pods.failing_pods(mine)
        if hopeless:
            return WorkloadStatus(message=standing.message, failed=hopeless)
        return standing.with_reason(pods.stuck_pods(mine))

    def _refused(self, workload: KubernetesObject) -> str:
        """Why pods cannot be made: a quota, mostly. A StatefulSet says so in its events alone."""
        failing = status.condition(workload, "ReplicaFailure")
        if failing.get("status") == "True":
            return f"{failing.get('reason', 'Failed')}: {_short(failing.get('message'))}."
        if self.site.workload.kind == kinds.STATEFULSET and status.status_count(
            workload, "replicas"
        ) < status.desired_replicas(workload):
            told = pods.warning_of(self.site.cluster, self.ref.namespace, [workload["metadata"]["uid"]])
            return told if told.startswith("FailedCreate") else ""
        return ""


def current_state_note(target: ServiceTarget, patch: ScalePatch, ref: ObjectRef, asked: int) -> str:
    """What has to be told beside what was written, because it is not what its number says: a sentence, or ""."""
    try:
        workload = target.cluster.get(target.workload)
        auto = _autoscaler(target, patch, ref)
    except Rejected:
        return ""  # A refusal of this look, let through, would be told as one of the write.
    if workload is None:
        return ""
    if status.waits_for_resume(target.workload.kind, workload):
        return " It is paused, and its first pods come with the resume."
    count = status.desired_replicas(workload)
    if auto is None or auto.paused_at is not None or count in (0, asked):
        return ""
    reason = (
        f", because its autoscaler has no metrics ({auto.missing_metrics})"
        if auto.missing_metrics and count > asked
        else ""
    )
    return f" {count} replica{' is' if count == 1 else 's are'} wanted now{reason}."


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
    """Whether that many are available; with `exact` also whether there are no more than those."""
    if status.not_observed(kind, workload):
        return status.NOT_OBSERVED
    state = workload.get("status") or {}
    now = str(state.get("phase", ""))
    if kind == kinds.ROLLOUT and now not in ("Healthy", phase):
        return WorkloadStatus(message=f"{now or 'no phase yet'}, {state.get('message') or 'it does not say why'}")
    if status.waits_for_resume(kind, workload):
        return WorkloadStatus(message="it is paused, and its first pods come with the resume", done=True)
    there, available = status.status_count(workload, "replicas"), status.status_count(workload, "availableReplicas")
    whole = kind != kinds.ROLLOUT or now == "Healthy"  # In the middle of a rollout there are more of them.
    most = count + _surge(kind, workload)
    if exact and whole and there > most:
        return WorkloadStatus(message=f"{there - most} more than {most} are still there")
    if kind == kinds.STATEFULSET and status.status_count(workload, "readyReplicas") < count:
        return WorkloadStatus(message=f"{status.status_count(workload, 'readyReplicas')} of {count} are ready")
    return WorkloadStatus(message=f"{available} of {count} are available", done=available >= count)


def _surge(kind: ResourceKind, workload: KubernetesObject) -> int:
    """A Deployment that is paused between two templates keeps pods of both, and as many more as it may surge by."""
    both = status.status_count(workload, "replicas") > status.status_count(workload, "updatedReplicas")
    return (
        status.surge_of(workload)
        if both and status.is_paused(kind, workload) and status.desired_replicas(workload)
        else 0
    )


def overwritten_by(patch: ScalePatch, held: KubernetesObject, after: dict[str, str]) -> str:
    """Who has set it to what since: a sentence; "" while it is as it was set."""
    now = patch.read(held)
    for one in patch.values:
        if now[one.name] == after[one.name]:
            continue
        who = run_markers.owner_name_of_field(held, *one.path)
        if now[one.name] == ABSENT:
            return f"Its pause was ended by {who}."
        return f"{_WHAT[one.name]} was taken back to {now[one.name]} by {who}."
    return ""


def _short(said: object) -> str:
    return shown(str(said or "it does not say why"), _LONGEST).rstrip(".")
