"""Makes Argo Rollouts see a write that it has overlooked, by changing an annotation without meaning.

At the end of each pass the controller puts the object of its own last write into its cache. A write by somebody else in
between is then missing there, though it is in the cluster, and nothing reads it before the next change of the object or
the resync, by default 15 min later. Seen with v1.9.3 (rollout/controller.go, writeBackToInformer): passes take 200 ms
on a busy machine, and an abort naturally comes right after a write of the controller.

The trap: the change itself is never repeated. A promotion that is written twice may skip a step.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

from bot.core.action import Tools
from bot.core.errors import Conflict, OutcomeUnknown, Rejected
from bot.core.kubernetes import KubernetesObject, PatchType
from bot.core.site import ServiceTarget
from bot.workloads.objects import kinds, run_markers
from bot.workloads.objects.argo_rollout import LOOK_AGAIN, observed
from bot.workloads.objects.status import WorkloadStatus

#: How long a write may stay unseen. The controller needs a second at most if it does not overlook it.
OVERLOOKED = timedelta(seconds=10)


class Nudge:
    """The nudges of one wait for one workload. A probe is read-only, so it gives none."""

    def __init__(self, target: ServiceTarget, tools: Tools) -> None:
        self._target = target
        self._tools = tools
        self._since: float | None = None  #: by monotonic time, in seconds

    def check(self, thing: KubernetesObject, progress: WorkloadStatus) -> None:
        """To be called with each check's result, in order."""
        if self._target.workload.kind != kinds.ROLLOUT or self._tools.by is None:
            return
        if progress.done or not (progress.not_observed or not observed(thing)):
            self._since = None
            return
        now = self._tools.elapsed()
        if self._since is None:
            self._since = now
        elif now - self._since >= OVERLOOKED.total_seconds():
            self._since = now
            self._give(thing)

    def _give(self, thing: KubernetesObject) -> None:
        """If the write fails, the wait goes on and reports what it sees."""
        note = {LOOK_AGAIN: str(thing["metadata"]["resourceVersion"])}
        with suppress(Rejected, Conflict, OutcomeUnknown):
            self._target.cluster.patch(
                self._target.workload,
                {"metadata": {"annotations": note}},
                how=PatchType.MERGE,
                by=run_markers.field_manager("nudge"),
            )
