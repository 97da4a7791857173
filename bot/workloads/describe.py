"""Describes the state of a service's workload for people, with buttons for what can be done next. Read-only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from bot.core.kubernetes import KubernetesObject, ResourceKind
from bot.core.site import ServiceTarget
from bot.workloads.argo_rollouts.describe import countdown, describe_analyses, head, progress, waiting_for
from bot.workloads.objects import kinds, pods
from bot.workloads.objects.argo_rollout import HASH, Phase, Rollout, read
from bot.workloads.objects.status import desired_replicas, is_paused, status_count, status_of, waits_for_resume

#: By kind: the status fields with the ready and the desired count.
_READY = {kinds.DAEMONSET: ("numberReady", "desiredNumberScheduled")}
_MOST_IMAGES = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkloadDescription:
    """`is_changing`: a change is in progress, so the description will soon be out of date."""

    lines: tuple[str, ...]
    buttons: Mapping[str, str]
    is_changing: bool


def describe(target: ServiceTarget, thing: KubernetesObject, now: datetime) -> WorkloadDescription:
    """The workload as it is now."""
    if thing["metadata"].get("deletionTimestamp"):
        return WorkloadDescription(lines=(_going(target, thing), *_pods(target, thing)), buttons={}, is_changing=False)
    if target.workload.kind == kinds.ROLLOUT:
        return _rollout(target, thing, now)
    if is_paused(target.workload.kind, thing):
        return _paused(target, thing)
    status = status_of(target.workload.kind, thing)
    how = "healthy" if status.done else "in progress"
    message = status.failed.rstrip(".") or status.message
    lines = [f"{target.workload}: {'unhealthy' if status.failed else how}, {message}.", *_pods(target, thing)]
    return WorkloadDescription(lines=tuple(lines), buttons={}, is_changing=not (status.done or status.failed))


def _going(target: ServiceTarget, thing: KubernetesObject) -> str:
    held = ", ".join(thing["metadata"].get("finalizers") or ())
    return f"{target.workload} is being deleted{f', delayed by its finalizers {held}' if held else ''}."


def _paused(target: ServiceTarget, thing: KubernetesObject) -> WorkloadDescription:
    """A paused Deployment rolls out no new template. It does not change by itself, so it is not followed."""
    available, count, there = (
        status_count(thing, "availableReplicas"),
        desired_replicas(thing),
        status_count(thing, "replicas"),
    )
    old = there - status_count(thing, "updatedReplicas")
    resume = f"`kubectl rollout resume deployment/{target.workload.name}`"
    if waits_for_resume(target.workload.kind, thing):
        effect = "It was never rolled out: its first pods are created after"
    elif old:
        effect = f"{old} of its {there} pods have an older template; they are replaced after"
    else:
        effect = "Changes of its template are rolled out after"
    first = f"{target.workload}: paused by hand (spec.paused), {available} of {count} are available."
    lines = (first, f"{effect} {resume}.", *_pods(target, thing))
    return WorkloadDescription(lines=lines, buttons={}, is_changing=there > 0 and available < count)


def _rollout(target: ServiceTarget, thing: KubernetesObject, now: datetime) -> WorkloadDescription:
    rollout = read(thing)
    waits = countdown(rollout, now) or waiting_for(rollout)
    lines = [f"{head(rollout)}.", progress(rollout), *([waits] if waits else [])]
    if rollout.analyses:
        named = {one.name for one in rollout.analyses}
        runs = target.cluster.find(kinds.ANALYSIS, target.workload.namespace)
        lines += describe_analyses(rollout, [one for one in runs if one["metadata"]["name"] in named])
    lines += _pods(target, thing, template="" if rollout.promoted else rollout.current)
    timed = rollout.goes_on_at() is not None and not rollout.halted
    is_changing = rollout.phase is Phase.PROGRESSING or timed
    return WorkloadDescription(lines=tuple(lines), buttons=_buttons(target.service, rollout), is_changing=is_changing)


def _buttons(service: str, rollout: Rollout) -> dict[str, str]:
    """Each one only asks for a plan."""
    if rollout.halted:
        return {"Resume": f"resume {service}"}
    if rollout.aborted:
        return {"Retry": f"retry {service}", "Roll back": f"rollback {service}"}
    if rollout.promoted or not rollout.stable:
        return {}
    on = {"Promote": f"promote {service}"} if rollout.pauses else {}
    return {**on, "Abort": f"abort {service}", "Pause": f"pause {service}"}


def _pods(target: ServiceTarget, thing: KubernetesObject, template: str = "") -> Iterator[str]:
    """How many pods are ready, their images, and why the first unready one waits."""
    ready, of = _counts(target.workload.kind, thing)
    yield f"{ready} of {of} pods are ready."
    found = pods.pods_of(target.cluster, thing, more=f"{HASH}={template}" if template else "")
    images = sorted({str(one.get("image")) for pod in found for one in pod["spec"].get("containers") or ()})
    if images:
        more = f" and {len(images) - _MOST_IMAGES} more" if len(images) > _MOST_IMAGES else ""
        whose = f"The pods of {template} run" if template else "They run"
        yield f"{whose} {', '.join(images[:_MOST_IMAGES])}{more}."
    held = pods.failing_pods(found) or pods.stuck_pods(found)
    if held:
        yield held


def _counts(kind: ResourceKind, thing: KubernetesObject) -> tuple[int, int]:
    names = _READY.get(kind)
    if names is not None:
        return status_count(thing, names[0]), status_count(thing, names[1])
    return status_count(thing, "readyReplicas"), desired_replicas(thing)
