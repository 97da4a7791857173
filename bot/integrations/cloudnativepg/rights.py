"""The rights that the bot needs in a cluster for backups by CloudNativePG."""

from __future__ import annotations

from bot.core.kubernetes import ResourceAccess
from bot.integrations.cloudnativepg.settings import CloudNativePgSettings

_CNPG = "postgresql.cnpg.io"


def to_read(where: CloudNativePgSettings) -> tuple[ResourceAccess, ...]:
    """For the inventory."""
    return (
        _access(where, "get", _CNPG, "clusters"),
        _access(where, "list", _CNPG, "backups"),
        _access(where, "list", _CNPG, "scheduledbackups"),
        _access(where, "get", "barmancloud.cnpg.io", "objectstores"),
        _access(where, "get", "snapshot.storage.k8s.io", "volumesnapshots"),
    )


def to_restore(where: CloudNativePgSettings) -> tuple[ResourceAccess, ...]:
    """For restores, drills, and removing what they made."""
    found = [_access(where, verb, _CNPG, "clusters") for verb in ("create", "get", "list", "delete")]
    found += [_access(where, "get", _CNPG, "backups"), _access(where, "get", "", "services")]
    for group, resource in (("networking.k8s.io", "networkpolicies"), ("batch", "jobs")):
        found += [_access(where, verb, group, resource) for verb in ("create", "get", "list", "delete")]
    return (*found, *(_access(where, "list", "", one) for one in ("pods", "events", "persistentvolumeclaims")))


def to_back_up(where: CloudNativePgSettings) -> tuple[ResourceAccess, ...]:
    return (_access(where, "create", _CNPG, "backups"), _access(where, "get", _CNPG, "backups"))


def _access(where: CloudNativePgSettings, verb: str, group: str, resource: str) -> ResourceAccess:
    return ResourceAccess(verb=verb, group=group, resource=resource, namespace=where.namespace)
