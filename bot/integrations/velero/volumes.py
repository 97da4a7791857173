"""What a backup of Velero holds of each volume, by its file BackupVolumeInfos.

The trap: a backup is Completed though a volume was skipped, had no snapshot because a plug-in is missing, or was moved
with 0 bytes. A volume without an entry here has no data at all.
https://github.com/velero-io/velero/blob/v1.18.1/internal/volume/volumes_information.go
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bot.core.errors import Rejected

_DONE = "Completed"
#: Velero writes this where it does not know a snapshot's handle.
_UNKNOWN = ("", "unknown")


@dataclass(frozen=True, kw_only=True, slots=True)
class VolumeData:
    """Of one claim. `problem`: in words, why its data cannot come back; "" where it can."""

    claim: str  #: "shop/data"
    kind: str  #: data movement, file system, CSI snapshot, native snapshot; "" for a skipped one
    size_bytes: int
    problem: str = ""
    by_choice: bool = False  #: skipped because a policy of the backup says so

    @property
    def moved(self) -> bool:
        """Whether the data is in a backup repository, and its bytes are counted."""
        return self.kind in ("data movement", "file system")


def parse(told: object) -> Mapping[str, VolumeData]:
    """By claim. Raises `Rejected` where it is no such file."""
    if not isinstance(told, list):
        raise Rejected("Velero's list of volumes has another form than Velero 1.14 to 1.18 write. Nothing was done.")
    found: dict[str, VolumeData] = {}
    for info in told:
        claim = f"{info.get('pvcNamespace', '')}/{info.get('pvcName', '')}"
        if claim != "/":
            volume = _volume(claim, info)
            # Skipped for a snapshot and then read by the file system, a volume stands there twice.
            if claim not in found or found[claim].problem:
                found[claim] = volume
    return found


def claims(told: object) -> frozenset[str]:
    """Of the file BackupResourceList. Raises `Rejected` where it is no such file."""
    if not isinstance(told, dict):
        raise Rejected("Velero's list of a backup's objects has another form than expected. Nothing was done.")
    return frozenset(str(one) for one in told.get("v1/PersistentVolumeClaim") or ())


def problems(volumes: Mapping[str, VolumeData], may_be_empty: tuple[str, ...]) -> Iterator[str]:
    """Of those that were not left out on purpose."""
    for claim, volume in sorted(volumes.items()):
        if volume.problem and not volume.by_choice:
            yield volume.problem
        elif not volume.problem and volume.moved and not volume.size_bytes and claim not in may_be_empty:
            yield (
                f"volume {claim}: Completed with 0 bytes; if it is really empty, name it under empty_volumes of the"
                " store"
            )


def _volume(claim: str, info: Mapping[str, Any]) -> VolumeData:
    if info.get("skipped"):
        reason = str(info.get("skippedReason") or "no reason given")
        chosen = "policy in chosen resource policies" in reason
        return VolumeData(
            claim=claim, kind="", size_bytes=0, problem=f"volume {claim} was skipped: {reason}", by_choice=chosen
        )
    kind, part = _part(info)
    size, handle = int(part.get("size") or 0), str(part.get("snapshotHandle") or "")
    phase = str(part.get("Phase") or part.get("phase") or "")
    problem = ""
    if kind in ("data movement", "file system", "native snapshot") and phase and phase.lower() != _DONE.lower():
        problem = f"volume {claim}: its {kind} is {phase}, not {_DONE}"
    elif info.get("result") == "failed":
        problem = f"volume {claim}: its {kind} failed"
    elif handle in _UNKNOWN:
        problem = f"volume {claim}: its {kind} has no snapshot to restore from"
    elif part.get("ReadyToUse") is False:
        problem = f"volume {claim}: its snapshot is not ready to use"
    return VolumeData(claim=claim, kind=kind, size_bytes=size, problem=problem)


def _part(info: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """The way in which it was backed up, and what is known of that."""
    if info.get("snapshotDataMoved"):
        return "data movement", info.get("snapshotDataMovementInfo") or {}
    method = info.get("backupMethod")
    if method == "PodVolumeBackup":
        return "file system", info.get("pvbInfo") or {}
    if method == "NativeSnapshot":
        return "native snapshot", info.get("nativeSnapshotInfo") or {}
    return "CSI snapshot", info.get("csiSnapshotInfo") or {}
