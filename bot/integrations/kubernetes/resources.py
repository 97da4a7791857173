"""The kinds of Kubernetes objects that the engines of backups use, and how the fields of an object are read."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from bot.core.kubernetes import KubernetesObject, ResourceKind


def _core(plural: str, title: str) -> ResourceKind:
    return ResourceKind(group="", version="v1", plural=plural, title=title)


NAMESPACE = _core("namespaces", "Namespace")
POD = _core("pods", "Pod")
CLAIM = _core("persistentvolumeclaims", "PersistentVolumeClaim")
VOLUME = _core("persistentvolumes", "PersistentVolume")
CONFIG = _core("configmaps", "ConfigMap")
SERVICE = _core("services", "Service")
SECRET = _core("secrets", "Secret")
EVENT = _core("events", "Event")
JOB = ResourceKind(group="batch", version="v1", plural="jobs", title="Job")
POLICY = ResourceKind(group="networking.k8s.io", version="v1", plural="networkpolicies", title="NetworkPolicy")
STORAGE_CLASS = ResourceKind(group="storage.k8s.io", version="v1", plural="storageclasses", title="StorageClass")


def name_of(thing: KubernetesObject) -> str:
    return str(thing["metadata"]["name"])


def labels_of(thing: KubernetesObject) -> Mapping[str, str]:
    return thing["metadata"].get("labels") or {}


def status_of(thing: KubernetesObject) -> Mapping[str, Any]:
    return thing.get("status") or {}


def created_at(thing: KubernetesObject) -> datetime | None:
    return moment(thing["metadata"].get("creationTimestamp"))


def moment(stamp: object) -> datetime | None:
    """A time as Kubernetes writes it; None where there is none."""
    if not isinstance(stamp, str) or not stamp:
        return None
    try:
        found = datetime.fromisoformat(stamp)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
