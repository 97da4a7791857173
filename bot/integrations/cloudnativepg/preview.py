"""What a restore by CloudNativePG would do, found out by reading alone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from bot.core.backup import Backup, Inventory, RestorePoint, RestorePreview
from bot.core.errors import Rejected
from bot.core.kubernetes import KubernetesObject
from bot.integrations.cloudnativepg import rights
from bot.integrations.cloudnativepg.inventory import SNAPSHOTS
from bot.integrations.cloudnativepg.manifests import copy_name
from bot.integrations.cloudnativepg.site import CnpgSite
from bot.integrations.kubernetes.resources import SERVICE, status_of

_NOT_RESTORED = (
    "Secrets: the passwords of the superuser and of the application are new ones, which the operator makes",
    "Roles and databases that the operator keeps (managed, Database objects), poolers, and replicas: one instance",
    "Backups of the copy: it archives no WAL until it is given the plug-in with a serverName of its own",
    "Clients: they stay with the live cluster. Pointing them at the copy's -rw Service is a person's work",
)


def preview(site: CnpgSite, inventory: Inventory, point: RestorePoint, *, drill: bool) -> RestorePreview:
    """Raises `Rejected`."""
    if inventory.blockers:
        raise Rejected(f"{' '.join(inventory.blockers)} Nothing was done.", code="blocked")
    if drill and site.where.url is None:
        raise Rejected(
            "A drill of this store would prove nothing: without `url` the copy cannot be read. Nothing was done. Set"
            " url of the store, with {name} for the cluster.",
            code="no_url",
        )
    _check_rights(site)
    live, chosen = site.live(), _chosen(inventory, point)
    latest = _to_the_end(point)
    if (
        chosen.kind == SNAPSHOTS
        and (point.at is not None or latest)
        and inventory.continuity
        and inventory.continuity.gap
    ):
        raise Rejected(
            f"{inventory.continuity.gap}. Nothing was done. Name a backup to restore that alone.", code="gap"
        )
    data_at = point.at or (None if latest else chosen.data_at)
    return RestorePreview(
        backup_id=chosen.id,
        data_at=data_at,
        copy_name=f"PostgreSQL cluster {site.where.namespace}/{copy_name(site.where, '{run}')}",
        effect=tuple(_effect(site, point, chosen, drill=drill)),
        preconditions={
            "backup": f"{chosen.id} completed at {chosen.data_at:%Y-%m-%d %H:%M:%S} UTC",
            "live cluster": str(live["metadata"]["uid"]),
        },
        not_restored=tuple(_not_restored(live)),
        moving=tuple(_moving(inventory, point, live)),
        facts=_facts(site, live),
    )


def _to_the_end(point: RestorePoint) -> bool:
    """Whether all WAL is replayed: what a person calls latest, and what that was resolved to."""
    return point.at is None and (point.latest or not point.backup_id)


def _chosen(inventory: Inventory, point: RestorePoint) -> Backup:
    """The backup that a recovery begins from: the newest that ended before the moment."""
    if point.backup_id:
        named = next((one for one in inventory.backups if one.id == point.backup_id), None)
        if named is None:
            raise Rejected(f"There is no Backup {point.backup_id} of this cluster. Nothing was done.", code="no_backup")
        if named.problem:
            message = f"Backup {point.backup_id} cannot be restored from: {named.problem}. Nothing was done."
            raise Rejected(message, code="unusable")
        if point.at is not None:
            _check_window(inventory, point.at)
        return named
    if point.at is not None:
        _check_window(inventory, point.at)
    usable = [one for one in inventory.backups if one.usable and (point.at is None or one.data_at <= point.at)]
    if usable:
        return usable[0]
    newest = (
        f" The newest one is {inventory.backups[0].id}: {inventory.backups[0].problem}." if inventory.backups else ""
    )
    raise Rejected(f"There is no usable backup to begin from.{newest} Nothing was done.", code="no_backup")


def _check_window(inventory: Inventory, at: datetime) -> None:
    window = inventory.window
    if window is None:
        raise Rejected(
            "No moment can be restored: the recovery window is not known. Nothing was done.", code="no_window"
        )
    if not window.earliest <= at <= window.latest:
        raise Rejected(
            f"{at:%Y-%m-%d %H:%M:%S} UTC is outside of what can be restored: {window.earliest:%Y-%m-%d %H:%M:%S} to"
            f" {window.latest:%Y-%m-%d %H:%M:%S} UTC. Nothing was done. For the newest data say latest.",
            code="outside_window",
        )


def _check_rights(site: CnpgSite) -> None:
    missing = [one for one in rights.to_restore(site.where) if not site.cluster.allowed(one)]
    if missing:
        listed = ", ".join(f"{one} in {one.namespace}" for one in missing)
        message = f"The bot has no right in cluster {site.cluster.name} to {listed}. Nothing was done. Grant it."
        raise Rejected(message, code="no_entry")


def _effect(site: CnpgSite, point: RestorePoint, chosen: Backup, *, drill: bool) -> Iterator[str]:
    until = f"until {point.at:%Y-%m-%d %H:%M:%S} UTC" if point.at else "to its end"
    until = until if point.at or _to_the_end(point) else "only until the backup is consistent"
    yield f"A new cluster of one instance is made from backup {chosen.id} ({chosen.kind}), and WAL is replayed {until}"
    ports = ", ".join(map(str, site.where.egress_ports))
    yield (
        f"Its pods may connect to the ports {ports} alone, so to no other database: subscriptions, foreign tables and"
        f" jobs in it find nobody{'; a drill tries that first' if drill else ''}"
    )
    if not drill:
        yield "To let it connect elsewhere, a person deletes its NetworkPolicies"


def _not_restored(live: KubernetesObject) -> Iterator[str]:
    yield from _NOT_RESTORED
    if (live.get("spec") or {}).get("tablespaces"):
        yield "Tablespaces that have changed since the backup: the copy has those of the live cluster now"


def _moving(inventory: Inventory, point: RestorePoint, live: KubernetesObject) -> Iterator[str]:
    if inventory.continuity and inventory.continuity.gap:
        yield inventory.continuity.gap
    if point.at is not None:
        yield "If nothing was committed after that moment, PostgreSQL cannot stop there, and fails: then say latest"
    ready = status_of(live).get("readyInstances")
    yield f"The live cluster has {ready or 0} ready instances: {status_of(live).get('phase') or 'no phase'}"


def _facts(site: CnpgSite, live: KubernetesObject) -> dict[str, str]:
    service = site.get(SERVICE, f"{site.where.name}-rw")
    address = ((service or {}).get("spec") or {}).get("clusterIP") or ""
    return {
        "live_uid": str(live["metadata"]["uid"]),
        "system_id": str(status_of(live).get("systemID") or ""),
        "timeline": str(status_of(live).get("timelineID") or ""),
        "target": f"{address}:5432" if address not in ("", "None") else "",
    }
