"""WAL-G: backups of a PostgreSQL cluster, read to judge them. The bot restores nothing from it.

The trap: wal-verify needs the live primary for the current timeline. Where it cannot be run, whether WAL is complete is
unknown, and that is said; it is never taken for complete.
"""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

from bot.core.backup import EngineParts, Inventory
from bot.core.errors import OutcomeUnknown, Rejected
from bot.core.programs import Ended, Program, Programs
from bot.integrations.postgres.connection import PostgresServer
from bot.integrations.postgres.primary import ask_if_known
from bot.integrations.walg.settings import WalgSettings
from bot.integrations.walg.verdict import Verified, judge, verified_of

_LIMIT = timedelta(minutes=2)


class WalgEngine:
    """Implements `BackupReader` of `bot.core.backup`."""

    title = "WAL-G"

    def __init__(self, where: WalgSettings, parts: EngineParts) -> None:
        assert parts.programs is not None, "WAL-G is a program"
        self._where = where
        self._programs: Programs = parts.programs
        self._primary = PostgresServer(where.url.get_secret_value()) if where.url else None

    def inventory(self) -> Inventory:
        listed = self._run("backup-list", "--detail", "--json")
        if listed.code:
            raise Rejected(f"wal-g backup-list failed: {_last(listed)}. Nothing was done. Check its configuration.")
        verified, why_not = self._verify() if listed.stdout.strip() else (None, "there are no backups")
        return judge(listed.stdout, verified, why_not, ask_if_known(self._primary))

    def _verify(self) -> tuple[Verified | None, str]:
        """What it found, or why it could not be run."""
        try:
            ended = self._run("wal-verify", "integrity", "timeline", "--json")
            if ended.code and not ended.stdout.strip():
                return None, f"wal-g wal-verify failed: {_last(ended)}"
            return verified_of(ended.stdout), ""
        except Rejected as refused:
            return None, refused.message

    def _run(self, *words: str) -> Ended:
        where = self._where
        config = ["--config", where.config] if where.config else []
        program = Program(
            key=f"wal-g-{uuid4().hex}",
            argv=[where.program, *words, *config],
            environment=where.environment,
            secrets={name: secret.get_secret_value() for name, secret in where.secrets.items()},
            time_limit=_LIMIT,
        )
        try:
            return self._programs.run(program)
        except OutcomeUnknown as unknown:
            raise Rejected(f"{unknown.message} Nothing was done. Check that the storage answers.") from None


def _last(ended: Ended) -> str:
    lines = ended.stderr.strip().splitlines()
    return lines[-1].rstrip(".") if lines else f"it ended with {ended.code}"
