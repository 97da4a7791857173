"""What the fake Kubernetes says of itself: its version, and which kinds it serves, in the form that all clients read.

https://kubernetes.io/docs/concepts/overview/kubernetes-api/#discovery-api
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tests.fakes.kubernetes_kinds import SERVED, Resource

Thing = dict[str, Any]
_VERBS = ["create", "delete", "get", "list", "patch", "update", "watch"]


def root(path: str, unserved: set[str]) -> Thing | None:
    """What is at one of the roots; None for any other path."""
    match path:
        case "/version":
            return {"major": "1", "minor": "36", "gitVersion": "v1.36.0", "platform": "linux/amd64"}
        case "/api":
            return {"kind": "APIVersions", "versions": ["v1"]}
        case "/apis":
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": list(_groups(unserved))}
        case _:
            return None


def resources(served: Iterable[Resource]) -> Thing:
    """Of one group and version, with what is beneath each."""
    rows = [row for one in served for row in _rows(one)]
    version = next(iter(served)).api_version
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": rows}


def _groups(unserved: set[str]) -> Iterable[Thing]:
    named = sorted({(one.group, one.version) for one in SERVED if one.group and one.group not in unserved})
    for group, version in named:
        held = {"groupVersion": f"{group}/{version}", "version": version}
        yield {"name": group, "versions": [held], "preferredVersion": held}


def _rows(one: Resource) -> Iterable[Thing]:
    head = {"singularName": one.kind.lower(), "namespaced": one.namespaced, "kind": one.kind}
    yield {"name": one.plural, "verbs": _VERBS, **head}
    if one.status:
        yield {"name": f"{one.plural}/status", "verbs": ["get", "patch", "update"], **head}
    if one.scaled:
        scale = {**head, "kind": "Scale", "group": "autoscaling", "version": "v1"}
        yield {"name": f"{one.plural}/scale", "verbs": ["get", "patch", "update"], **scale}
