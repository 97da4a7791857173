"""How a restore by Velero stands, read from its Restore, the movements of data that belong to it, and the claims.

The trap: Completed is the end of Velero's work, not proof of data. A copy counts as restored only when every movement
of data is complete with bytes, no hook and no item operation failed, and every claim is bound. The progress of a
Restore counts API objects; bytes are the sum over the movements.
https://github.com/velero-io/velero/blob/v1.18.1/pkg/apis/velero/v1/restore_types.go
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from bot.core.backup import OWNER_LABEL, CopyState, CopyStatus, RestoreTask
from bot.core.kubernetes import KubernetesObject, ObjectRef
from bot.integrations.kubernetes.resources import (
    CLAIM,
    EVENT,
    NAMESPACE,
    created_at,
    labels_of,
    name_of,
    status_of,
)
from bot.integrations.velero.facts import RestoreFacts, copy_of, restore_name
from bot.integrations.velero.site import (
    DATA_DOWNLOAD,
    POD_VOLUME_RESTORE,
    RESTORE,
    RESTORE_LABEL,
    VeleroSite,
)

_RUNNING: Mapping[str, str] = {
    "InProgress": "restoring objects",
    "WaitingForPluginOperations": "copying volumes",
    "WaitingForPluginOperationsPartiallyFailed": "copying volumes, with failures",
    "Finalizing": "finalizing",
    "FinalizingPartiallyFailed": "finalizing, with failures",
}
_RESTARTED = "during the server starting"
_ENDED = ("Completed", "PartiallyFailed", "Failed", "FailedValidation")
#: Of a movement: nothing of it was copied yet.
_UNTAKEN = ("New", "Accepted", "Prepared")
_SILENT_AFTER = timedelta(minutes=10)


@dataclass(frozen=True, kw_only=True, slots=True)
class Movement:
    """One DataDownload or PodVolumeRestore."""

    volume: str  #: "shop-restore-1f2e3d4c/data", of a PodVolumeRestore the volume of a pod
    phase: str
    done: int
    total: int
    message: str
    claim: str  #: as the backup has it: "shop/data"; "" where it is not known
    created: datetime | None


def look(site: VeleroSite, task: RestoreTask) -> CopyStatus:
    """Raises `Rejected`."""
    restore = site.get(RESTORE, restore_name(task.run))
    if restore is None:
        return _without_restore(site, task)
    if labels_of(restore).get(OWNER_LABEL) != task.run:
        return _failed(f"Restore {restore_name(task.run)} is not of this run")
    if restore["metadata"].get("deletionTimestamp"):
        return _failed(f"Restore {restore_name(task.run)} is being deleted. Remove the copy, and restore again")
    return _of_phase(site, task, restore)


def _of_phase(site: VeleroSite, task: RestoreTask, restore: KubernetesObject) -> CopyStatus:
    phase = str(status_of(restore).get("phase") or "New")
    if phase == "New":
        return CopyStatus(state=CopyState.WAITING, message=_waits_for(site, restore), phase="waiting for Velero")
    if phase == "Completed":
        return _completed(site, task, restore)
    if phase in _ENDED:
        return _failed(_why_failed(site, restore, phase))
    return _running(site, task, restore, phase)  # A phase that only a newer Velero knows is not an end.


def movements(site: VeleroSite, name: str) -> Sequence[Movement]:
    """Of that Restore."""
    chosen = f"{RESTORE_LABEL}={name}"
    found = [_movement(one) for one in site.find(DATA_DOWNLOAD, chosen)]
    return [*found, *(_movement(one) for one in site.find(POD_VOLUME_RESTORE, chosen))]


def failures(restore: KubernetesObject) -> Iterator[str]:
    """What its status counts as failed, whatever its phase says."""
    status = status_of(restore)
    hooks = status.get("hookStatus") or {}
    for count, what in (
        (int(status.get("errors") or 0), "errors"),
        (int(hooks.get("hooksFailed") or 0), "restore hooks failed"),
        (int(status.get("restoreItemOperationsFailed") or 0), "item operations failed"),
    ):
        if count:
            yield f"{what}: {count}"


def claims_of(site: VeleroSite, task: RestoreTask) -> Mapping[str, KubernetesObject]:
    """The claims of the copy, by the names that they have in the backup: "shop/data"."""
    return {
        f"{live}/{name_of(one)}": one
        for live in site.where.included
        for one in site.cluster.find(CLAIM, copy_of(live, task.short_run))
    }


def _without_restore(site: VeleroSite, task: RestoreTask) -> CopyStatus:
    if any(claims_of(site, task)):
        return _failed(
            "the Restore is gone (Velero deletes it with its backup), and whether the copy was complete is not known."
            " Remove the copy, and restore again"
        )
    return CopyStatus(state=CopyState.ABSENT)


def _waits_for(site: VeleroSite, restore: KubernetesObject) -> str:
    ahead = [
        one for one in site.find(RESTORE) if name_of(one) != name_of(restore) and _is_ahead(one, created_at(restore))
    ]
    if ahead:
        return f"behind {len(ahead)} restore{'s' if len(ahead) > 1 else ''}; Velero does one at a time"
    created = created_at(restore)
    waited = site.now() - created if created else timedelta(0)
    if waited < _SILENT_AFTER:
        return "Velero has not begun it"
    minutes = int(waited.total_seconds() // 60)
    return f"Velero has not begun it for {minutes} min, and has nothing else to do: check that its Deployment runs"


def _is_ahead(other: KubernetesObject, since: datetime | None) -> bool:
    phase, created = str(status_of(other).get("phase") or "New"), created_at(other)
    if phase == "InProgress":
        return True
    return phase == "New" and since is not None and created is not None and created < since


def _running(site: VeleroSite, task: RestoreTask, restore: KubernetesObject, phase: str) -> CopyStatus:
    moved = movements(site, name_of(restore))
    progress = status_of(restore).get("progress") or {}
    told = (
        [f"{progress['itemsRestored']} of {progress.get('totalItems')} objects"] if "itemsRestored" in progress else []
    )
    told += [f"{one.volume} is {one.phase}: {one.message}" for one in moved if one.phase in ("Failed", "Canceled")]
    told += _untaken(site, moved)
    told += _stuck(site, task)
    return CopyStatus(
        state=CopyState.RUNNING,
        message="; ".join(told),
        phase=_RUNNING.get(phase, f"Velero says {phase}"),
        bytes_done=sum(one.done for one in moved) if moved else None,
        bytes_total=_total(task, moved),
    )


def _untaken(site: VeleroSite, moved: Sequence[Movement]) -> Iterator[str]:
    """Movements that have not begun: without node-agent they stay so until Velero's limit of hours."""
    untaken, now = [one for one in moved if one.phase in _UNTAKEN], site.now()
    for one in untaken:
        waited = now - one.created if one.created else timedelta(0)
        if waited >= _SILENT_AFTER:
            minutes = int(waited.total_seconds() // 60)
            yield f"{one.volume} is {one.phase} for {minutes} min: check that Velero's DaemonSet node-agent runs"


def _total(task: RestoreTask, moved: Sequence[Movement]) -> int | None:
    """The bytes of the backup, where it knows: a movement knows its own only once it has begun."""
    known = sum(size for size in RestoreFacts.of(task).volumes.values() if size > 0)
    return max(known, sum(one.total for one in moved)) or None


def _completed(site: VeleroSite, task: RestoreTask, restore: KubernetesObject) -> CopyStatus:
    facts, moved = RestoreFacts.of(task), movements(site, name_of(restore))
    wrong = [*failures(restore), *_unmoved(facts, moved)]
    claims = claims_of(site, task)
    wrong += [
        f"volume {claim} was not restored: there is no such claim" for claim in facts.volumes if claim not in claims
    ]
    wrong += [
        f"volume {one} has lost its data: its claim is Lost" for one, it in claims.items() if _phase(it) == "Lost"
    ]
    wrong += _stuck(site, task)
    if wrong:
        return _failed(f"Velero says Completed, but {'; '.join(wrong)}")
    done = sum(one.done for one in moved) if moved else None
    unbound = [
        f"volume {one} is {_phase(it)}{_reason(site, it)}" for one, it in claims.items() if _phase(it) != "Bound"
    ]
    if unbound:
        return CopyStatus(
            state=CopyState.RUNNING, message="; ".join(unbound), phase="waiting for volumes", bytes_done=done
        )
    return CopyStatus(state=CopyState.RESTORED, bytes_done=done, bytes_total=_total(task, moved))


def _unmoved(facts: RestoreFacts, moved: Sequence[Movement]) -> Iterator[str]:
    for one in moved:
        if one.phase != "Completed":
            yield f"{one.volume} is {one.phase}{f': {one.message}' if one.message else ''}"
    wanted = {claim: size for claim, size in facts.volumes.items() if size > 0}
    # A movement by the file system names the volume of a pod, not the claim: there only their number tells.
    empty = [one for one in moved if one.phase == "Completed" and not one.done]
    may_be = sum(size == 0 for size in facts.volumes.values())
    for one in empty:
        if facts.volumes.get(one.claim, 0) > 0 or (wanted and len(empty) > may_be):
            yield f"{one.volume} received 0 bytes"
    if len(moved) < len(wanted):
        yield f"data was moved for {len(moved)} of {len(wanted)} volumes"


def _movement(thing: KubernetesObject) -> Movement:
    spec, status = thing.get("spec") or {}, status_of(thing)
    target, pod = spec.get("targetVolume") or {}, spec.get("pod") or {}
    volume = f"{target.get('namespace')}/{target.get('pvc')}" if target else ""
    progress: Mapping[str, Any] = status.get("progress") or {}
    return Movement(
        volume=f"volume {volume or '{}/{}'.format(pod.get('namespace'), spec.get('volume'))}",
        phase=str(status.get("phase") or "New"),
        done=int(progress.get("bytesDone") or 0),
        total=int(progress.get("totalBytes") or 0),
        message=str(status.get("message") or ""),
        claim=f"{spec.get('sourceNamespace')}/{target.get('pvc')}" if target else "",
        created=created_at(thing),
    )


def _why_failed(site: VeleroSite, restore: KubernetesObject, phase: str) -> str:
    status = status_of(restore)
    reason = str(status.get("failureReason") or "")
    if phase == "FailedValidation":
        return f"Velero refused it: {'; '.join(status.get('validationErrors') or ['no reason given'])}"
    if _RESTARTED in reason:
        return "Velero was restarted while it restored, and cannot go on with it. Remove the copy, and restore again"
    bad = [f"{one.volume} is {one.phase}: {one.message}" for one in movements(site, name_of(restore)) if one.message]
    told = [reason, *failures(restore), *bad]
    named = f"`velero restore describe {name_of(restore)} --details` names them"
    return f"{phase}: {'; '.join(one for one in told if one) or 'no reason given'}; {named}"


def _stuck(site: VeleroSite, task: RestoreTask) -> list[str]:
    """A namespace of the copy that somebody deletes."""
    told = []
    for live in site.where.included:
        name = copy_of(live, task.short_run)
        found = site.cluster.get(ObjectRef(kind=NAMESPACE, namespace="", name=name))
        if found is not None and found["metadata"].get("deletionTimestamp"):
            told.append(f"namespace {name} is being deleted (Terminating)")
    return told


def _reason(site: VeleroSite, claim: KubernetesObject) -> str:
    """The newest event about it."""
    chosen = f"involvedObject.kind=PersistentVolumeClaim,involvedObject.name={name_of(claim)}"
    events = site.cluster.find(EVENT, str(claim["metadata"]["namespace"]), fields=chosen)
    newest = max(events, key=lambda one: str(one.get("lastTimestamp") or ""), default=None)
    return f": {newest.get('message')}" if newest else ""


def _phase(claim: KubernetesObject) -> str:
    return str(status_of(claim).get("phase") or "Pending")


def _failed(message: str) -> CopyStatus:
    return CopyStatus(state=CopyState.FAILED, message=message)
