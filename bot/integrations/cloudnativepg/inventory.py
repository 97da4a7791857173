"""Judges the backups of a cluster of CloudNativePG, its recovery window, and its WAL archive.

The trap: with the Barman Cloud plug-in the fields firstRecoverabilityPoint and lastSuccessfulBackup of the Cluster stay
empty or stale. The window is in ObjectStore.status.serverRecoveryWindow, and nothing else is read for it.
https://github.com/cloudnative-pg/plugin-barman-cloud/blob/main/api/v1/objectstore_types.go
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from bot.core.backup import Backup, Continuity, Inventory, Window
from bot.core.kubernetes import KubernetesObject
from bot.integrations.cloudnativepg.site import (
    BACKUP,
    PLUGIN,
    SCHEDULED,
    SNAPSHOT,
    STORE,
    CnpgArchive,
    CnpgSite,
    archive_of,
)
from bot.integrations.kubernetes.resources import created_at, moment, name_of, status_of
from bot.lib.cron import longest_gap

SNAPSHOTS = "volumeSnapshot"
_DONE = "completed"
#: "invalid backup definition" has spaces, unlike all others.
_WORDS: Mapping[str, str] = {
    "pending": "it waits to be started",
    "started": "it is still being made",
    "running": "it is still being made",
    "finalizing": "its snapshots are not ready to use yet",
    "walArchivingFailing": "the archiving of WAL fails, without which it cannot be restored",
}
#: CloudNativePG's default: how long a quiet server waits before it archives its WAL all the same.
_ARCHIVE_TIMEOUT = timedelta(minutes=5)
_TIMEOUT = re.compile(r"(\d+)\s*(ms|s|min|h|d)?")
_UNITS = {"ms": 0.001, "s": 1.0, "": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


@dataclass(frozen=True, kw_only=True, slots=True)
class ArchiveLook:
    """What is known of the WAL archive."""

    archive: CnpgArchive | None
    first: datetime | None  #: the first moment that can be recovered
    archiving: bool
    since: datetime | None  #: since when it archives, or does not
    why_not: str
    major: int  #: of the live server; 0: not known


def read(site: CnpgSite) -> Inventory:
    """Raises `Rejected`."""
    live = site.live()
    look = look_at_archive(site, live)
    backups = [judge(site, one, look) for one in backups_of(site)]
    latest = _reachable(live, look, site.now())
    window = None
    if look.first is not None and latest is not None and latest >= look.first:
        window = Window(earliest=look.first, latest=latest)
    return Inventory(
        backups=tuple(sorted(backups, key=lambda one: one.data_at, reverse=True)),
        window=window,
        continuity=Continuity(ok_until=latest, gap=_gap(look)) if look.archive is not None else None,
        blockers=tuple(_blockers(site, look)),
        interval=_interval(site),
    )


def backups_of(site: CnpgSite) -> Iterator[KubernetesObject]:
    for one in site.find(BACKUP):
        if ((one.get("spec") or {}).get("cluster") or {}).get("name") == site.where.name:
            yield one


def look_at_archive(site: CnpgSite, live: KubernetesObject) -> ArchiveLook:
    archive = archive_of(live)
    conditions = {one["type"]: one for one in status_of(live).get("conditions") or ()}
    archiving = conditions.get("ContinuousArchiving") or {}
    if silent := _nobody_archives(live, conditions):
        archiving = silent
    store = site.get(STORE, archive.store) if archive is not None else None
    window = ((status_of(store).get("serverRecoveryWindow") or {}) if store else {}).get(
        archive.server if archive else ""
    )
    return ArchiveLook(
        archive=archive,
        first=moment((window or {}).get("firstRecoverabilityPoint")),
        archiving=archiving.get("status") == "True",
        since=moment(archiving.get("lastTransitionTime")),
        why_not=str(archiving.get("message") or "the operator has not said yet whether WAL is archived"),
        major=int((status_of(live).get("pgDataImageInfo") or {}).get("majorVersion") or 0),
    )


def _nobody_archives(live: KubernetesObject, conditions: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """ContinuousArchiving stays True while a cluster is hibernated or all its instances are fenced or down."""
    hibernated = conditions.get("cnpg.io/hibernation") or {}
    if hibernated.get("status") == "True":
        return {"lastTransitionTime": hibernated.get("lastTransitionTime"), "message": "the cluster is hibernated"}
    ready = conditions.get("Ready") or {}
    if ready.get("status") == "False" and not status_of(live).get("readyInstances"):
        message = f"no instance of the cluster is ready ({status_of(live).get('phase') or 'no phase'})"
        return {"lastTransitionTime": ready.get("lastTransitionTime"), "message": message}
    return None


def judge(site: CnpgSite, thing: KubernetesObject, look: ArchiveLook) -> Backup:
    status = status_of(thing)
    begun, ended = moment(status.get("startedAt")), moment(status.get("stoppedAt"))
    done = status.get("phase") == _DONE
    return Backup(
        id=name_of(thing),
        data_at=ended or begun or created_at(thing) or datetime.min.replace(tzinfo=UTC),
        finished_at=ended if done or status.get("phase") == "failed" else None,
        duration=ended - begun if begun and ended else None,
        problem=_problem(site, thing, look),
        kind=method_of(thing),
    )


def method_of(thing: KubernetesObject) -> str:
    """plugin, volumeSnapshot or barmanObjectStore."""
    return str(status_of(thing).get("method") or (thing.get("spec") or {}).get("method") or "barmanObjectStore")


def _problem(site: CnpgSite, thing: KubernetesObject, look: ArchiveLook) -> str:
    status = status_of(thing)
    phase = str(status.get("phase") or "pending")
    if phase != _DONE:
        reason = f": {status['error']}" if status.get("error") else ""
        return f"{_WORDS.get(phase, f'its phase is {phase!r}')}{reason}"
    if look.archive is None:
        return "the cluster archives no WAL by the plug-in, without which it cannot be restored"
    major = int(status.get("majorVersion") or 0)
    if major and look.major and major != look.major:
        return f"it is of PostgreSQL {major}, and the image of the live cluster is PostgreSQL {look.major}"
    if method_of(thing) == SNAPSHOTS:
        return "; ".join(_of_snapshots(site, status))
    return _of_the_store(status, look)


def _of_the_store(status: Mapping[str, Any], look: ArchiveLook) -> str:
    ended = moment(status.get("stoppedAt"))
    store = look.archive.store if look.archive else ""
    if not status.get("backupId"):
        return "it has no id in the object storage to restore from"
    if look.first is None:
        return f"ObjectStore {store} knows no moment that can be recovered"
    if ended is None or ended < look.first:
        return (
            f"it is from before the first moment that ObjectStore {store} can recover, {look.first:%Y-%m-%d %H:%M} UTC"
        )
    return ""


def snapshots_of(status: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Each with `name` and `type` (PG_DATA, PG_WAL, PG_TABLESPACE)."""
    yield from (status.get("snapshotBackupStatus") or {}).get("elements") or ()


def _of_snapshots(site: CnpgSite, status: Mapping[str, Any]) -> Iterator[str]:
    elements = list(snapshots_of(status))
    if not any(one.get("type") == "PG_DATA" for one in elements):
        yield "it names no snapshot of the data"
    for one in elements:
        found = site.get(SNAPSHOT, str(one["name"]))
        if found is None:
            yield f"its snapshot {one['name']} is gone"
        elif not status_of(found).get("readyToUse"):
            yield f"its snapshot {one['name']} is not ready to use"


def _reachable(live: KubernetesObject, look: ArchiveLook, now: datetime) -> datetime | None:
    """The newest moment whose WAL is surely archived: a quiet server archives only every archive_timeout."""
    if look.archive is None:
        return None
    if not look.archiving:
        return look.since
    parameters = ((live.get("spec") or {}).get("postgresql") or {}).get("parameters") or {}
    return now - _timeout(str(parameters.get("archive_timeout") or ""))


def _timeout(said: str) -> timedelta:
    found = _TIMEOUT.fullmatch(said.strip())
    return timedelta(seconds=int(found[1]) * _UNITS[found[2] or ""]) if found else _ARCHIVE_TIMEOUT


def _gap(look: ArchiveLook) -> str:
    if look.archiving:
        return ""
    return f"WAL is not archived{f' since {look.since:%Y-%m-%d %H:%M} UTC' if look.since else ''}: {look.why_not}"


def _blockers(site: CnpgSite, look: ArchiveLook) -> Iterator[str]:
    if look.archive is None:
        yield (
            f"The cluster {site.where.name} does not archive WAL by the plug-in {PLUGIN}: neither a moment nor a"
            " volume snapshot can be restored. Add the plug-in with an ObjectStore; spec.backup.barmanObjectStore is"
            " deprecated, and is not read."
        )
        return
    store = site.get(STORE, look.archive.store)
    if store is None:
        yield f"ObjectStore {look.archive.store} does not exist: WAL goes nowhere. Create it, or correct the plug-in."
    elif look.first is None:
        yield (
            f"ObjectStore {look.archive.store} has no recovery window for server {look.archive.server}: no backup has"
            " succeeded there. Make one, and look at the plug-in's log if it does not appear."
        )


def _interval(site: CnpgSite) -> timedelta | None:
    """Of the most frequent schedule."""
    gaps = [
        gap
        for one in site.find(SCHEDULED)
        if ((one.get("spec") or {}).get("cluster") or {}).get("name") == site.where.name
        and not (one.get("spec") or {}).get("suspend")
        and (gap := longest_gap(str(one["spec"].get("schedule") or "")))
    ]
    return min(gaps, default=None)
