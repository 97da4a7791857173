"""A StatefulSet that waits for a pod of a bad revision waits for ever, rolled back or not: that pod has to go.

It replaces pods one by one and goes on only when each is ready; one that never will be is not replaced by itself. What
is ready is left to the controller, and so is everything where it moves no pods at all.
https://github.com/kubernetes/kubernetes/issues/67250
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bot.core.errors import Conflict, OutcomeUnknown, Rejected
from bot.core.kubernetes import KubernetesObject, ObjectRef
from bot.core.site import ServiceTarget
from bot.workloads.objects import kinds, pods
from bot.workloads.objects.pod_progress import PodProgress
from bot.workloads.objects.status import WorkloadStatus, is_ready, not_observed
from bot.workloads.rollback.revisions import Revision


def partition_of(thing: KubernetesObject) -> int:
    """Pods from this ordinal on are of the new revision; those below stay."""
    strategy = thing["spec"].get("updateStrategy") or {}
    return int((strategy.get("rollingUpdate") or {}).get("partition") or 0)


def stuck_pods(target: ServiceTarget, thing: KubernetesObject, goal: Revision) -> Sequence[KubernetesObject]:
    """The pods that hold it up on its way to `goal`: of another revision, not ready, and not on their way out.

    None where it is not on that way any more: then they are of what somebody has deployed since.
    """
    if not_observed(kinds.STATEFULSET, thing) or (thing.get("status") or {}).get("updateRevision") != goal.name:
        return ()
    found = pods.pods_of(target.cluster, thing, more=goal.others)
    moved = [one for one in found if _ordinal(one) >= partition_of(thing)]
    return [one for one in moved if not is_ready(one) and not one["metadata"].get("deletionTimestamp")]


class StuckPodRemoval:
    """A `watching.ProgressCheck` that deletes what holds it up: each pod once, `most` in all."""

    def __init__(self, target: ServiceTarget, goal: Revision, *, most: int, written: KubernetesObject) -> None:
        self._target = target
        self._goal = goal
        self._most = most
        self._settling = PodProgress(target, goal.pods, written=written)
        self._refused = ""
        self.deleted: dict[str, str] = {}  #: uid -> name

    def __call__(self, thing: KubernetesObject) -> WorkloadStatus:
        for one in stuck_pods(self._target, thing, self._goal):
            name, uid = one["metadata"]["name"], one["metadata"]["uid"]
            if uid not in self.deleted and len(self.deleted) < self._most:
                self.deleted[uid] = name
                self._delete(name, uid)
        standing = self._settling(thing)
        if self._refused and not standing.done:
            return replace(standing, message=f"{standing.message}; {self._refused}")
        return standing

    def _delete(self, name: str, uid: str) -> None:
        """Whatever comes of it, what was patched stands: it is told, and nothing is sent twice."""
        try:
            self._target.cluster.delete(
                ObjectRef(kind=kinds.POD, namespace=self._target.workload.namespace, name=name), uid=uid
            )
        except Conflict:
            return
        except (Rejected, OutcomeUnknown) as trouble:
            self._refused = f"pod {name} could not be deleted: {trouble.message.removesuffix(' Nothing was done.')}"


def _ordinal(pod: KubernetesObject) -> int:
    return int(pod["metadata"]["name"].rpartition("-")[2])
