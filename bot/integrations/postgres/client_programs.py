"""pg_dump and pg_restore: where they are, their versions, and what they mean when they fail."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from bot.core.backup import EngineParts
from bot.core.errors import OutcomeUnknown, Rejected
from bot.core.programs import Ended, Program, Programs
from bot.integrations.postgres.settings import PostgresBackupSettings

_VERSION = re.compile(r"(\d+)(?:\.\d+)*")
_ASK_AGAIN_AFTER = timedelta(hours=1)
_LISTED_WITHIN = timedelta(minutes=2)
_MOST_LISTED = 64 * 1024 * 1024
_MAX_SHOWN = 300
#: What pg_restore says after the line that tells the cause.
_CONSEQUENCE = re.compile(r"warning: errors ignored|worker process died unexpectedly|parallel worker .* ended")
_PREFIX = re.compile(r"^(?:pg_restore|pg_dump): (?:error: |warning: |\[[^\]]*\] )*")


class ClientPrograms:
    """The programs of PostgreSQL that the settings name."""

    def __init__(self, where: PostgresBackupSettings, parts: EngineParts) -> None:
        if parts.programs is None:
            raise Rejected(f"The store {parts.store} has nothing that runs programs. Set its key run.")
        self.programs: Programs = parts.programs
        self._where = where
        self._now: Callable[[], datetime] = parts.now
        self._known: tuple[datetime, int] | None = None

    def path(self, name: str) -> str:
        return str(Path(self._where.programs) / name) if self._where.programs else name

    def restore_major(self) -> int:
        """The major version of pg_restore, asked for once an hour. Raises `Rejected`."""
        now = self._now()
        if self._known is None or now - self._known[0] > _ASK_AGAIN_AFTER:
            ended = self._ask("version", ("pg_restore", "--version"))
            self._known = now, major_of(ended.stdout.decode(errors="replace"))
        return self._known[1]

    def listing(self, path: Path) -> str:
        """The table of contents of an archive. Raises `Rejected`."""
        return self._read("list", ("pg_restore", "--list", str(path)))

    def schema(self, path: Path) -> str:
        """The statements of an archive, without its rows. Raises `Rejected`."""
        argv = ("pg_restore", "-f", "-", "--section=pre-data", "--section=post-data", str(path))
        return self._read("schema", argv)

    @staticmethod
    def reason(ended: Ended) -> str:
        """The last thing that a program complained of, on one line."""
        lines = [line for line in ended.stderr.splitlines() if not _CONSEQUENCE.search(line)]
        worst = [line for line in lines if "error:" in line or "ERROR" in line or "FATAL" in line]
        text = _PREFIX.sub("", (worst or lines or [f"it ended with code {ended.code}"])[-1])
        return text[:_MAX_SHOWN].rstrip(". ")

    def _read(self, key: str, argv: tuple[str, ...]) -> str:
        ended = self._ask(key, argv)
        return ended.stdout.decode(errors="replace")

    def _ask(self, key: str, argv: tuple[str, ...]) -> Ended:
        name, *rest = argv
        program = Program(
            key=f"{key}-{hashlib.sha256(repr(argv).encode()).hexdigest()[:12]}",
            argv=(self.path(name), *rest),
            time_limit=_LISTED_WITHIN,
            output_limit=_MOST_LISTED,
        )
        try:
            ended = self.programs.run(program)
        except OutcomeUnknown as unknown:  # A question: nothing was done.
            raise Rejected(f"{unknown.message} Nothing was done.", code="unreachable") from None
        if ended.code != 0:
            raise Rejected(f"{name} failed: {self.reason(ended)}. Nothing was done.", code="unreadable")
        return ended


def major_of(version: str) -> int:
    """15 of "pg_restore (PostgreSQL) 15.20 (Debian 15.20-0+deb12u1)"; 9 of "9.6.24"; 0 when there is no number."""
    found = _VERSION.search(version.replace("(PostgreSQL)", ""))
    return int(found[1]) if found else 0
