"""The pods of a workload: which do not start, and the reason that Kubernetes gives.

Some reasons never pass by themselves and end a wait at once. Others (no room on the nodes, a quota) are shown while
waiting and when the wait is over, because a node may still come.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bot.core.errors import Rejected
from bot.core.kubernetes import Cluster, KubernetesObject
from bot.lib.redact import shown
from bot.workloads.objects import kinds

_HOPELESS = {"ImagePullBackOff", "ErrImagePull", "InvalidImageName", "CreateContainerConfigError"}
_CRASHING, _CRASHES = "CrashLoopBackOff", 3
_LONGEST = 200


def selector_of(thing: KubernetesObject) -> str:
    """The label selector of a workload's pods, as the API takes it.

    A Rollout that references another object's template may have no selector of its own; then its status has it.
    """
    selector = thing["spec"].get("selector")
    if not selector:
        text = str((thing.get("status") or {}).get("selector") or "")
        return "" if text.startswith("<") else text  # "<none>" is how Go's tools write that there is none.
    parts = [f"{name}={value}" for name, value in sorted((selector.get("matchLabels") or {}).items())]
    for one in selector.get("matchExpressions") or ():
        values = ",".join(one.get("values") or ())
        written = {
            "In": f"{one['key']} in ({values})",
            "NotIn": f"{one['key']} notin ({values})",
            "Exists": one["key"],
            "DoesNotExist": f"!{one['key']}",
        }
        parts.append(written[one["operator"]])
    return ",".join(parts)


def pods_of(cluster: Cluster, thing: KubernetesObject, *, more: str = "") -> Sequence[KubernetesObject]:
    """The workload's pods, in its namespace only. `more`: a further label selector, such as one revision's.

    Without any selector it returns none, never all pods of the namespace.
    """
    labels = ",".join(part for part in (selector_of(thing), more) if part)
    return cluster.find(kinds.POD, thing["metadata"]["namespace"], labels=labels) if labels else ()


def failing_pods(pods: Sequence[KubernetesObject]) -> str:
    """Why one of these pods will not start by itself: a sentence; "" if none is known to be hopeless."""
    for pod in pods:
        for container, waiting in _waiting(pod):
            reason = str(waiting.get("reason", ""))
            crashes = int(container.get("restartCount") or 0)
            if reason in _HOPELESS or (reason == _CRASHING and crashes >= _CRASHES):
                again = f", {crashes} times" if reason == _CRASHING else ""
                message = f"Pod {pod['metadata']['name']}, container {container.get('name', '?')}: {reason}{again}"
                return f"{message}{_because(waiting)}."
    return ""


def stuck_pods(pods: Sequence[KubernetesObject]) -> str:
    """The reason that the first unready pod waits, if it gives one: a sentence, or ""."""
    for pod in pods:
        for one in (pod.get("status") or {}).get("conditions") or ():
            if one.get("type") == "PodScheduled" and one.get("status") == "False":
                return f"Pod {pod['metadata']['name']}: {one.get('reason', 'not scheduled')}{_because(one)}."
        for container, waiting in _waiting(pod):
            if waiting.get("reason") not in (None, "ContainerCreating", "PodInitializing"):
                message = f"Pod {pod['metadata']['name']}, container {container.get('name', '?')}: {waiting['reason']}"
                return f"{message}{_because(waiting)}."
    return ""


def trouble_of(cluster: Cluster, thing: KubernetesObject) -> str:
    """Why pods of a workload do not start: a sentence, or "", also where they cannot be read.

    For messages after a write: a refusal from here would be reported as a refusal of the write.
    """
    try:
        found = pods_of(cluster, thing)
    except Rejected:
        return ""
    return failing_pods(found) or stuck_pods(found)


def restarts(pods: Sequence[KubernetesObject]) -> int:
    """How often containers of these pods restarted."""
    return sum(int(one.get("restartCount") or 0) for pod in pods for one in _containers(pod))


def warning_of(cluster: Cluster, namespace: str, uids: Sequence[str]) -> str:
    """The newest warning event about one of these objects: a sentence, or "" where there is none."""
    found: list[KubernetesObject] = []
    for uid in uids:
        found += cluster.find(kinds.EVENT, namespace, fields=f"involvedObject.uid={uid},type=Warning")
    if not found:
        return ""
    newest = max(found, key=lambda one: str(one.get("lastTimestamp") or one.get("eventTime") or ""))
    return f"{newest.get('reason', 'Warning')}{_because(newest)}."


def _containers(pod: KubernetesObject) -> Iterator[Mapping[str, Any]]:
    status = pod.get("status") or {}
    for name in ("initContainerStatuses", "containerStatuses"):
        yield from status.get(name) or ()


def _waiting(pod: KubernetesObject) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    for one in _containers(pod):
        waiting = (one.get("state") or {}).get("waiting")
        if waiting:
            yield one, waiting


def _because(thing: Mapping[str, Any]) -> str:
    message = shown(str(thing.get("message") or ""), _LONGEST).rstrip(".")
    return f", {message}" if message else ""
