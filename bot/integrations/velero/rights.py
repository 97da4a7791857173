"""The rights that the bot needs in a cluster for backups by Velero.

The trap: whoever may create Restores is as good as an administrator of the cluster, because Velero applies anything
that is in a backup, with its own rights. RBAC cannot make that smaller; the bot's gate has to.
"""

from __future__ import annotations

from bot.core.kubernetes import ResourceAccess
from bot.integrations.velero.settings import VeleroSettings

_VELERO = "velero.io"


def to_read(where: VeleroSettings) -> tuple[ResourceAccess, ...]:
    """For the inventory."""
    home = where.namespace
    plurals = ("backups", "schedules", "backupstoragelocations", "backuprepositories")
    found = [_access(verb, _VELERO, one, home) for one in plurals for verb in ("get", "list")]
    found += [_access(verb, _VELERO, "downloadrequests", home) for verb in ("create", "get", "delete")]
    for namespace in where.included:
        found.append(_access("get", "", "namespaces", "", namespace))
        found += [_access("list", "", one, namespace) for one in ("persistentvolumeclaims", "pods", "services")]
    return (*found, _access("get", "", "persistentvolumes"), _access("get", "storage.k8s.io", "storageclasses"))


def to_restore(where: VeleroSettings) -> tuple[ResourceAccess, ...]:
    """For restores, drills, and removing what they made. The namespaces of copies have no names yet: cluster-wide."""
    home = where.namespace
    found = [_access(verb, _VELERO, "restores", home) for verb in ("create", "get", "list", "delete")]
    found += [_access("list", _VELERO, one, home) for one in ("podvolumerestores", "datadownloads")]
    found += [_access(verb, "", "configmaps", home) for verb in ("create", "get", "delete")]
    found += [_access(verb, "", "namespaces") for verb in ("create", "get", "list", "delete")]
    found += [_access(verb, "networking.k8s.io", "networkpolicies") for verb in ("create", "get")]
    found += [_access(verb, "batch", "jobs") for verb in ("create", "get", "delete")]
    found += [_access("list", "", one) for one in ("pods", "persistentvolumeclaims", "persistentvolumes", "events")]
    return (*found, _access("patch", "", "persistentvolumes"))


def to_back_up(where: VeleroSettings) -> tuple[ResourceAccess, ...]:
    return (_access("create", _VELERO, "backups", where.namespace),)


def _access(verb: str, group: str, resource: str, namespace: str = "", name: str = "") -> ResourceAccess:
    return ResourceAccess(verb=verb, group=group, resource=resource, namespace=namespace, name=name)
