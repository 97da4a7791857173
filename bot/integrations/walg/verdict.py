"""What WAL-G's lists say, judged. Pure: it is given the JSON of backup-list and wal-verify.

The traps: wal-verify ends with 0 while segments are lost, so nothing but its JSON counts; and a backup is listed as
before when the one that it builds on was deleted.
From docs/PostgreSQL.md and internal/databases/postgres of WAL-G 3.0.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bot.core.backup import Backup, Continuity, Inventory, Window
from bot.core.errors import Rejected
from bot.integrations.postgres.primary import PrimaryFacts

_DELTA = re.compile(r"base_[0-9A-F]{24}_D_([0-9A-F]{24})")
_SEGMENT = re.compile(r"[0-9A-F]{24}")
_LOST, _STATUSES = "MISSING_LOST", {"OK", "WARNING", "FAILURE"}
_NO_TIME = 1  #: the year of Go's zero time
_USUAL_SIZE = 16 * 1024 * 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class LostRange:
    """Segments that are neither in the storage nor on their way to it; both names included."""

    first: str
    last: str
    segments: int

    def touches(self, start: int, stop: int, size: int) -> bool:
        """Whether one of them lies between these two places of the WAL."""
        return _place(self.first, size) <= stop and start <= _place(self.last, size) + size - 1

    def is_behind(self, start: int, size: int) -> bool:
        return _place(self.last, size) >= start


@dataclass(frozen=True, kw_only=True, slots=True)
class Verified:
    """The JSON of wal-verify."""

    lost: tuple[LostRange, ...]
    timeline_problem: str


def verified_of(output: bytes) -> Verified:
    """Raises `Rejected`: it is not what wal-verify writes."""
    try:
        given = json.loads(output)
        integrity, timeline = given["integrity"], given["timeline"]
        if not {integrity["status"], timeline["status"]} <= _STATUSES:
            raise ValueError("an unknown status")  # noqa: TRY301 (told as any other answer that is not understood)
        rows = integrity.get("details") or ()
        lost = tuple(
            LostRange(first=row["start_segment"], last=row["end_segment"], segments=int(row["segments_count"]))
            for row in rows
            if row["status"] == _LOST
        )
        if integrity["status"] == "FAILURE" and not lost:
            raise ValueError("a failure without a lost segment")  # noqa: TRY301 (as above)
        return Verified(lost=lost, timeline_problem=_timeline_problem(timeline))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise unreadable("wal-verify", error) from None


def judge(backups: bytes, verified: Verified | None, why_not: str, primary: PrimaryFacts | None) -> Inventory:
    """`verified` None: wal-verify could not be run, and `why_not` says why. Raises `Rejected`."""
    listed = _listed(backups)
    size = _segment_size(listed)
    judged = [_backup(one, listed, verified, size) for one in listed]
    judged.sort(key=lambda one: one.data_at, reverse=True)
    continuity = _continuity(verified, why_not, primary)
    starts = {str(one["backup_name"]): int(one.get("start_lsn") or 0) for one in listed}
    return Inventory(
        backups=tuple(judged), window=_window(judged, starts, verified, continuity, size), continuity=continuity
    )


def unreadable(command: str, error: Exception) -> Rejected:
    return Rejected(
        f"What wal-g {command} printed cannot be read ({type(error).__name__}: {error}). Nothing was done. Run it by"
        " hand, and see that WAL-G is 1.0 or newer.",
        code="unreadable_list",
    )


def _listed(output: bytes) -> Sequence[Mapping[str, Any]]:
    """An empty storage prints nothing, or null."""
    try:
        given = json.loads(output or b"[]") or []
        for one in given:
            datetime.fromisoformat(one["start_time"])
            if not _SEGMENT.fullmatch(one["wal_file_name"]) or not one["backup_name"]:
                raise ValueError("not a WAL segment")  # noqa: TRY301 (told as any other answer that is not understood)
    except (ValueError, KeyError, TypeError) as error:
        raise unreadable("backup-list", error) from None
    return list(given)


def _backup(
    given: Mapping[str, Any], listed: Sequence[Mapping[str, Any]], verified: Verified | None, size: int
) -> Backup:
    began, finished = datetime.fromisoformat(given["start_time"]), _finished(given)
    delta = _DELTA.fullmatch(given["backup_name"])
    return Backup(
        id=given["backup_name"],
        data_at=finished or began,
        finished_at=finished,
        size_bytes=given.get("compressed_size") or None,
        duration=finished - began if finished else None,
        problem=_problem(given, listed, verified, size),
        kind="delta" if delta else "full",
    )


def _problem(
    given: Mapping[str, Any], listed: Sequence[Mapping[str, Any]], verified: Verified | None, size: int
) -> str:
    if _finished(given) is None:
        return "it was not finished"
    delta = _DELTA.fullmatch(given["backup_name"])
    if delta and not any(one["wal_file_name"] == delta[1] for one in listed):
        return f"it builds on the backup of segment {delta[1]}, which is not in the storage"
    start, stop = int(given.get("start_lsn") or 0), int(given.get("finish_lsn") or 0)
    if not start or not stop:
        return "the list does not say which WAL it needs"
    lost = [one for one in verified.lost if one.touches(start, stop, size)] if verified else []
    return f"WAL that it needs is lost: {_spell(lost)}" if lost else ""


def _window(
    backups: Sequence[Backup],
    starts: Mapping[str, int],
    verified: Verified | None,
    continuity: Continuity,
    size: int,
) -> Window | None:
    if verified is None or continuity.ok_until is None:
        return None
    whole = [
        one for one in backups if one.usable and not any(lost.is_behind(starts[one.id], size) for lost in verified.lost)
    ]
    return Window(earliest=whole[-1].data_at, latest=max(continuity.ok_until, whole[-1].data_at)) if whole else None


def _continuity(verified: Verified | None, why_not: str, primary: PrimaryFacts | None) -> Continuity:
    if verified is None:
        return Continuity(ok_until=None, gap=f"whether WAL is complete is unknown: {why_not}")
    said = [f"LOST {_spell(verified.lost)}"] if verified.lost else []
    said += [verified.timeline_problem] if verified.timeline_problem else []
    if primary is not None and primary.failing:
        said.append(f"archiving fails: {primary.failures} failures, the last of segment {primary.failed_wal}")
    return Continuity(ok_until=primary.archived_at if primary else None, gap="; ".join(said))


def _timeline_problem(timeline: Mapping[str, Any]) -> str:
    if timeline["status"] != "FAILURE":
        return ""
    details = timeline.get("details") or {}
    return (
        f"the storage has timeline {details.get('highest_storage_timeline_id')}, and the live server writes"
        f" {details.get('current_timeline_id')}: two servers have archived into it"
    )


def _spell(lost: Sequence[LostRange]) -> str:
    count = sum(one.segments for one in lost)
    return f"{count} segment{'' if count == 1 else 's'}, the first is {lost[0].first}"


def _finished(given: Mapping[str, Any]) -> datetime | None:
    try:
        at = datetime.fromisoformat(given.get("finish_time") or "")
    except ValueError:
        return None
    return at if at.year > _NO_TIME else None


def _segment_size(listed: Sequence[Mapping[str, Any]]) -> int:
    """That with which the start of each backup lies in the segment that is named."""
    sizes = [_USUAL_SIZE, *(1 << power for power in range(20, 31))]
    return next(
        (
            size
            for size in sizes
            if all(
                _place(one["wal_file_name"], size) == int(one.get("start_lsn") or 0) // size * size for one in listed
            )
        ),
        _USUAL_SIZE,
    )


def _place(segment: str, size: int) -> int:
    """Where a segment begins."""
    return (int(segment[8:16], 16) << 32) + int(segment[16:24], 16) * size
