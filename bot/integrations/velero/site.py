"""Where Velero is: its cluster, its namespace, and the objects that it reads and writes there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.core.kubernetes import Cluster, KubernetesObject, ObjectRef, ResourceKind
from bot.integrations.velero.settings import VeleroSettings

_GROUP = "velero.io"


def _kind(plural: str, title: str, version: str = "v1") -> ResourceKind:
    return ResourceKind(group=_GROUP, version=version, plural=plural, title=title)


BACKUP = _kind("backups", "Backup")
RESTORE = _kind("restores", "Restore")
SCHEDULE = _kind("schedules", "Schedule")
LOCATION = _kind("backupstoragelocations", "BackupStorageLocation")
REPOSITORY = _kind("backuprepositories", "BackupRepository")
DOWNLOAD = _kind("downloadrequests", "DownloadRequest")
POD_VOLUME_RESTORE = _kind("podvolumerestores", "PodVolumeRestore")
DATA_DOWNLOAD = _kind("datadownloads", "DataDownload", "v2alpha1")

#: Velero's own labels, by which its objects belong together.
SCHEDULE_LABEL = "velero.io/schedule-name"
RESTORE_LABEL = "velero.io/restore-name"


@dataclass(frozen=True, kw_only=True, slots=True)
class VeleroSite:
    """One store's look at Velero. `store`: its name in the settings."""

    cluster: Cluster
    where: VeleroSettings
    store: str
    now: Callable[[], datetime]
    pause: Callable[[timedelta], None]

    def ref(self, kind: ResourceKind, name: str) -> ObjectRef:
        return ObjectRef(kind=kind, namespace=self.where.namespace, name=name)

    def get(self, kind: ResourceKind, name: str) -> KubernetesObject | None:
        return self.cluster.get(self.ref(kind, name))

    def find(self, kind: ResourceKind, labels: str = "") -> Sequence[KubernetesObject]:
        return self.cluster.find(kind, self.where.namespace, labels=labels)
