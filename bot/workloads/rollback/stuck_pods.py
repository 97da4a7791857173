"""Deletes the unready pods of a bad revision, for which a StatefulSet would wait for ever, also after a rollback.

A StatefulSet replaces its pods one by one, each when the one before is ready; a pod that never gets ready blocks it.
Ready pods are left to the controller, and so is every StatefulSet that replaces no pods itself.
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
    """Pods from this ordinal on get the new revision; those below stay."""
    strategy = thing["spec"].get("updateStrategy") or {}
    return int((strategy.get("rollingUpdate") or {}).get("partition") or 0)


def stuck_pods(target: ServiceTarget, thing: KubernetesObject, goal: Revision) -> Sequence[KubernetesObject]:
    """The pods that block it on its way to `goal`: of another revision, unready, and not being deleted.

    None if the goal is no longer its update revision: then they belong to a later deployment.
    """
    if not_observed(kinds.STATEFULSET, thing) or (thing.get("status") or {}).get("updateRevision") != goal.name:
        return ()
    found = pods.pods_of(target.cluster, thing, more=goal.others)
    updated = [one for one in found if _ordinal(one) >= partition_of(thing)]
    return [one for one in updated if not is_ready(one) and not one["metadata"].get("deletionTimestamp")]


class StuckPodRemoval:
    """A `ProgressCheck` (see `objects.wait`) that deletes blocking pods: each once, `most` in all."""

    def __init__(self, target: ServiceTarget, goal: Revision, *, most: int, written: KubernetesObject) -> None:
        self._target = target
        self._goal = goal
        self._most = most
        self._progress = PodProgress(target, goal.pods, written=written)
        self._refused = ""
        self.deleted: dict[str, str] = {}  #: uid -> name

    def __call__(self, thing: KubernetesObject) -> WorkloadStatus:
        for one in stuck_pods(self._target, thing, self._goal):
            name, uid = one["metadata"]["name"], one["metadata"]["uid"]
            if uid not in self.deleted and len(self.deleted) < self._most:
                self.deleted[uid] = name
                self._delete(name, uid)
        progress = self._progress(thing)
        if self._refused and not progress.done:
            return replace(progress, message=f"{progress.message}; {self._refused}")
        return progress

    def _delete(self, name: str, uid: str) -> None:
        """If it fails, the patch stays: the failure is reported, and nothing is sent twice."""
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
