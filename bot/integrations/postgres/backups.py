"""Archives of pg_dump: judged, restored beside, checked, cut over to, and made. The engine `postgres`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from bot.core.backup import (
    Backup,
    Check,
    CheckResult,
    Copy,
    CopyStatus,
    EngineParts,
    Inventory,
    Report,
    RestorePoint,
    RestorePreview,
    RestoreTask,
)
from bot.core.errors import Rejected
from bot.integrations.cutover import CutsOver
from bot.integrations.postgres import sentinel
from bot.integrations.postgres.archive_sources import Archive
from bot.integrations.postgres.archives import Archives, tables_in
from bot.integrations.postgres.checks import verify_postgres
from bot.integrations.postgres.client_programs import ClientPrograms
from bot.integrations.postgres.connection import PostgresServer
from bot.integrations.postgres.copies import Copies
from bot.integrations.postgres.dumping import DumpTaker
from bot.integrations.postgres.preview import PreviewParts, preview_restore
from bot.integrations.postgres.settings import PostgresBackupSettings
from bot.integrations.postgres.swap import Swap
from bot.integrations.postgres.writes import WriteRates

_MAINTENANCE = "postgres"
#: Of one statement of a check: reading a large table, or its largest index.
_CHECKED_WITHIN = timedelta(hours=6)
_MOST_NAMED = 3


class PostgresEngine(CutsOver):
    """Implements the protocols of `bot.core.backup` for one database."""

    title = "pg_dump"

    def __init__(self, where: PostgresBackupSettings, parts: EngineParts) -> None:
        self._where = where
        self._parts = parts
        self._live = _maintenance(where.url.get_secret_value(), where.database)
        copies = where.copy_url or where.url
        self._target = _maintenance(copies.get_secret_value(), where.database)
        self._client = ClientPrograms(where, parts)
        self._archives = Archives(where, parts, self._client)
        self._rates = WriteRates(self._live.to(where.database), parts.now)
        self._copies = Copies(
            where, parts, live=self._live, target=self._target, archives=self._archives, client=self._client
        )
        self._cutover = Swap(where.database, parts, live=self._live, target=self._target, copies=self._copies)
        self._taker = DumpTaker(where, parts, live=self._live, archives=self._archives, client=self._client)

    def inventory(self) -> Inventory:
        backups = self._archives.judge_all()
        self._rates.sample()
        return Inventory(backups=tuple(backups), blockers=tuple(self._blockers()))

    def preview(self, point: RestorePoint, *, drill: bool) -> RestorePreview:
        if point.at is not None:
            raise Rejected(
                "An archive of pg_dump has one moment only. Nothing was done. Name a backup, or latest.", code="no_pitr"
            )
        archive, backup = self._chosen(point.backup_id)
        parts = PreviewParts(
            database=self._where.database,
            live=self._live,
            target=self._target,
            archives=self._archives,
            client=self._client,
            rates=self._rates,
        )
        return preview_restore(parts, archive, backup, drill=drill)

    def begin(self, task: RestoreTask) -> None:
        self._copies.begin(task)

    def look(self, task: RestoreTask) -> CopyStatus:
        return self._copies.look(task)

    def verify(self, task: RestoreTask, checks: Sequence[Check], report: Report) -> Sequence[CheckResult]:
        try:
            copy = self._copies.restored(task)
        except Rejected as refused:
            return [CheckResult(name="the copy is complete", expected="restored", got=refused.message, ok=False)]
        own = [self._all_tables(task, copy.name)]
        live = self._live.to(self._where.database) if self._copies.live_identity() else None
        return own + verify_postgres(
            lambda: self._target.connect(copy.name, limit=_CHECKED_WITHIN),
            checks,
            report,
            live=None if live is None else lambda: live.connect(limit=_CHECKED_WITHIN, read_only=True),
            data_at=copy.label.data if copy.label else None,
            jobs=self._where.jobs,
            indexes_built=True,
        )

    def isolation_leak(self, task: RestoreTask) -> str:
        return self._copies.leak(task)

    def copies(self) -> Sequence[Copy]:
        return self._copies.list_all()

    def remove(self, copy: Copy) -> None:
        self._copies.remove(copy)

    def begin_backup(self, run: str) -> None:
        self._taker.begin(run)

    def look_backup(self, run: str) -> CopyStatus:
        return self._taker.look(run)

    def write_sentinel(self, token: str) -> None:
        sentinel.write(self._live.to(self._where.database), token, self._parts.now())

    def read_sentinels(self, task: RestoreTask) -> Mapping[str, datetime]:
        return sentinel.read(self._target.to(self._copies.restored(task).name))

    def _all_tables(self, task: RestoreTask, name: str) -> CheckResult:
        """Those in the archive's table of contents, against those of the copy."""
        title = "every table of the archive is there"
        archive = self._archives.get(task.point.backup_id)
        if archive is None:
            return CheckResult(name=title, expected="the archive", got="it is gone", ok=False)
        try:
            wanted = set(tables_in(self._client.listing(self._archives.source.fetch(archive))))
            with self._target.connect(name) as copy:
                there = set(copy.rows("SELECT schemaname, tablename FROM pg_tables"))
        except Rejected as refused:
            return CheckResult(name=title, expected="a check that can be made", got=refused.message, ok=False)
        missing = sorted(".".join(one) for one in wanted - there)
        got = f"missing: {', '.join(missing[:_MOST_NAMED])}" if missing else f"{len(wanted)} tables"
        return CheckResult(name=title, expected=f"{len(wanted)} tables", got=got, ok=not missing)

    def _chosen(self, backup_id: str) -> tuple[Archive, Backup]:
        """The archive that is asked for, or the newest usable one. Raises `Rejected`."""
        if backup_id:
            archive = self._archives.get(backup_id)
            backup = self._archives.judge(archive) if archive is not None else None
        else:
            usable = [one for one in self._archives.judge_all() if one.usable]
            if not usable:
                raise Rejected("No archive can be restored from. Nothing was done. See why with: backups.", code="none")
            backup = usable[0]
            archive = self._archives.get(backup.id)
        if archive is None or backup is None:
            known = ", ".join(one.name for one in self._archives.list_all()[:_MOST_NAMED]) or "none"
            raise Rejected(
                f"There is no backup {backup_id}. Nothing was done. The newest are: {known}.", code="unknown"
            )
        if not backup.usable:
            raise Rejected(
                f"{backup.id} cannot be restored from: {backup.problem}. Nothing was done. Choose another backup.",
                code="unusable",
            )
        return archive, backup

    def _blockers(self) -> Sequence[str]:
        """A server that does not answer blocks nothing: its archives can be restored to another one."""
        client = self._client.restore_major()
        try:
            with self._target.connect(read_only=True) as target:
                server = target.version
        except Rejected:
            return ()
        if client >= server:
            return ()
        return (f"pg_restore here is {client}, older than the server, which is {server}: install pg_restore {server}",)


def _maintenance(url: str, database: str) -> PostgresServer:
    """The server, by a database that is never the one that is renamed."""
    server = PostgresServer(url)
    return server.to(_MAINTENANCE) if server.database == database else server
