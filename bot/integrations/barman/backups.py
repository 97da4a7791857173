"""Barman: backups of a PostgreSQL cluster, read to judge them. The bot restores nothing from it.

The trap: `check-backup` of a backup whose WAL is gone ends with 0 and prints nothing; what it found is in the status of
the list after it (tried with Barman 3.4).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from uuid import uuid4

from bot.core.backup import Backup, EngineParts, Inventory
from bot.core.errors import OutcomeUnknown, Rejected
from bot.core.programs import Ended, Program, Programs
from bot.integrations.barman.settings import BarmanSettings
from bot.integrations.barman.verdict import backups_of, failed_checks, judge, without_wal
from bot.integrations.postgres.connection import PostgresServer
from bot.integrations.postgres.primary import ask_if_known

_LIMIT = timedelta(minutes=2)


class BarmanEngine:
    """Implements `BackupReader` of `bot.core.backup`."""

    title = "Barman"

    def __init__(self, where: BarmanSettings, parts: EngineParts) -> None:
        assert parts.programs is not None, "Barman is a program"
        self._where = where
        self._programs: Programs = parts.programs
        self._primary = PostgresServer(where.url.get_secret_value()) if where.url else None

    def inventory(self) -> Inventory:
        server = self._where.server
        # It ends with 1 when a check fails, which is an answer.
        failed = failed_checks(self._run("check", server).stdout, server)
        return judge(self._checked(), failed, ask_if_known(self._primary))

    def _checked(self) -> Sequence[Backup]:
        """The list, after the newest usable one was asked for its WAL, and the next one where that is not complete."""
        backups, asked = self._listed(), set[str]()
        refused: dict[str, str] = {}
        while True:
            newest = next((one for one in backups if one.usable and one.id not in refused), None)
            if newest is None or newest.id in asked:
                return [without_wal(one, refused[one.id]) if one.id in refused else one for one in backups]
            ended = self._run("check-backup", self._where.server, newest.id)
            asked.add(newest.id)
            if ended.code:
                refused[newest.id] = _why(ended)
            backups = self._listed()

    def _listed(self) -> Sequence[Backup]:
        listed = self._run("list-backups", self._where.server)
        if listed.code:
            raise Rejected(f"barman list-backups failed: {_why(listed)}. Nothing was done. Check its configuration.")
        return backups_of(listed.stdout, self._where.server)

    def _run(self, command: str, *words: str) -> Ended:
        where = self._where
        config = ["-c", where.config] if where.config else []
        program = Program(
            key=f"barman-{uuid4().hex}", argv=[where.program, *config, "-f", "json", command, *words], time_limit=_LIMIT
        )
        try:
            return self._programs.run(program)
        except OutcomeUnknown as unknown:
            raise Rejected(f"{unknown.message} Nothing was done. Check that Barman's host answers.") from None


def _why(ended: Ended) -> str:
    """Its own words: in JSON under _ERROR or _EXCEPTION, else the last line."""
    try:
        given = json.loads(ended.stdout)
        said = [*given.get("_ERROR", ()), *given.get("_EXCEPTION", ())]
    except (ValueError, AttributeError, TypeError):
        said = []
    lines = said or ended.stderr.strip().splitlines()
    return str(lines[-1]).rstrip(".") if lines else f"it ended with {ended.code}"
