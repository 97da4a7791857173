"""What a Job, its pods and its events say about how its program stands.

From the Job API of Kubernetes 1.31 and later, and the reasons that the kubelet gives.
https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/job-v1/#JobStatus
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bot.core.kubernetes import KubernetesObject, ResourceKind

JOBS = ResourceKind(group="batch", version="v1", plural="jobs", title="Job")
PODS = ResourceKind(group="", version="v1", plural="pods", title="Pod")
EVENTS = ResourceKind(group="", version="v1", plural="events", title="Event")

_TIMED_OUT = 124
#: A container in one of these never starts until somebody changes something.
_HOPELESS = {
    "ErrImagePull": "the image {image} cannot be pulled",
    "ImagePullBackOff": "the image {image} cannot be pulled",
    "InvalidImageName": "{image} is not the name of an image",
    "ErrImageNeverPull": "the image {image} is not on the node, and may not be pulled",
    "CreateContainerConfigError": "a Secret or a ConfigMap that it needs is missing",
    "CreateContainerError": "its container cannot be made",
}
#: The program is not in the image, or may not be executed.
_NOT_STARTED = {"StartError", "ContainerCannotRun"}


@dataclass(frozen=True, slots=True)
class NotStarted:
    """The program did not begin, and would not by itself. A sentence."""

    why: str


@dataclass(frozen=True, slots=True)
class Lost:
    """It began, and its pod is gone: nobody knows how far it came. A sentence."""

    why: str


def judge(
    job: KubernetesObject, pods: Sequence[KubernetesObject], events: Sequence[str], *, waited: bool
) -> int | NotStarted | Lost | None:
    """The program's exit code (124: its time limit), or why there is none; None while it runs or may still start.

    `events`: messages of the Job's warnings. `waited`: it has waited for its start as long as it may.
    """
    if _conditions(job).get("Failed") == "DeadlineExceeded":
        return _TIMED_OUT
    ended = next((found for found in map(_ended, pods) if found is not None), None)
    if ended is not None:
        return ended
    over = _conditions(job)
    if "Complete" in over:
        return 0
    return Lost(_lost(pods)) if "Failed" in over else _not_started(pods, events, waited=waited)


def _not_started(pods: Sequence[KubernetesObject], events: Sequence[str], *, waited: bool) -> NotStarted | None:
    hopeless = next((why for pod in pods for why in _hopeless(pod)), "")
    if hopeless:
        return NotStarted(hopeless)
    refused = next((text for text in events if "exceeded quota" in text or "is forbidden" in text), "")
    if not pods and refused:
        return NotStarted(f"its pod was refused: {refused.rstrip('.')}.")
    return NotStarted(_why_waiting(pods, events)) if waited else None


def _conditions(job: KubernetesObject) -> dict[str, str]:
    """Those that hold, each with its reason."""
    found = (job.get("status") or {}).get("conditions") or ()
    return {one["type"]: str(one.get("reason") or "") for one in found if one.get("status") == "True"}


def _ended(pod: KubernetesObject) -> int | NotStarted | Lost | None:
    for one in (pod.get("status") or {}).get("containerStatuses") or ():
        terminated = (one.get("state") or {}).get("terminated")
        if not terminated:
            continue
        reason = str(terminated.get("reason") or "")
        if reason in _NOT_STARTED:
            message = str(terminated.get("message") or reason).rstrip(".")
            return NotStarted(f"the image {one.get('image', '')} cannot start the program: {message}.")
        if reason == "OOMKilled":
            return Lost(f"pod {pod['metadata']['name']} was killed: it needs more memory than its limit.")
        return int(terminated.get("exitCode") or 0)
    return None


def _hopeless(pod: KubernetesObject) -> Iterator[str]:
    for one in (pod.get("status") or {}).get("containerStatuses") or ():
        waiting = (one.get("state") or {}).get("waiting") or {}
        text = _HOPELESS.get(str(waiting.get("reason") or ""))
        if text:
            message = str(waiting.get("message") or waiting["reason"]).rstrip(".")
            yield f"{text.format(image=one.get('image', ''))}: {message}."


def _lost(pods: Sequence[KubernetesObject]) -> str:
    if not pods:
        return "The Job failed, and its pod is gone."
    status = pods[0].get("status") or {}
    reason = ": ".join(str(status[key]) for key in ("reason", "message") if status.get(key)) or "no reason is given"
    return f"Pod {pods[0]['metadata']['name']} was lost ({reason.rstrip('.')})."


def _why_waiting(pods: Sequence[KubernetesObject], events: Sequence[str]) -> str:
    for pod in pods:
        for one in (pod.get("status") or {}).get("conditions") or ():
            if one.get("type") == "PodScheduled" and one.get("status") == "False":
                return f"no node takes its pod: {str(one.get('message') or '').rstrip('.')}."
    last = f": {events[-1].rstrip('.')}" if events else ""
    return f"its pod did not start in time{last}."
