"""How far a change of the pods themselves has come: the rules of `status`, and what the pods of one revision say.

Only those of the revision that is to run are judged: the ones it takes the place of may be as broken as they like, and
often that is why it does. The trap: a Deployment's "no progress in time" stays on it, word for word, until the next
rollout moves on; it counts only where it does not name the revision that is left behind.
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
    """A `watching.ProgressCheck` at the pods that are to run.

    Args:
        labels: a selector of them, "" for all.
        behind: the name of the ReplicaSet that theirs takes the place of.
        older: uids of pods that they take the place of, where no label tells them apart.
        written: the workload as the write has left it: whoever changes its template after that takes it back.
        rule: how far the workload is, where that is not what `status` says.
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
        self._restarts: int | None = None  #: when it was done for the first time

    def __call__(self, thing: KubernetesObject) -> WorkloadStatus:
        lost = template_changed_by(self._written, thing)
        if lost:
            return WorkloadStatus(message="taken back", failed=lost)
        standing = self._rule(thing)
        if standing.failed and self._is_of_before(thing):
            standing = WorkloadStatus(message="no pod has moved yet")
        found = [
            one
            for one in pods.pods_of(self._target.cluster, thing, more=self._labels)
            if one["metadata"]["uid"] not in self._older
        ]
        if standing.done:
            return self._soaking(standing, found)
        message = pods.stuck_pods(found) or _not_made(self._target, thing)
        if standing.failed:
            return replace(standing, failed=f"{standing.failed.rstrip('.')}. {message}".rstrip())
        return replace(standing.with_reason(message), failed=pods.failing_pods(found))

    def _soaking(self, standing: WorkloadStatus, found: Sequence[KubernetesObject]) -> WorkloadStatus:
        count = pods.restarts(found)
        if self._restarts is None:
            self._restarts = count
        more = count - self._restarts
        if more <= 0:
            return standing
        times = "once" if more == 1 else f"{more} times"
        return replace(standing, done=False, failed=f"It came up, and its containers were started again {times}.")

    def _is_of_before(self, thing: KubernetesObject) -> bool:
        return bool(self._behind) and f'"{self._behind}"' in str(condition(thing, "Progressing").get("message", ""))


def template_changed_by(written: KubernetesObject | None, thing: KubernetesObject) -> str:
    """Who has given it another template since: a sentence; "" while it has the one that was written."""
    if written is None or thing["spec"].get("template") == written["spec"].get("template"):
        return ""
    return f"Its template was changed since by {run_markers.owner_name_of_field(thing, 'spec', 'template')}."


def _not_made(target: ServiceTarget, thing: KubernetesObject) -> str:
    """Why pods are not even made: a quota, an admission webhook. A sentence, or "". Only Deployments say so of
    themselves; of the others their events do.
    """
    failure = condition(thing, "ReplicaFailure")
    if failure.get("status") == "True":
        return f"{shown(str(failure.get('message', '')), _LONGEST).rstrip('.')}."
    if target.workload.kind not in (kinds.STATEFULSET, kinds.DAEMONSET):
        return ""
    told = pods.warning_of(target.cluster, target.workload.namespace, [thing["metadata"]["uid"]])
    return told if told.startswith("FailedCreate") else ""
