"""The live namespaces of a store, as far as they decide whether Velero can back up their volumes.

The trap: Velero's file-system backup reads volumes through running pods, skips hostPath volumes (which are what K3s,
kind and k3d make by default), and says Completed.
https://github.com/velero-io/velero/blob/v1.18.1/pkg/podvolume/backupper.go
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from bot.core.kubernetes import KubernetesObject, ObjectRef
from bot.integrations.kubernetes.resources import (
    CLAIM,
    NAMESPACE,
    POD,
    VOLUME,
    created_at,
    name_of,
    status_of,
)
from bot.integrations.velero.site import VeleroSite

_OPTED_OUT = "backup.velero.io/backup-volumes-excludes"
_LEFT_OUT = "velero.io/exclude-from-backup"


@dataclass(frozen=True, kw_only=True, slots=True)
class LiveVolume:
    """A claim as it is now."""

    claim: str  #: "shop/data"
    created: datetime | None
    storage_class: str
    host_path: bool  #: its volume is a directory of a node
    mounted: bool  #: by a running pod
    opted_out: bool  #: an annotation or a label leaves it out of backups


@dataclass(frozen=True, kw_only=True, slots=True)
class LiveNamespaces:
    uids: Mapping[str, str]  #: by name; without those that do not exist
    volumes: Mapping[str, LiveVolume]  #: by claim


class LiveReader:
    """Remembers of which kind a volume is, which never changes."""

    def __init__(self) -> None:
        self._host_path: dict[str, bool] = {}

    def read(self, site: VeleroSite) -> LiveNamespaces:
        """Raises `Rejected`."""
        uids: dict[str, str] = {}
        volumes: dict[str, LiveVolume] = {}
        for name in site.where.included:
            found = site.cluster.get(ObjectRef(kind=NAMESPACE, namespace="", name=name))
            if found is None:
                continue
            uids[name] = str(found["metadata"]["uid"])
            pods = list(site.cluster.find(POD, name))
            for claim in site.cluster.find(CLAIM, name):
                volume = self._volume(site, name, claim, pods)
                volumes[volume.claim] = volume
        return LiveNamespaces(uids=uids, volumes=volumes)

    def _volume(
        self, site: VeleroSite, namespace: str, claim: KubernetesObject, pods: list[KubernetesObject]
    ) -> LiveVolume:
        name, spec = name_of(claim), claim.get("spec") or {}
        mounts = [(pod, volume) for pod in pods for volume in _volumes(pod, name)]
        return LiveVolume(
            claim=f"{namespace}/{name}",
            created=created_at(claim),
            storage_class=str(spec.get("storageClassName") or ""),
            host_path=self._is_host_path(site, str(spec.get("volumeName") or "")),
            mounted=any(status_of(pod).get("phase") == "Running" for pod, _ in mounts),
            opted_out=(claim["metadata"].get("labels") or {}).get(_LEFT_OUT) == "true"
            or any(volume in _excluded(pod) for pod, volume in mounts),
        )

    def _is_host_path(self, site: VeleroSite, volume: str) -> bool:
        if not volume:
            return False
        if volume not in self._host_path:
            found = site.cluster.get(ObjectRef(kind=VOLUME, namespace="", name=volume))
            if found is None:
                return False
            self._host_path[volume] = "hostPath" in (found.get("spec") or {})
        return self._host_path[volume]


def _volumes(pod: KubernetesObject, claim: str) -> Iterator[str]:
    """The names under which that pod mounts it."""
    for volume in (pod.get("spec") or {}).get("volumes") or ():
        if (volume.get("persistentVolumeClaim") or {}).get("claimName") == claim:
            yield str(volume["name"])


def _excluded(pod: KubernetesObject) -> set[str]:
    said = (pod["metadata"].get("annotations") or {}).get(_OPTED_OUT) or ""
    return {one.strip() for one in said.split(",")}
