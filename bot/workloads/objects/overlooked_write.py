"""A write that Argo Rollouts has overlooked is shown to it again, by an annotation that asks for nothing.

At the end of each pass it puts the object of its own last write into its cache. What somebody wrote in between is gone
from there, though it stands in the cluster, and nothing looks for it before the next change of that object or the
resync, which by default is 15 minutes later. Seen with v1.9.3 (rollout/controller.go, writeBackToInformer): passes of
200 ms on a busy machine, and an abort comes right after a write of its controller by nature.

The trap: the change itself is not repeated. A promotion that is written twice may skip a step.
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

#: How long a write may be unseen. Its controller takes a second at most, where it does not overlook it.
OVERLOOKED = timedelta(seconds=10)


class Nudge:
    """One watch over one workload. A probe writes nothing, so that it gives none."""

    def __init__(self, target: ServiceTarget, tools: Tools) -> None:
        self._target = target
        self._tools = tools
        self._since: float | None = None  #: by monotonic time, in seconds

    def check(self, thing: KubernetesObject, standing: WorkloadStatus) -> None:
        """To be told of each look, in order."""
        if self._target.workload.kind != kinds.ROLLOUT or self._tools.by is None:
            return
        if standing.done or not (standing.not_observed or not observed(thing)):
            self._since = None
            return
        now = self._tools.elapsed()
        if self._since is None:
            self._since = now
        elif now - self._since >= OVERLOOKED.total_seconds():
            self._since = now
            self._give(thing)

    def _give(self, thing: KubernetesObject) -> None:
        """Whatever comes of it, the watch goes on, and says what it sees."""
        note = {LOOK_AGAIN: str(thing["metadata"]["resourceVersion"])}
        with suppress(Rejected, Conflict, OutcomeUnknown):
            self._target.cluster.patch(
                self._target.workload,
                {"metadata": {"annotations": note}},
                how=PatchType.MERGE,
                by=run_markers.field_manager("nudge"),
            )
