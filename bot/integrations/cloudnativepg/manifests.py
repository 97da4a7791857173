"""The objects that a copy of a cluster is made of. Pure.

A copy archives nothing: with the WAL of its own timeline in the live cluster's path it would damage that archive.
https://github.com/cloudnative-pg/cloudnative-pg/blob/v1.30.0/docs/src/recovery.md
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bot.core.backup import DRILL_LABEL, OWNER_LABEL, RestoreTask
from bot.core.kubernetes import KubernetesObject
from bot.integrations.cloudnativepg.inventory import SNAPSHOTS, method_of, snapshots_of
from bot.integrations.cloudnativepg.settings import CloudNativePgSettings
from bot.integrations.cloudnativepg.site import CLUSTER_LABEL, PLUGIN, CnpgArchive
from bot.integrations.kubernetes.resources import status_of

STORE_NOTE, EXPIRES_NOTE = "vakhta.dev/store", "vakhta.dev/expires"
_SOURCE = "origin"
#: Of the live cluster's spec; the rest would act for the copy (archiving, roles, monitoring, replicas of others).
_TAKEN_OVER = (
    *("imageName", "imageCatalogRef", "imagePullSecrets", "postgresUID", "postgresGID", "storage", "walStorage"),
    *("tablespaces", "resources", "affinity", "topologySpreadConstraints", "schedulerName", "priorityClassName"),
    *("ephemeralVolumesSizeLimit", "smartShutdownTimeout", "startDelay"),
)
_SNAPSHOT_KEYS = {"PG_DATA": "storage", "PG_WAL": "walStorage"}
_GROUP = "snapshot.storage.k8s.io"


def copy_name(where: CloudNativePgSettings, short_run: str) -> str:
    return f"{where.name}-restore-{short_run}"


def labels(task: RestoreTask) -> Mapping[str, str]:
    return {OWNER_LABEL: task.run} | ({DRILL_LABEL: task.run} if task.drill else {})


def cluster(
    task: RestoreTask,
    where: CloudNativePgSettings,
    live: KubernetesObject,
    backup: KubernetesObject,
    archive: CnpgArchive,
) -> KubernetesObject:
    """One instance, with the image, the volumes and the parameters of the live one."""
    notes = {STORE_NOTE: task.store} | ({EXPIRES_NOTE: task.expires_at.isoformat()} if task.expires_at else {})
    meta = {"name": copy_name(where, task.short_run), "labels": dict(labels(task)), "annotations": notes}
    held: Mapping[str, Any] = live.get("spec") or {}
    spec: dict[str, Any] = {name: held[name] for name in _TAKEN_OVER if name in held}
    if where.storage_class:
        for name in ("storage", "walStorage"):
            spec |= {name: {**spec[name], "storageClass": where.storage_class}} if name in spec else {}
    plugin = {"name": PLUGIN, "parameters": {"barmanObjectName": archive.store, "serverName": archive.server}}
    spec |= {
        "instances": 1,
        "enableSuperuserAccess": False,
        "enablePDB": False,
        "inheritedMetadata": {"labels": dict(labels(task))},
        "postgresql": _settings_of_the_server(held),
        "bootstrap": {"recovery": _recovery(task, backup)},
        "externalClusters": [{"name": _SOURCE, "plugin": plugin}],
    }
    return {"metadata": meta, "spec": spec}


def policies(task: RestoreTask, where: CloudNativePgSettings) -> Iterator[KubernetesObject]:
    """For the copy's pods, and the same for the pods that try it."""
    name = copy_name(where, task.short_run)
    for suffix, chosen in (("", {CLUSTER_LABEL: name}), ("-probe", {OWNER_LABEL: task.run})):
        meta = {"name": f"{name}{suffix}", "labels": dict(labels(task))}
        yield {"metadata": meta, "spec": {"podSelector": {"matchLabels": dict(chosen)}, **_rules(task, where)}}


def _rules(task: RestoreTask, where: CloudNativePgSettings) -> Mapping[str, Any]:
    """A drill's copy may be reached by the operator and the bot alone; out, only what a recovery needs."""
    ports = [{"port": port, "protocol": protocol} for port in where.egress_ports for protocol in _protocols(port)]
    rules: dict[str, Any] = {"policyTypes": ["Egress"], "egress": [{"ports": ports}]}
    if task.drill:
        names = [one for one in (where.operator_namespace, where.bot_namespace) if one]
        sources = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": one}}} for one in names]
        rules |= {"policyTypes": ["Egress", "Ingress"], "ingress": [{"from": sources}]}
    return rules


def _protocols(port: int) -> Sequence[str]:
    return ("UDP", "TCP") if port == 53 else ("TCP",)  # noqa: PLR2004 (of DNS)


def _settings_of_the_server(held: Mapping[str, Any]) -> Mapping[str, Any]:
    """Recovery needs parameters such as max_connections to be at least the original's."""
    found = held.get("postgresql") or {}
    return {name: found[name] for name in ("parameters", "shared_preload_libraries", "pg_hba") if name in found}


def _recovery(task: RestoreTask, backup: KubernetesObject) -> Mapping[str, Any]:
    """A moment is written with its offset: CloudNativePG reads one without as UTC, and people do not."""
    status = status_of(backup)
    snapshots = method_of(backup) == SNAPSHOTS
    target: dict[str, Any] = {} if snapshots else {"backupID": str(status.get("backupId"))}
    if task.point.at is not None:
        target["targetTime"] = task.point.at.isoformat()
    elif not task.point.latest:
        target["targetImmediate"] = True
    recovery: dict[str, Any] = {"source": _SOURCE} | ({"recoveryTarget": target} if target else {})
    return recovery | ({"volumeSnapshots": _snapshots(status)} if snapshots else {})


def _snapshots(status: Mapping[str, Any]) -> Mapping[str, Any]:
    found: dict[str, Any] = {}
    for one in snapshots_of(status):
        ref = {"name": one["name"], "kind": "VolumeSnapshot", "apiGroup": _GROUP}
        if one.get("type") in _SNAPSHOT_KEYS:
            found[_SNAPSHOT_KEYS[one["type"]]] = ref
        else:
            found.setdefault("tablespaceStorage", {})[str(one.get("tablespaceName"))] = ref
    return found
