"""A prefix as it was at a moment, against what it is now: key by key, from the listing of all versions, in one pass.

Pure, and of bounded memory: of each key only the current entry and the one of that moment are held, whatever number of
versions it has, and of the whole only sums and some samples. So a pass can be stopped after any key and go on there.
The trap: LastModified has whole seconds. Of a version and a delete marker in one second the version counts, as nothing
is then deleted that somebody may miss.
https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from heapq import merge
from typing import Any

_SAMPLES = 20
#: Their bytes cannot be read until somebody has asked for them and hours have passed.
ARCHIVED = frozenset({"GLACIER", "DEEP_ARCHIVE"})
#: Of a listing of versions: also whether archived ones were restored. Others than AWS take no notice of it.
ASKED_FOR = {"OptionalObjectAttributes": ["RestoreStatus"]}


@dataclass(frozen=True, slots=True)
class VersionEntry:
    """A version or a delete marker. `etag` is "" for a marker."""

    key: str
    version: str
    modified_at: datetime
    latest: bool
    size: int
    etag: str
    storage: str

    @property
    def is_marker(self) -> bool:
        return not self.etag


class Step(StrEnum):
    KEEP = "keep"  #: it is as it was
    COPY = "copy"  #: the old version becomes the current one
    DELETE = "delete"  #: it did not exist: it gets a delete marker


@dataclass(frozen=True, slots=True)
class KeyChange:
    """What one key needs. `then`: its version of that moment, None where it did not exist."""

    key: str
    step: Step
    then: VersionEntry | None
    current: VersionEntry | None


@dataclass
class VersionPlan:
    """The sums over the keys up to `after`, from which a pass goes on."""

    at: datetime
    after: str = ""  #: the last key that is counted
    keys: int = 0  #: that existed at that moment
    size: int = 0  #: bytes of these
    counts: dict[str, int] = field(default_factory=dict)  #: by step
    sizes: dict[str, int] = field(default_factory=dict)  #: bytes to copy, by storage class
    archived: int = 0
    samples: list[str] = field(default_factory=list)  #: of what would change

    def add(self, change: KeyChange) -> None:
        self.after = change.key
        self.counts[change.step] = self.counts.get(change.step, 0) + 1
        if change.then is not None:
            self.keys += 1
            self.size += change.then.size
            self.archived += change.then.storage in ARCHIVED
        if change.step is Step.COPY and change.then is not None:
            self.sizes[change.then.storage] = self.sizes.get(change.then.storage, 0) + change.then.size
        if change.step is not Step.KEEP and len(self.samples) < _SAMPLES:
            self.samples.append(f"{change.step} {change.key}")


def entries_of(pages: Iterable[Mapping[str, Any]]) -> Iterator[VersionEntry]:
    """Versions and delete markers by key, the newest of each first. A page has them in two lists, each in order."""
    for page in pages:
        versions = [
            VersionEntry(
                one["Key"], one["VersionId"], one["LastModified"], one["IsLatest"], one["Size"], one["ETag"].strip('"'),
                storage_of(one),
            )
            for one in page.get("Versions", ())
        ]  # fmt: skip
        markers = [
            VersionEntry(one["Key"], one["VersionId"], one["LastModified"], one["IsLatest"], 0, "", "")
            for one in page.get("DeleteMarkers", ())
        ]
        yield from merge(versions, markers, key=_place) if markers else versions


def storage_of(version: Mapping[str, Any]) -> str:
    """The storage class of a listed version; no archived one where it was restored from there for some days. For that
    the listing has to be asked for RestoreStatus.
    """
    storage, status = version.get("StorageClass") or "STANDARD", version.get("RestoreStatus") or {}
    if storage in ARCHIVED and status.get("RestoreExpiryDate") and not status.get("IsRestoreInProgress"):
        return f"{storage}, restored for some days"
    return str(storage)


def changes_at(entries: Iterable[VersionEntry], at: datetime) -> Iterator[KeyChange]:
    """Each key once, in order."""
    key, current, then = None, None, None
    for entry in entries:
        if entry.key != key:
            if key is not None:
                yield _change(key, current, then)
            key, current, then = entry.key, None, None
        if entry.latest:
            current = entry
        if then is None and entry.modified_at <= at:
            then = entry
    if key is not None:
        yield _change(key, current, then)


def _change(key: str, current: VersionEntry | None, then: VersionEntry | None) -> KeyChange:
    existed = then is not None and not then.is_marker
    exists = current is not None and not current.is_marker
    if not existed:
        return KeyChange(key, Step.DELETE if exists else Step.KEEP, None, current)
    assert then is not None, "it existed"
    same = (
        exists
        and current is not None
        and (current.version == then.version or (current.etag, current.size) == (then.etag, then.size))
    )
    return KeyChange(key, Step.KEEP if same else Step.COPY, then, current)


def _place(entry: VersionEntry) -> tuple[str, bool, float, bool]:
    return entry.key, not entry.latest, -entry.modified_at.timestamp(), entry.is_marker
