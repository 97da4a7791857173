"""The progress of a change of the pods: the rules of `status`, and the state of the new revision's pods.

Only pods of the new revision are judged: the old ones may be broken, and often are the reason of the change. The trap:
a Deployment's "no progress in time" stays on it, word for word, until the next rollout progresses; it counts only if it
does not name the old revision's ReplicaSet.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from bot.core.kubernetes import KubernetesObject
from bot.core.site import ServiceTarget
from bot.lib.redact import shown
from bot.workloads.objects import kinds, pods, run_markers
from bot.workloads.objects.status import WorkloadStatus, condition, status_of

_LONGEST = 300


class PodProgress:
    """A `ProgressCheck` (see `wait`) of the pods of the new revision.

    Args:
        labels: their selector; "" for all pods.
        behind: the name of the old revision's ReplicaSet.
        older: uids of the old pods, where no label tells them apart.
        written: the workload right after the write; a later change of its template overwrites the bot's change.
        rule: how to judge the workload, where `status` does not fit.
    """

    def __init__(
        self,
        target: ServiceTarget,
        labels: str,
        *,
        behind: str = "",
        older: frozenset[str] = frozenset(),
        written: KubernetesObject | None = None,
        rule: Callable[[KubernetesObject], WorkloadStatus] | None = None,
    ) -> None:
        self._target = target
        self._labels = labels
        self._behind = behind
        self._older = older
        self._written = written
        self._rule = rule or partial(status_of, target.workload.kind)
        self._restarts: int | None = None  #: at the moment it was first ready

    def __call__(self, thing: KubernetesObject) -> WorkloadStatus:
        lost = template_changed_by(self._written, thing)
        if lost:
            return WorkloadStatus(message="overwritten", failed=lost)
        progress = self._rule(thing)
        if progress.failed and self._is_of_before(thing):
            progress = WorkloadStatus(message="no pod is replaced yet")
        found = [
            one
            for one in pods.pods_of(self._target.cluster, thing, more=self._labels)
            if one["metadata"]["uid"] not in self._older
        ]
        if progress.done:
            return self._stable(progress, found)
        message = pods.stuck_pods(found) or _not_made(self._target, thing)
        if progress.failed:
            return replace(progress, failed=f"{progress.failed.rstrip('.')}. {message}".rstrip())
        return replace(progress.with_reason(message), failed=pods.failing_pods(found))

    def _stable(self, progress: WorkloadStatus, found: Sequence[KubernetesObject]) -> WorkloadStatus:
        count = pods.restarts(found)
        if self._restarts is None:
            self._restarts = count
        more = count - self._restarts
        if more <= 0:
            return progress
        times = "once" if more == 1 else f"{more} times"
        return replace(progress, done=False, failed=f"It became ready, then its containers restarted {times}.")

    def _is_of_before(self, thing: KubernetesObject) -> bool:
        return bool(self._behind) and f'"{self._behind}"' in str(condition(thing, "Progressing").get("message", ""))


def template_changed_by(written: KubernetesObject | None, thing: KubernetesObject) -> str:
    """Who has changed its template since: a sentence; "" while it has the one that was written."""
    if written is None or thing["spec"].get("template") == written["spec"].get("template"):
        return ""
    return f"Its template was changed since by {run_markers.owner_name_of_field(thing, 'spec', 'template')}."


def _not_made(target: ServiceTarget, thing: KubernetesObject) -> str:
    """Why pods are not even created (a quota, an admission webhook): a sentence, or "".

    Only Deployments have a condition for that; for the other kinds it is in their events.
    """
    failure = condition(thing, "ReplicaFailure")
    if failure.get("status") == "True":
        return f"{shown(str(failure.get('message', '')), _LONGEST).rstrip('.')}."
    if target.workload.kind not in (kinds.STATEFULSET, kinds.DAEMONSET):
        return ""
    warning = pods.warning_of(target.cluster, target.workload.namespace, [thing["metadata"]["uid"]])
    return warning if warning.startswith("FailedCreate") else ""
