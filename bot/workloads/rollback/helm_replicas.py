"""Keeps the replicas through a Helm rollback: sets them again as soon as Helm has set the older version's count.

Helm cannot be told to leave fields alone, and it waits for its pods. So its program runs on a thread while the count is
checked beside it. Between Helm's write and the bot's, the controller may already remove pods: plans say so.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait

from bot.core.errors import Conflict, OutcomeUnknown, Rejected
from bot.core.kubernetes import PatchType
from bot.core.site import ServiceTarget
from bot.workloads.objects import run_markers
from bot.workloads.scale import patch

_PACE_S = 0.2  #: between two checks, and so about as long as Helm's count stays


def restore_replicas(target: ServiceTarget, count: int, run: str, change: Callable[[], str]) -> tuple[str, str]:
    """The result of `change`, and why the workload does not have that many replicas after it, or ""."""
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="helm") as pool:
        changing = pool.submit(change)
        while not changing.done():
            wait([changing], timeout=_PACE_S)
            _set_again(target, count, run)
    reason = _set_again(target, count, run)  # However the change ended, and whatever it set last.
    return changing.result(), reason


def _set_again(target: ServiceTarget, count: int, run: str) -> str:
    lever = patch.WORKLOAD
    try:
        held = target.cluster.get(target.workload, lever.sub)
        if held is None:
            return f"{target.workload} is gone."
        if lever.read(held) == {"replicas": str(count)}:
            return ""
        steps = lever.operations(held, {"replicas": str(count)}, run)
        target.cluster.patch(
            target.workload, steps, how=PatchType.JSON, by=run_markers.field_manager(run), sub=lever.sub
        )
    except (Conflict, Rejected, OutcomeUnknown) as trouble:
        message = trouble.message.partition(" Nothing was done.")[0].rstrip(".")
        return f"The {count} replicas of {target.workload} could not be set again: {message}."
    return ""
