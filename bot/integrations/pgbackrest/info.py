"""What `pgbackrest info --output=json` says, of versions 2.41 to 2.59.

The trap: `info` reads the repository's own list of backups and looks at no file, so a backup whose folder was deleted
is listed as before; and a page that fails its checksum makes `error` true and nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bot.core.errors import Rejected

#: `status.code`, of a stanza and of a repository, in words. From src/command/info/info.c.
STATUS = {
    0: "ok",
    1: "the stanza does not exist in the repository",
    2: "there are no valid backups",
    3: "the repository has no backup.info or archive.info of the stanza",
    4: "the repositories differ",
    5: "the repositories hold different database clusters",
    6: "the backup does not exist",
    99: "the repository cannot be read",
}
NO_BACKUPS = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class ListedBackup:
    """A backup of the list."""

    label: str
    kind: str  #: full, diff, incr
    began: datetime
    stopped: datetime
    wal_start: str  #: "" when it was made without WAL
    wal_stop: str
    references: tuple[str, ...]  #: the backups that it needs
    error: bool  #: pages failed their checksums
    size: int | None  #: bytes of the cluster
    stored: int | None  #: bytes that it added to the repository
    read: int | None  #: bytes of the repository that a restore reads
    cluster: int  #: the key in `Stanza.clusters`
    annotation: Mapping[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class ListedCluster:
    """A database cluster that the stanza holds, or held before an upgrade."""

    version: str
    system_identifier: str
    archive_id: str  #: "15-1"; "" when nothing was archived


@dataclass(frozen=True, kw_only=True, slots=True)
class Stanza:
    """One repository's view of the stanza."""

    code: int
    message: str
    backups: tuple[ListedBackup, ...]
    clusters: Mapping[int, ListedCluster]
    newest_cluster: int | None
    running: bool  #: a backup is being made
    progress: float | None  #: of that backup, 0 to 1

    @property
    def status(self) -> str:
        words = STATUS.get(self.code, f"status {self.code}")
        return f"{words} ({self.message})" if self.message and self.code not in (0, NO_BACKUPS) else words


def stanza_of(output: bytes, name: str, repo: int) -> Stanza:
    """Raises `Rejected`: it is not what pgBackRest writes."""
    try:
        found = [one for one in json.loads(output) if one["name"] == name]
        if not found:
            return _absent()
        return _stanza(found[0], repo)
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        raise Rejected(
            f"pgBackRest's list of backups cannot be read ({type(error).__name__}: {error}). Nothing was done. Run"
            " pgbackrest info --output=json by hand, and see that its version is 2.41 or newer.",
            code="unreadable_list",
        ) from None


def damaged_files(output: bytes, name: str) -> int | None:
    """How many files `info --set` names in `error-list`; None when the version does not say."""
    try:
        [backup] = next(one for one in json.loads(output) if one["name"] == name)["backup"]
    except (ValueError, KeyError, TypeError, StopIteration):
        return None
    return len(backup["error-list"]) if isinstance(backup.get("error-list"), list) else None


def _absent() -> Stanza:
    return Stanza(code=1, message="", backups=(), clusters={}, newest_cluster=None, running=False, progress=None)


def _stanza(given: Mapping[str, Any], repo: int) -> Stanza:  # Any: JSON
    status = next((one["status"] for one in given.get("repo", ()) if one["key"] == repo), given["status"])
    archives = {
        one["database"]["id"]: one["id"]
        for one in given.get("archive", ())
        if one["database"].get("repo-key", repo) == repo
    }
    clusters = {
        one["id"]: ListedCluster(
            version=str(one["version"]), system_identifier=str(one["system-id"]), archive_id=archives.get(one["id"], "")
        )
        for one in given.get("db", ())
        if one.get("repo-key", repo) == repo
    }
    lock = given["status"].get("lock", {}).get("backup", {})
    percent = lock.get("pct-cplt")
    return Stanza(
        code=status["code"],
        message=str(status.get("message", "")),
        backups=_backups(given.get("backup", ()), repo),
        clusters=clusters,
        newest_cluster=max(clusters, default=None),
        running=bool(lock.get("held")),
        progress=percent / 10_000 if isinstance(percent, int | float) else None,  # hundredths of a percent
    )


def _backups(given: Sequence[Mapping[str, Any]], repo: int) -> tuple[ListedBackup, ...]:
    return tuple(_backup(one) for one in given if one["database"].get("repo-key", repo) == repo)


def _backup(given: Mapping[str, Any]) -> ListedBackup:
    archive, times, info = given.get("archive") or {}, given["timestamp"], given.get("info", {})
    repository = info.get("repository", {})
    return ListedBackup(
        label=given["label"],
        kind={"full": "full", "diff": "differential", "incr": "incremental"}.get(given["type"], given["type"]),
        began=datetime.fromtimestamp(times["start"], UTC),
        stopped=datetime.fromtimestamp(times["stop"], UTC),
        wal_start=archive.get("start") or "",
        wal_stop=archive.get("stop") or "",
        references=tuple(given.get("reference") or ()),
        error=given.get("error") is True,
        size=info.get("size"),
        stored=repository.get("delta"),
        read=repository.get("size"),
        cluster=given["database"]["id"],
        annotation={str(key): str(value) for key, value in (given.get("annotation") or {}).items()},
    )
