"""Where a cluster of CloudNativePG is, and its objects as far as backups need them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from bot.core.errors import Rejected
from bot.core.kubernetes import Cluster, KubernetesObject, ObjectRef, ResourceKind
from bot.integrations.cloudnativepg.settings import CloudNativePgSettings

_GROUP = "postgresql.cnpg.io"
CLUSTER = ResourceKind(group=_GROUP, version="v1", plural="clusters", title="Cluster")
BACKUP = ResourceKind(group=_GROUP, version="v1", plural="backups", title="Backup")
SCHEDULED = ResourceKind(group=_GROUP, version="v1", plural="scheduledbackups", title="ScheduledBackup")
STORE = ResourceKind(group="barmancloud.cnpg.io", version="v1", plural="objectstores", title="ObjectStore")
SNAPSHOT = ResourceKind(group="snapshot.storage.k8s.io", version="v1", plural="volumesnapshots", title="VolumeSnapshot")
PLUGIN = "barman-cloud.cloudnative-pg.io"
CLUSTER_LABEL = "cnpg.io/cluster"


@dataclass(frozen=True, kw_only=True, slots=True)
class CnpgSite:
    """One store's look at its cluster. `store`: its name in the settings."""

    cluster: Cluster
    where: CloudNativePgSettings
    store: str
    now: Callable[[], datetime]
    pause: Callable[[timedelta], None]

    def ref(self, kind: ResourceKind, name: str) -> ObjectRef:
        return ObjectRef(kind=kind, namespace=self.where.namespace, name=name)

    def get(self, kind: ResourceKind, name: str) -> KubernetesObject | None:
        return self.cluster.get(self.ref(kind, name))

    def find(self, kind: ResourceKind, labels: str = "", fields: str = "") -> Sequence[KubernetesObject]:
        return self.cluster.find(kind, self.where.namespace, labels=labels, fields=fields)

    def live(self) -> KubernetesObject:
        """Raises `Rejected`: there is no such cluster."""
        found = self.get(CLUSTER, self.where.name)
        if found is None:
            place = f"{self.where.namespace}/{self.where.name}"
            raise Rejected(
                f"Cluster {self.cluster.name} has no PostgreSQL cluster {place}, or CloudNativePG is not installed"
                " there. Nothing was done. Correct the settings, or create the cluster first.",
                code="no_cluster",
            )
        return found


@dataclass(frozen=True, kw_only=True, slots=True)
class CnpgArchive:
    """Where a cluster archives its WAL and puts its backups, by the plug-in."""

    store: str  #: the ObjectStore
    server: str


def archive_of(live: KubernetesObject) -> CnpgArchive | None:
    """None for a cluster that does not archive by the plug-in."""
    for plugin in (live.get("spec") or {}).get("plugins") or ():
        parameters: Mapping[str, Any] = plugin.get("parameters") or {}
        if plugin.get("name") == PLUGIN and plugin.get("enabled", True) and parameters.get("barmanObjectName"):
            name = str(live["metadata"]["name"])
            return CnpgArchive(
                store=str(parameters["barmanObjectName"]), server=str(parameters.get("serverName") or name)
            )
    return None
