"""What a Kubernetes API server fills in where an object does not say, for what an action or a controller looks at.

Read in pkg/apis/*/v*/defaults.go of kubernetes/kubernetes. Custom resources have none here.
"""

from __future__ import annotations

from typing import Any

from tests.fakes.kubernetes_kinds import Resource

Thing = dict[str, Any]


def defaulted(resource: Resource, thing: Thing) -> None:
    """In place."""
    spec = thing.get("spec")
    if isinstance(spec, dict) and resource.kind in _DEFAULTS:
        _DEFAULTS[resource.kind](spec)


def _deployment(spec: Thing) -> None:
    _fill(spec, {"replicas": 1, "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600, "strategy": {}})
    _fill(spec["strategy"], {"type": "RollingUpdate"})
    if spec["strategy"]["type"] == "RollingUpdate":
        _rolling(spec["strategy"], {"maxUnavailable": "25%", "maxSurge": "25%"})
    if not spec.get("paused"):
        spec.pop("paused", None)
    if spec["strategy"].get("rollingUpdate") is None:
        spec["strategy"].pop("rollingUpdate", None)
    _template(spec)


def _replicaset(spec: Thing) -> None:
    _fill(spec, {"replicas": 1})
    _template(spec)


def _statefulset(spec: Thing) -> None:
    _fill(spec, {"replicas": 1, "revisionHistoryLimit": 10, "podManagementPolicy": "OrderedReady"})
    _fill(spec, {"updateStrategy": {}, "persistentVolumeClaimRetentionPolicy": {}})
    _fill(spec["persistentVolumeClaimRetentionPolicy"], {"whenDeleted": "Retain", "whenScaled": "Retain"})
    _fill(spec["updateStrategy"], {"type": "RollingUpdate"})
    if spec["updateStrategy"]["type"] == "RollingUpdate":
        _rolling(spec["updateStrategy"], {"partition": 0})
    _template(spec)


def _daemonset(spec: Thing) -> None:
    _fill(spec, {"revisionHistoryLimit": 10, "updateStrategy": {}})
    _fill(spec["updateStrategy"], {"type": "RollingUpdate"})
    if spec["updateStrategy"]["type"] == "RollingUpdate":
        _rolling(spec["updateStrategy"], {"maxUnavailable": 1, "maxSurge": 0})
    _template(spec)


def _hpa(spec: Thing) -> None:
    _fill(spec, {"minReplicas": 1})
    if not spec.get("metrics"):
        target = {"type": "Utilization", "averageUtilization": 80}
        spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]


def _pod(spec: Thing) -> None:
    _fill(spec, {"restartPolicy": "Always", "terminationGracePeriodSeconds": 30, "dnsPolicy": "ClusterFirst"})
    _fill(spec, {"schedulerName": "default-scheduler", "securityContext": {}})
    for container in [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]:
        _container(container)


def _container(container: Thing) -> None:
    _, _, tag = str(container.get("image", "")).rpartition("/")[2].partition(":")
    policy = "Always" if tag in ("", "latest") else "IfNotPresent"
    _fill(container, {"imagePullPolicy": policy, "resources": {}})
    _fill(container, {"terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File"})
    for port in container.get("ports") or ():
        _fill(port, {"protocol": "TCP"})
    resources = container["resources"]
    for name, limit in (resources.get("limits") or {}).items():
        resources.setdefault("requests", {}).setdefault(name, limit)


def _template(spec: Thing) -> None:
    if isinstance((spec.get("template") or {}).get("spec"), dict):
        _pod(spec["template"]["spec"])


def _rolling(strategy: Thing, how: Thing) -> None:
    if strategy.get("rollingUpdate") is None:
        strategy["rollingUpdate"] = {}
    _fill(strategy["rollingUpdate"], how)


def _fill(thing: Thing, defaults: Thing) -> None:
    for name, value in defaults.items():
        if thing.get(name) is None:
            thing[name] = value


_DEFAULTS = {
    "Deployment": _deployment,
    "ReplicaSet": _replicaset,
    "StatefulSet": _statefulset,
    "DaemonSet": _daemonset,
    "HorizontalPodAutoscaler": _hpa,
    "Pod": _pod,
}
