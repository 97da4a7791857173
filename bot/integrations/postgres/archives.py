"""Archives of pg_dump: which there are, and which can be read to their end.

The trap: a truncated archive still lists without an error, so nothing counts but reading it fully, once for each
archive as it stands (name, size, time of the last change). And an archive does not name the time zone of its own date.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from bot.core.backup import Backup, EngineParts
from bot.core.errors import Rejected
from bot.core.programs import Program
from bot.integrations.postgres.archive_header import ArchiveHeader, NotAnArchive
from bot.integrations.postgres.archive_sources import Archive, ArchiveSource, BucketSource, FolderSource, stand_of
from bot.integrations.postgres.client_programs import ClientPrograms, major_of
from bot.integrations.postgres.settings import PostgresBackupSettings

#: An archive that changed less than this ago may still be written.
RESTS_AFTER = timedelta(minutes=1)
#: How long one look waits for archives that are read for the first time; reading goes on after it.
_PATIENCE = timedelta(seconds=60)
_POLL_EVERY = timedelta(milliseconds=50)
_READ_WITHIN = timedelta(hours=12)
#: How much later than its file's last change an archive may say that it was begun: two clocks differ.
_SKEW = timedelta(minutes=5)
_READING = "it is being read for the first time; there is no verdict yet"
UNREAD = "listed, and not read to its end: only the newest archives are"


class Archives:
    """Safe to share between threads: a verdict is computed twice at most."""

    def __init__(self, where: PostgresBackupSettings, parts: EngineParts, client: ClientPrograms) -> None:
        self._where = where
        self._parts = parts
        self._client = client
        self._zone = ZoneInfo(where.time_zone)
        #: What reading an archive to its end found, by its identity: "" for a good one.
        self._verdicts: dict[str, str] = {}
        self._unfetched: dict[str, str] = {}  #: why there is no verdict
        folder = Path(where.folder)
        self.source: ArchiveSource = (
            BucketSource(where.bucket, folder, where.files) if where.bucket else FolderSource(folder, where.files)
        )

    def list_all(self) -> list[Archive]:
        """The last changed first. Raises `Rejected`."""
        return sorted(self.source.list_all(), key=lambda one: (one.modified_at, one.name), reverse=True)

    def get(self, name: str) -> Archive | None:
        return next((one for one in self.list_all() if one.name == name), None)

    def judge_all(self) -> list[Backup]:
        """All archives of the database, judged, the newest data first.

        Raises:
            Rejected: also while no archive that can be restored from is known, and some are still being read.
        """
        archives = self.list_all()
        judged = [(one, backup) for one in archives if (backup := self._judge_header(one)) is not None]
        judged.sort(key=lambda pair: pair[1].data_at, reverse=True)
        self._read([one for one, backup in judged if backup.usable][: self._where.read])
        found = [self._with_verdict(one, backup, place) for place, (one, backup) in enumerate(judged)]
        self._forget(archives)
        if any(one.problem == _READING for one in found) and not any(one.usable and not one.damage for one in found):
            raise Rejected(
                f"The archives in {self._where.place} are being read for the first time. Nothing is known of them "
                "yet; ask again in a few minutes.",
                code="reading",
            )
        return found

    def judge(self, archive: Archive) -> Backup | None:
        """One of them, read to its end as far as that is possible now; None when it is of another database."""
        backup = self._judge_header(archive)
        if backup is None or not backup.usable:
            return backup
        self._read([archive])
        verdict = self._verdicts.get(archive.identity)
        return replace(backup, problem=_READING if verdict is None else verdict)

    def read_problem(self, path: Path) -> str | None:
        """What reading that file to its end found, "" for a good one; None while it is read."""
        archive = stand_of(path)
        return "it is gone" if archive is None else self._progress(archive, path)

    def publish(self, part: Path, name: str) -> None:
        """A file that was read to its end gets its name. Raises `Rejected`."""
        self.source.publish(part, name)

    def verdict(self, archive: Archive) -> str | None:
        """What reading it to its end found, "" for a good one; None when that is not known yet."""
        self._read([archive])
        return self._verdicts.get(archive.identity)

    def header(self, archive: Archive) -> ArchiveHeader:
        """Raises `Rejected`."""
        try:
            return self.source.header(archive)
        except (NotAnArchive, OSError) as error:
            raise Rejected(f"{archive.name} cannot be read: {_why(error)}. Nothing was done.") from None

    def data_at(self, header: ArchiveHeader) -> datetime:
        """When the dump began: its data is not older, and nothing newer counts as saved."""
        return header.begun.replace(tzinfo=self._zone).astimezone(UTC)

    def _judge_header(self, archive: Archive) -> Backup | None:
        """What can be said without reading it to its end; None when it is of another database."""
        rests = self._parts.now() - archive.modified_at >= RESTS_AFTER or archive.identity in self._verdicts
        writing = "" if rests else "it may still be written: it changed within the last minute"
        try:
            header = self.source.header(archive)
        except (NotAnArchive, OSError) as error:
            return _backup(archive, archive.modified_at, writing or f"it {_why(error)}", rests=rests)
        if header.database != self._where.database:
            return None
        data_at = self.data_at(header)
        if data_at > archive.modified_at + _SKEW:
            problem = (
                f"it says that it was begun at {data_at:%H:%M} UTC, after its last change: set time_zone to that of "
                "the machine that makes the archives"
            )
            return _backup(archive, archive.modified_at, problem, rests=rests, kind=header.format)
        return _backup(archive, data_at, writing or self._too_new(header), rests=rests, kind=header.format)

    def _too_new(self, header: ArchiveHeader) -> str:
        made, ours = major_of(header.dump_version), self._client.restore_major()
        if made <= ours:
            return ""
        return f"it was made by pg_dump {made}, and pg_restore here is {ours}: install pg_restore {made}"

    def _with_verdict(self, archive: Archive, backup: Backup, place: int) -> Backup:
        if not backup.usable:
            return backup
        verdict = self._verdicts.get(archive.identity)
        if verdict is None and place >= self._where.read:
            return replace(backup, damage=UNREAD)
        return replace(backup, problem=self._unfetched.get(archive.identity, _READING) if verdict is None else verdict)

    def _read(self, archives: Sequence[Archive]) -> None:
        """One after the other, as far as the patience reaches; what is begun goes on."""
        until = self._parts.now() + _PATIENCE
        for archive in archives:
            self._unfetched.pop(archive.identity, None)
            while archive.identity not in self._verdicts and archive.identity not in self._unfetched:
                verdict = self._read_on(archive)
                if verdict is not None:
                    self._verdicts[archive.identity] = verdict
                elif self._parts.now() >= until:
                    return
                else:
                    self._parts.pause(_POLL_EVERY)

    def _read_on(self, archive: Archive) -> str | None:
        """What reading it found; None while it is fetched or read, or when it could not be fetched this time."""
        try:
            path = self.source.path(archive)
        except Rejected as refused:
            self._unfetched[archive.identity] = f"there is no verdict, since it was not fetched: {refused.message}"
            return None
        return None if path is None else self._progress(archive, path)

    def _progress(self, archive: Archive, path: Path) -> str | None:
        programs = self._client.programs
        try:
            ended = programs.poll(archive.read_key)
        except LookupError:
            argv = (self._client.path("pg_restore"), "-f", "/dev/null", str(path))
            programs.start(Program(key=archive.read_key, argv=argv, time_limit=_READ_WITHIN))
            return None
        if ended is None:
            return None
        programs.stop(archive.read_key)
        return "" if ended.code == 0 else f"it cannot be read to its end: {self._client.reason(ended)}"

    def _forget(self, archives: Sequence[Archive]) -> None:
        """Verdicts on archives that are gone, or have changed."""
        there = {one.identity for one in archives}
        for identity in [one for one in self._verdicts if one not in there]:
            self._verdicts.pop(identity, None)


def tables_in(listing: str) -> Iterator[tuple[str, str]]:
    """Schema and name of each table whose rows are in the archive, from `pg_restore --list`."""
    for line in listing.splitlines():
        _, _, entry = line.partition("; ")
        words = entry.split(" ")
        if words[2:4] == ["TABLE", "DATA"] and len(words) >= 6:  # noqa: PLR2004 (schema and name)
            yield words[4], words[5]


def _backup(archive: Archive, data_at: datetime, problem: str, *, rests: bool, kind: str = "") -> Backup:
    return Backup(
        id=archive.name,
        data_at=data_at,
        finished_at=archive.modified_at if rests else None,
        size_bytes=archive.size,
        duration=max(timedelta(0), archive.modified_at - data_at) if rests and not problem else None,
        problem=problem,
        kind=kind,
    )


def _why(error: Exception) -> str:
    return f"cannot be opened: {error.strerror}" if isinstance(error, OSError) else str(error.args[0])
