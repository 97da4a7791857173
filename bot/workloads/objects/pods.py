"""The pods of a workload: which do not come up, and why, in the words that Kubernetes has for it.

Some reasons do not pass by themselves and end a wait at once; others (no room on the nodes, a quota) are told when the
wait is over, or as what it waits for, because a node may still come.
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
    """The label selector of a workload's pods, as the API takes it. A Rollout whose template is another's may have none
    of its own, and tells in its status which it goes by.
    """
    selector = thing["spec"].get("selector")
    if not selector:
        told = str((thing.get("status") or {}).get("selector") or "")
        return "" if told.startswith("<") else told  # "<none>", as Go's tools write that there is none.
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
    """The workload's pods, of its namespace alone. `more`: a further label selector, such as one revision's.

    Without any selector it has none that could be told from others': never are all of the namespace taken for its own.
    """
    labels = ",".join(part for part in (selector_of(thing), more) if part)
    return cluster.find(kinds.POD, thing["metadata"]["namespace"], labels=labels) if labels else ()


def failing_pods(pods: Sequence[KubernetesObject]) -> str:
    """Why one of these will not come up by itself: a sentence; "" where that can't be said of any."""
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
    """What the first of these that is not ready waits for, where it says so: a sentence, or ""."""
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
    """Why pods of a workload do not come up: a sentence, or "", also where they cannot be read.

    For what is said after a write: a refusal from here would be told as one of that.
    """
    try:
        found = pods_of(cluster, thing)
    except Rejected:
        return ""
    return failing_pods(found) or stuck_pods(found)


def restarts(pods: Sequence[KubernetesObject]) -> int:
    """How often containers of these were started again."""
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
