"""Makes an archive now, in the folder of the others.

The promise: it gets its name only after it was read to its end, and counts only after it was read to its end under that
name, from the bucket where it is in one. Until then it is a hidden file, which no other job mistakes for a backup.
"""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

from bot.core.backup import CopyState, CopyStatus, EngineParts
from bot.core.errors import Rejected
from bot.core.programs import Program
from bot.integrations.postgres.archive_sources import Archive
from bot.integrations.postgres.archives import Archives
from bot.integrations.postgres.client_programs import ClientPrograms
from bot.integrations.postgres.connection import PostgresServer
from bot.integrations.postgres.settings import PostgresBackupSettings

_DUMPED_WITHIN = timedelta(hours=24)
_WILD = re.compile(r"\*+")
_UNNAMEABLE = re.compile(r"[?\[\]]")


class DumpTaker:
    """Backups that people ask for."""

    def __init__(
        self,
        where: PostgresBackupSettings,
        parts: EngineParts,
        *,
        live: PostgresServer,
        archives: Archives,
        client: ClientPrograms,
    ) -> None:
        self._where = where
        self._parts = parts
        self._live = live
        self._archives = archives
        self._client = client

    def begin(self, run: str) -> None:
        name, part = self._name(run), self._part(run)
        if part.exists() or self._archives.get(name) is not None:
            return
        access = self._live.for_programs(self._where.database)
        try:
            part.touch(mode=0o600, exist_ok=False)
        except OSError as error:
            raise Rejected(
                f"No backup was begun: the bot cannot write to {part.parent} ({error.strerror}). Give it the right.",
                code="forbidden",
            ) from None
        argv = (self._client.path("pg_dump"), "--format=custom", "--file", str(part), "--dbname", access.address)
        program = Program(
            key=_key(run),
            argv=argv,
            secrets=access.secrets,
            environment={**access.environment, "PGAPPNAME": f"vakhta-backup-{run[:8]}"},
            time_limit=_DUMPED_WITHIN,
        )
        try:
            self._client.programs.start(program)
        except Rejected:
            part.unlink(missing_ok=True)
            raise

    def look(self, run: str) -> CopyStatus:
        part = self._part(run)
        made = self._archives.get(self._name(run))
        if made is not None:
            return self._published(made)
        try:
            ended = self._client.programs.poll(_key(run))
        except LookupError:
            return self._orphan(part)
        if ended is None:
            return CopyStatus(state=CopyState.RUNNING, phase="dumping", bytes_done=_size(part))
        if ended.code == 0:
            return self._verify(run, part)
        self._client.programs.stop(_key(run))
        part.unlink(missing_ok=True)
        return self._failed(f"pg_dump failed: {self._client.reason(ended)}. What it wrote was removed")

    def _published(self, made: Archive) -> CopyStatus:
        verdict = self._archives.verdict(made)
        if verdict is None:
            return CopyStatus(state=CopyState.RUNNING, phase="reading it back", bytes_done=made.size)
        if verdict:
            return self._failed(f"{made.name} was made, and {verdict}")
        return CopyStatus(state=CopyState.RESTORED, message=made.name, bytes_done=made.size, bytes_total=made.size)

    def _orphan(self, part: Path) -> CopyStatus:
        if not part.exists():
            return CopyStatus(state=CopyState.ABSENT)
        part.unlink(missing_ok=True)
        return self._failed("pg_dump ended with the process of the bot that ran it; what it wrote was removed")

    def _verify(self, run: str, part: Path) -> CopyStatus:
        """Read it to its end; only then does it count."""
        problem = self._archives.read_problem(part)
        if problem is None:
            return CopyStatus(state=CopyState.RUNNING, phase="reading it back", bytes_done=_size(part))
        self._client.programs.stop(_key(run))
        if problem:
            part.unlink(missing_ok=True)
            return self._failed(f"it was made, and {problem}. It was removed")
        self._archives.publish(part, self._name(run))
        return self.look(run)

    def _name(self, run: str) -> str:
        """It fits the pattern of the settings, and is made of the run's id."""
        pattern = self._where.files
        if _UNNAMEABLE.search(pattern) or "*" not in pattern:
            raise Rejected(
                f"No backup was begun: no name can be made from the pattern {pattern}. Set files to one with * alone."
            )
        name = re.sub(r"[^-_.A-Za-z0-9]", "_", f"{self._where.database}-vakhta-{run[:16]}")
        return _WILD.sub("", pattern.replace("*", name, 1))

    def _part(self, run: str) -> Path:
        return Path(self._where.folder) / f".{self._name(run)}.part"

    @staticmethod
    def _failed(message: str) -> CopyStatus:
        return CopyStatus(state=CopyState.FAILED, message=message)


def _key(run: str) -> str:
    return f"backup-{run}"


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None
