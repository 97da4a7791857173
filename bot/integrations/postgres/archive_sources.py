"""Where archives are: in a folder, or in a bucket, from which they are fetched one by one to be read.

The trap of a bucket: what is fetched may be dropped again by the next one that is fetched, so a restore reads a link of
its own.
"""

from __future__ import annotations

import os
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Protocol

from bot.core.errors import OutcomeUnknown, Rejected
from bot.integrations.aws.settings import BucketSettings
from bot.integrations.postgres.archive_header import ENOUGH, ArchiveHeader, header_of, read_header

if TYPE_CHECKING:
    from bot.integrations.aws.objects import Objects, StoredObject

_FETCHED_WITHIN = timedelta(hours=6)
#: So many fetched archives are kept: the newest is read by the check, the plan, the restore and its checks.
_KEPT = 2
_FETCHED = ".fetched"


@dataclass(frozen=True, kw_only=True, slots=True)
class Archive:
    """One archive as it stands. `identity` changes whenever its bytes may have."""

    name: str
    size: int
    modified_at: datetime
    identity: str

    @property
    def read_key(self) -> str:
        return f"read-{self.digest}"

    @property
    def digest(self) -> str:
        return sha256(self.identity.encode()).hexdigest()[:24]


class ArchiveSource(Protocol):
    """Raises `Rejected` when it cannot be read now."""

    def list_all(self) -> list[Archive]:
        """Those whose names fit the pattern, in any order."""
        ...

    def header(self, archive: Archive) -> ArchiveHeader:
        """Raises `NotAnArchive`, `OSError`, `Rejected`."""
        ...

    def path(self, archive: Archive) -> Path | None:
        """Where it can be read on this machine; None while it is being fetched."""
        ...

    def fetch(self, archive: Archive) -> Path:
        """As `path`, waited for."""
        ...

    def pin(self, archive: Archive, run: str) -> Path:
        """A path that stays until `unpin`."""
        ...

    def unpin(self, run: str) -> None: ...

    def publish(self, part: Path, name: str) -> None:
        """A file that was read to its end gets its name, and is a backup from then on."""
        ...


class FolderSource:
    """Archives are files, or folders of pg_dump -Fd."""

    def __init__(self, folder: Path, pattern: str) -> None:
        self._folder = folder
        self._pattern = pattern

    def list_all(self) -> list[Archive]:
        try:
            if not self._folder.is_dir():
                raise FileNotFoundError(2, "No such folder")
            found = [stand_of(one) for one in self._folder.glob(self._pattern) if not one.name.startswith(".")]
        except OSError as error:
            raise Rejected(
                f"The folder of archives {self._folder} cannot be read: {error.strerror}. Nothing is known of the "
                "backups. Check that it is mounted, and the bot's rights.",
                code="unreachable",
            ) from None
        return [one for one in found if one is not None]

    def header(self, archive: Archive) -> ArchiveHeader:
        return read_header(self._folder / archive.name)

    def path(self, archive: Archive) -> Path:
        return self._folder / archive.name

    fetch = path

    def pin(self, archive: Archive, run: str) -> Path:  # noqa: ARG002 (nothing drops it)
        return self._folder / archive.name

    def unpin(self, run: str) -> None:
        pass

    def publish(self, part: Path, name: str) -> None:
        part.rename(self._folder / name)


class BucketSource:
    """Archives are objects directly under the prefix. `folder`: where they are fetched to."""

    def __init__(self, where: BucketSettings, folder: Path, pattern: str) -> None:
        self._where = where
        self._folder = folder
        self._pattern = pattern
        self._lock = Lock()
        self._objects: Objects | None = None
        self._stored: dict[str, StoredObject] = {}  #: by the archive's identity
        self._headers: dict[str, ArchiveHeader] = {}
        self._fetches: dict[str, Future[Path]] = {}
        self._fetcher = ThreadPoolExecutor(1, thread_name_prefix="archives")

    def list_all(self) -> list[Archive]:
        stored: dict[str, StoredObject] = {}
        found = []
        for one in self._bucket().list_all():
            name = one.key.removeprefix(self._where.prefix)
            if "/" in name or not fnmatchcase(name, self._pattern):
                continue
            identity = f"s3://{self._where.bucket}/{one.key} {one.size} {one.etag}"
            stored[identity] = one
            found.append(Archive(name=name, size=one.size, modified_at=one.modified_at, identity=identity))
        with self._lock:
            self._stored = stored
            self._headers = {key: value for key, value in self._headers.items() if key in stored}
        return found

    def header(self, archive: Archive) -> ArchiveHeader:
        if archive.identity not in self._headers:
            begin = self._bucket().begin_of(self._object(archive), ENOUGH)
            self._headers[archive.identity] = header_of(begin)
        return self._headers[archive.identity]

    def path(self, archive: Archive) -> Path | None:
        path = self._local(archive)
        if path.exists():
            return path
        with self._lock:
            fetch = self._fetches.get(archive.identity)
            if fetch is None:
                self._fetches[archive.identity] = self._fetcher.submit(self._get, archive, path)
                return None
            if not fetch.done():
                return None
            del self._fetches[archive.identity]
        return fetch.result()

    def fetch(self, archive: Archive) -> Path:
        path = self._local(archive)
        return path if path.exists() else self._fetcher.submit(self._get, archive, path).result()

    def pin(self, archive: Archive, run: str) -> Path:
        pinned = self._folder / f".restore-{run}"
        pinned.unlink(missing_ok=True)
        os.link(self.fetch(archive), pinned)
        return pinned

    def unpin(self, run: str) -> None:
        (self._folder / f".restore-{run}").unlink(missing_ok=True)

    def publish(self, part: Path, name: str) -> None:
        try:
            self._bucket().put_file(f"{self._where.prefix}{name}", part)
        except OutcomeUnknown as unknown:
            raise Rejected(f"{unknown.message} Whether the backup is in the bucket is not known.") from None
        part.unlink(missing_ok=True)

    def _get(self, archive: Archive, path: Path) -> Path:
        """The older ones make room first."""
        if path.exists():
            return path
        kept = sorted(self._folder.glob(f".*{_FETCHED}"), key=lambda one: one.stat().st_mtime, reverse=True)
        for old in kept[_KEPT - 1 :]:
            with suppress(FileNotFoundError):
                old.unlink()
        self._bucket().fetch(self._object(archive), path, time_limit=_FETCHED_WITHIN)
        return path

    def _local(self, archive: Archive) -> Path:
        return self._folder / f".{archive.digest}{_FETCHED}"

    def _object(self, archive: Archive) -> StoredObject:
        found = self._stored.get(archive.identity)
        if found is None:
            raise Rejected(f"The archive {archive.name} is gone, or has changed. Nothing was done.", code="gone")
        return found

    def _bucket(self) -> Objects:
        with self._lock:
            if self._objects is None:
                made: type[Objects] = import_module("bot.integrations.aws.objects").Objects
                self._objects = made(self._where)
            return self._objects


def stand_of(path: Path) -> Archive | None:
    """None for what went away meanwhile, and for what is neither a file nor a folder: to open a pipe waits for ever."""
    try:
        if not path.is_file() and not path.is_dir():
            return None
        stat = path.stat()
        parts = [one.stat() for one in path.iterdir()] if path.is_dir() else [stat]
    except OSError:
        return None
    changed = max(one.st_mtime_ns for one in (stat, *parts))
    size = sum(one.st_size for one in parts)
    modified = datetime.fromtimestamp(changed / 1e9, UTC)
    return Archive(name=path.name, size=size, modified_at=modified, identity=f"{path} {size} {changed}")
