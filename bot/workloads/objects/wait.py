"""A change is watched until what it was made to is ready, and stays so: or why not, in a sentence.

The trap: "ready" at one moment means little, so it has to last for the site's soak; and what somebody else has taken
back is found out here, not at the next alert. Nothing is changed here but the annotation by which a controller that has
overlooked the change looks again (`nudging`), and nothing that fails here undoes the change.
A watch that was cut off, because its process died, goes on with the deadline that it had; its soak begins anew, because
nobody has seen what was in between. While it lasts it goes by monotonic time: a clock that is set neither ends it nor
makes it last.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from time import sleep

from bot.core.action import Tools
from bot.core.errors import Rejected
from bot.core.kubernetes import KubernetesObject
from bot.core.site import ServiceTarget
from bot.lib.text import spell
from bot.workloads.objects.overlooked_write import Nudge
from bot.workloads.objects.status import WorkloadStatus

#: Why it is not known to hold.
UNKNOWN_AFTER_RESTART = "Whether it holds is not known: the bot ended again and again while it watched that."
_MINUTE = timedelta(minutes=1)

#: How far it is, as seen on the workload; it may look at more than that.
ProgressCheck = Callable[[KubernetesObject], WorkloadStatus]


def wait_until_ready(target: ServiceTarget, tools: Tools, check: ProgressCheck, *, timeout: timedelta) -> str:
    """Wait until `check` says done for as long as the site's soak. "" when it held; else why it does not: a sentence.

    `timeout` is for getting there; what falls back while it soaks has what is left of it to come up again.
    """
    until = tools.deadline(tools.now() + timeout)
    if until is None:
        return UNKNOWN_AFTER_RESTART
    left = min(until - tools.now(), timeout)  # More was left by a clock that was put back since.
    ends, soak_s = tools.elapsed() + left.total_seconds(), target.soak.total_seconds()
    since: float | None = None
    thing: KubernetesObject | None = None
    nudge = Nudge(target, tools)
    while True:
        standing, thing = _seen(target, tools, check, thing)
        if standing.failed:
            return standing.failed
        if thing is not None:
            nudge.check(thing, standing)
        now = tools.elapsed()
        if not standing.done:
            since = None
            if now > ends:
                late = timedelta(seconds=now - ends)
                return f"{_sentence(standing.message)} That is so {spell(_after(timeout, late))} after the change."
        elif since is None:
            since = now
        if since is not None and now - since >= soak_s:
            return ""
        tools.report_progress(
            standing.message if since is None else f"{standing.message}; watched for {spell(target.soak)}"
        )


def _seen(
    target: ServiceTarget, tools: Tools, look: ProgressCheck, before: KubernetesObject | None
) -> tuple[WorkloadStatus, KubernetesObject | None]:
    """One look, once something has changed or the pace is over. A cluster that does not answer is looked at again."""
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
        sleep(tools.poll_interval.total_seconds())  # Who is refused at once must not ask as fast as that.
        return WorkloadStatus(message=refused.message.removesuffix(" Nothing was done.").rstrip(".")), before


def _after(patience: timedelta, late: timedelta) -> timedelta:
    """How long after the change it is, whole minutes late where nobody looked at its deadline."""
    return patience + late // _MINUTE * _MINUTE


def _sentence(message: str) -> str:
    return f"{message[:1].upper()}{message[1:].rstrip('.')}."
