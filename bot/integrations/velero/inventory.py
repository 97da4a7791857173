"""Judges the backups of Velero that belong to a store.

The trap: Completed says that Velero came to the end, not that a volume can come back. A backup is usable only if every
volume that existed then has data in it, and its storage location and repositories answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any

from bot.core.backup import Backup, Inventory
from bot.core.errors import Rejected
from bot.core.kubernetes import KubernetesObject
from bot.integrations.kubernetes.resources import created_at, moment, name_of, status_of
from bot.integrations.velero import volumes as volume_data
from bot.integrations.velero.downloads import fetch
from bot.integrations.velero.live import LiveNamespaces, LiveReader, LiveVolume
from bot.integrations.velero.site import BACKUP, LOCATION, REPOSITORY, SCHEDULE, SCHEDULE_LABEL, VeleroSite
from bot.integrations.velero.volumes import VolumeData
from bot.lib.cron import longest_gap

#: So many backups at most have their volumes read in one look; the next look reads on.
_MOST_READ = 6
_NOT_YET = "its volumes have not been looked at yet; the next look at the store reads on"
#: Velero validates a location every minute unless it is told otherwise; a look may come between two.
_VALIDATED_EVERY, _SLACK = timedelta(minutes=1), timedelta(minutes=1)
#: Of `validationFrequency`: locations are not validated by time.
_NEVER = ("0", "0s", "0m0s", "0h0m0s")
_MADE = ("Completed", "PartiallyFailed", "Failed", "FailedValidation", "Deleting")


@dataclass(frozen=True, kw_only=True, slots=True)
class JudgedBackup:
    """A backup, with what it was judged by."""

    backup: Backup
    thing: KubernetesObject
    volumes: Mapping[str, VolumeData]  #: by claim, without those that were left out on purpose
    live: LiveNamespaces


class InventoryReader:
    """Remembers what is in each backup that is Completed: it does not change any more."""

    def __init__(self) -> None:
        self._read: dict[str, _Content] = {}  #: by the uid of the backup
        self._live = LiveReader()

    def read(self, site: VeleroSite) -> tuple[Inventory, Sequence[JudgedBackup]]:
        """The inventory, and the same backups with what they were judged by. Raises `Rejected`."""
        live = self._live.read(site)
        judged = self._judged(site, live)
        schedule = site.get(SCHEDULE, site.where.schedule) if site.where.schedule else None
        inventory = Inventory(
            backups=tuple(one.backup for one in judged),
            blockers=tuple(_blockers(site, live, schedule)),
            interval=longest_gap(str((schedule or {}).get("spec", {}).get("schedule") or "")) if schedule else None,
        )
        return inventory, judged

    def _judged(self, site: VeleroSite, live: LiveNamespaces) -> Sequence[JudgedBackup]:
        """The newest data first."""
        chosen = f"{SCHEDULE_LABEL}={site.where.schedule}" if site.where.schedule else str(site.where.labels)
        things = sorted(site.find(BACKUP, chosen), key=_data_at, reverse=True)
        around = _Around.of(site)
        known = {str(one["metadata"]["uid"]) for one in things}
        self._read = {uid: content for uid, content in self._read.items() if uid in known}
        unread, why_not, found = _MOST_READ, "", []
        for thing in things:
            problem = phase_problem(thing, site.now()) or around.location_problem(thing, site.now())
            uid = str(thing["metadata"]["uid"])
            if not problem and uid not in self._read and not why_not and unread:
                unread -= 1
                why_not = self._look_into(site, thing)
            content = self._read.get(uid)
            if not problem and content is None:
                problem = why_not or _NOT_YET
            if not problem and content is not None:
                problem = "; ".join(_missing(site, thing, content, live))
                problem = problem or around.repository_problem(content.volumes)
            found.append(_judged(thing, content.volumes if content else {}, live, problem))
        return found

    def _look_into(self, site: VeleroSite, thing: KubernetesObject) -> str:
        """Why its volumes cannot be known, or nothing."""
        name, included = name_of(thing), site.where.included
        try:
            every = volume_data.parse(fetch(site, "BackupVolumeInfos", name))
            claims = volume_data.claims(fetch(site, "BackupResourceList", name))
        except Rejected as refused:
            return f"its volumes cannot be known: {refused.message}"
        self._read[str(thing["metadata"]["uid"])] = _Content(
            volumes={claim: one for claim, one in every.items() if claim.partition("/")[0] in included},
            claims=frozenset(one for one in claims if one.partition("/")[0] in included),
        )
        return ""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Content:
    """What a backup has of the store's namespaces."""

    volumes: Mapping[str, VolumeData]
    claims: frozenset[str]


def phase_problem(thing: KubernetesObject, now: datetime) -> str:
    """Why its phase alone speaks against a backup, or nothing."""
    status = status_of(thing)
    phase = str(status.get("phase") or "New")
    if phase == "Completed":
        return _of_a_completed_one(status, now)
    errors, warnings = int(status.get("errors") or 0), int(status.get("warnings") or 0)
    ahead = max(0, int(status.get("queuePosition") or 1) - 1)
    told = {
        "Queued": f"it is Queued behind {_counted(ahead, 'backup')}",
        "FailedValidation": f"FailedValidation: {'; '.join(status.get('validationErrors') or ['no reason given'])}",
        "PartiallyFailed": f"PartiallyFailed with {_counted(errors, 'error')} and {_counted(warnings, 'warning')}; "
        f"`velero backup describe {name_of(thing)} --details` names them",
        "Failed": f"Failed: {status.get('failureReason') or 'no reason given'}",
        "Deleting": "it is being deleted",
    }
    return told.get(phase, f"it is still being made ({phase})")


def _of_a_completed_one(status: Mapping[str, Any], now: datetime) -> str:
    hooks = status.get("hookStatus") or {}
    failed = (
        (int(status.get("errors") or 0), "error"),
        (int(hooks.get("hooksFailed") or 0), "failed hook"),
        (int(status.get("backupItemOperationsFailed") or 0), "failed item operation"),
    )
    told = [_counted(count, noun) for count, noun in failed if count]
    if told:
        return f"it says Completed, with {' and '.join(told)}"
    expires = moment(status.get("expiration"))
    return f"it expired at {_shown(expires)}" if expires is not None and expires <= now else ""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Around:
    """The storage locations and repositories that backups are in."""

    locations: Mapping[str, KubernetesObject]
    repositories: Sequence[KubernetesObject]

    @classmethod
    def of(cls, site: VeleroSite) -> _Around:
        locations = {name_of(one): one for one in site.find(LOCATION)}
        return cls(locations=locations, repositories=list(site.find(REPOSITORY)))

    def location_problem(self, backup: KubernetesObject, now: datetime) -> str:
        name = str((backup.get("spec") or {}).get("storageLocation") or "default")
        return _location_problem(name, self.locations.get(name), now)

    def repository_problem(self, volumes: Mapping[str, VolumeData]) -> str:
        """Of the namespaces whose data is in one. One that does not exist is made by a restore."""
        namespaces = {claim.partition("/")[0] for claim, one in volumes.items() if one.moved}
        for one in self.repositories:
            namespace = str((one.get("spec") or {}).get("volumeNamespace") or "")
            if namespace in namespaces and status_of(one).get("phase") == "NotReady":
                said = status_of(one).get("message") or "no reason given"
                return f"the repository of namespace {namespace} is NotReady: {said}"
        return ""


def _location_problem(name: str, location: KubernetesObject | None, now: datetime) -> str:
    if location is None:
        return f"its storage location {name} does not exist"
    status = status_of(location)
    if status.get("phase") != "Available":
        said = status.get("message") or "no reason given"
        return f"its storage location {name} is {status.get('phase') or 'not validated yet'}: {said}"
    said = str((location.get("spec") or {}).get("validationFrequency") or "")
    every = _duration(said) or _VALIDATED_EVERY
    validated = moment(status.get("lastValidationTime"))
    if said not in _NEVER and (validated is None or now - validated > 2 * every + _SLACK):
        return f"its storage location {name} was last validated at {_shown(validated)}: check that Velero runs"
    return ""


def _missing(site: VeleroSite, thing: KubernetesObject, content: _Content, live: LiveNamespaces) -> Iterator[str]:
    """What of its volumes cannot come back, in words. Wanted are those that it has the claims of, and those that were
    there before it and are there now.
    """
    spec = thing.get("spec") or {}
    wanted, unwanted = spec.get("includedNamespaces") or ["*"], spec.get("excludedNamespaces") or ()
    for namespace in site.where.included:
        if not any(fnmatchcase(namespace, one) for one in wanted) or namespace in unwanted:
            yield f"it does not have namespace {namespace}"
    yield from volume_data.problems(content.volumes, site.where.empty_volumes)
    begun = _data_at(thing)
    older = {claim for claim, one in live.volumes.items() if one.created is not None and one.created < begun}
    for claim in sorted((older | content.claims) - set(content.volumes)):
        volume = live.volumes.get(claim)
        if volume is None or not volume.opted_out:
            yield f"volume {claim} has no data in it: {_why(volume)}"


def _why(volume: LiveVolume | None) -> str:
    if volume is None:
        return "its claim is in the backup, and nothing of its contents"
    if volume.host_path:
        return "it is a hostPath volume, which Velero's file-system backup skips"
    if not volume.mounted:
        return "no running pod mounts it, and Velero's file-system backup reads volumes through running pods"
    return "neither a snapshot nor a file-system backup was made of it (a plug-in, or defaultVolumesToFsBackup)"


def _blockers(site: VeleroSite, live: LiveNamespaces, schedule: KubernetesObject | None) -> Iterator[str]:
    paths = [claim for claim, one in sorted(live.volumes.items()) if one.host_path and not one.opted_out]
    if paths:
        yield (
            f"{', '.join(paths)}: hostPath volumes (as local-path makes them). Velero's file-system backup skips"
            " hostPath volumes and says Completed: their data is in no backup. Use a CSI driver with snapshots, or"
            " let local-path make volumes of the type local, or back up their contents by another engine."
        )
    if site.where.schedule and schedule is None:
        yield f"The Schedule {site.where.schedule} does not exist: no backup is made. Create it, or correct the name."
    elif schedule is not None:
        yield from _of_the_schedule(site.where.schedule or "", schedule)


def _of_the_schedule(name: str, schedule: KubernetesObject) -> Iterator[str]:
    if (schedule.get("spec") or {}).get("paused"):
        yield f"The Schedule {name} is paused: no backup is made. `velero schedule unpause {name}` goes on."
    phase = status_of(schedule).get("phase")
    if phase == "FailedValidation":
        said = "; ".join(status_of(schedule).get("validationErrors") or ["no reason given"])
        yield f"The Schedule {name} is not valid: {said}. No backup is made."


def _judged(
    thing: KubernetesObject, volumes: Mapping[str, VolumeData], live: LiveNamespaces, problem: str
) -> JudgedBackup:
    status = status_of(thing)
    begun, ended = moment(status.get("startTimestamp")), moment(status.get("completionTimestamp"))
    chosen = sorted(claim for claim, one in volumes.items() if one.by_choice)
    warnings = int(status.get("warnings") or 0)
    notes = [f"left out by a policy: {', '.join(chosen)}"] if chosen else []
    notes += [_counted(warnings, "warning")] if warnings and status.get("phase") == "Completed" else []
    done = str(status.get("phase") or "") in _MADE
    backup = Backup(
        id=name_of(thing),
        data_at=_data_at(thing),
        finished_at=ended if done else None,
        size_bytes=sum(one.size_bytes for one in volumes.values()) if volumes else None,
        duration=ended - begun if begun and ended else None,
        problem=problem,
        damage="; ".join(notes),
        kind=", ".join(sorted({one.kind for one in volumes.values() if one.kind})),
        expires_at=moment(status.get("expiration")),
    )
    kept = {claim: one for claim, one in volumes.items() if not one.by_choice}
    return JudgedBackup(backup=backup, thing=thing, volumes=kept, live=live)


def _data_at(thing: KubernetesObject) -> datetime:
    """The start: what was written after it may be missing. `creationTimestamp` changes when backups are synced."""
    started = moment(status_of(thing).get("startTimestamp"))
    return started or created_at(thing) or datetime.min.replace(tzinfo=UTC)


def _duration(said: str) -> timedelta | None:
    """Of Go: "1m0s"."""
    return longest_gap(f"@every {said}") if said else None


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _shown(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC" if at else "no time"
