"""Waits until a changed workload is ready and stays ready, or returns why not, in a sentence.

The trap: "ready" at one moment means little. It has to last for the target's soak time, and a change that somebody
overwrites meanwhile is noticed here, not at the next alert. The wait changes nothing, except for the annotation by
which a controller reads an overlooked change again (`overlooked_write`); a failure here undoes nothing.
A wait that was cut off by the end of its process resumes with its old deadline. Its soak starts anew, because nobody
watched in between. It uses monotonic time: setting the clock neither ends nor prolongs it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from time import sleep

from bot.core.action import Tools
from bot.core.errors import Rejected
from bot.core.kubernetes import KubernetesObject
from bot.core.site import ServiceTarget
from bot.lib.text import spell_duration
from bot.workloads.objects.overlooked_write import Nudge
from bot.workloads.objects.status import WorkloadStatus

#: Why the result is unknown.
UNKNOWN_AFTER_RESTART = "Whether it stays ready is unknown: the bot was restarted again and again while it watched."
_MINUTE = timedelta(minutes=1)

#: Judges the progress by the workload; it may read more objects.
ProgressCheck = Callable[[KubernetesObject], WorkloadStatus]


def wait_until_ready(target: ServiceTarget, tools: Tools, check: ProgressCheck, *, timeout: timedelta) -> str:
    """Waits until `check` is done for the whole soak time. Returns "" on success, else the reason: a sentence.

    `timeout` is for becoming ready. If it becomes unready during the soak, it has the rest of the timeout.
    """
    until = tools.deadline(tools.now() + timeout)
    if until is None:
        return UNKNOWN_AFTER_RESTART
    left = min(until - tools.now(), timeout)  # More is left if the clock was set back meanwhile.
    ends, soak_s = tools.elapsed() + left.total_seconds(), target.soak.total_seconds()
    since: float | None = None
    thing: KubernetesObject | None = None
    nudge = Nudge(target, tools)
    while True:
        progress, thing = _seen(target, tools, check, thing)
        if progress.failed:
            return progress.failed
        if thing is not None:
            nudge.check(thing, progress)
        now = tools.elapsed()
        if not progress.done:
            since = None
            if now > ends:
                late = timedelta(seconds=now - ends)
                after = spell_duration(_after(timeout, late))
                return f"Not ready {after} after the change: {progress.message.rstrip('.')}."
        elif since is None:
            since = now
        if since is not None and now - since >= soak_s:
            return ""
        tools.report_progress(
            progress.message if since is None else f"{progress.message}; watched for {spell_duration(target.soak)}"
        )


def _seen(
    target: ServiceTarget, tools: Tools, look: ProgressCheck, before: KubernetesObject | None
) -> tuple[WorkloadStatus, KubernetesObject | None]:
    """One check, after a change of the object or after the poll interval. An unreachable cluster is asked again."""
    try:
        if before is None:
            thing = target.cluster.get(target.workload)
        else:
            thing = target.cluster.wait_for_change(target.workload, before, tools.poll_interval)
        if thing is None:
            return WorkloadStatus(message="gone", failed=f"{target.workload} is gone."), None
        if thing["metadata"].get("deletionTimestamp"):
            return WorkloadStatus(message="going", failed=f"{target.workload} is being deleted."), thing
        return look(thing), thing
    except Rejected as refused:
        sleep(tools.poll_interval.total_seconds())  # A refusal comes at once and would turn this into a busy loop.
        return WorkloadStatus(message=refused.message.removesuffix(" Nothing was done.").rstrip(".")), before


def _after(patience: timedelta, late: timedelta) -> timedelta:
    """The time since the change; beyond the timeout only in whole minutes, if nobody checked at the deadline."""
    return patience + late // _MINUTE * _MINUTE
