"""pgBackRest: backups of a PostgreSQL cluster with its WAL, restored to any moment into a cluster beside the live one.

The promises: a copy is a data directory of its own, made under the run's id and labelled before there is data in it; it
has nothing of its source's configuration, and never archives; it is restored only when its recovery has ended and its
timeline is above the backup's. Nothing of this engine ever writes to the live data directory, and there is no cutover:
a whole cluster has no rename, so clients are pointed to the copy by people (see `preview`).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from bot.core.backup import (
    Backup,
    Check,
    CheckResult,
    Copy,
    CopyState,
    CopyStatus,
    EngineParts,
    Inventory,
    Report,
    RestorePoint,
    RestorePreview,
    RestoreTask,
)
from bot.core.errors import Conflict, Rejected
from bot.core.programs import Programs
from bot.integrations.pgbackrest import backup_now, manifest, planning, sentinel
from bot.integrations.pgbackrest.copy_folder import CopyFolder, Label, copies_in, is_same_place, socket_problem
from bot.integrations.pgbackrest.copy_server import CopyServer, connects
from bot.integrations.pgbackrest.course import CopyCourse
from bot.integrations.pgbackrest.info import ListedBackup
from bot.integrations.pgbackrest.judging import Findings, judge
from bot.integrations.pgbackrest.planning import Choice
from bot.integrations.pgbackrest.repository import Repository
from bot.integrations.pgbackrest.retention import expiries, retention_of
from bot.integrations.pgbackrest.settings import PgBackRestSettings
from bot.integrations.postgres.checks import verify_postgres
from bot.integrations.postgres.connection import PostgresConnection, PostgresServer
from bot.integrations.postgres.primary import PrimaryFacts, ask, ask_if_known
from bot.integrations.programs.job import JobPrograms
from bot.integrations.programs.local import LocalPrograms
from bot.integrations.programs.one_at_a_time import one_at_a_time
from bot.lib.text import spell_moment

_STATEMENT = timedelta(hours=6)
_TEMPLATES = "SELECT datname FROM pg_database WHERE datallowconn AND NOT datistemplate ORDER BY datname"
#: A copy needs its data, the WAL that it replays at a time, and some of its own.
_MARGIN = 64 * 16 * 1024 * 1024
_NOT_RESTORED = (
    "configuration outside of the data directory (postgresql.conf of Debian): the copy has one of its own",
    "what ALTER SYSTEM has set, shared_preload_libraries among it: add what its data needs to `parameters`",
    "replication slots, standbys and subscriptions: they stay with the live server, and none works in the copy",
    "archiving: the copy archives nothing, so it cannot be restored to a time itself",
    "unlogged tables: they are empty",
)


class PgBackRestEngine:
    """One stanza. Implements `Restorer`, `BackupTaker` and `SentinelEngine` of `bot.core.backup`."""

    title = "pgBackRest"

    def __init__(self, where: PgBackRestSettings, parts: EngineParts) -> None:
        assert parts.programs is not None, "pgBackRest is a program"
        self._where = where
        self._parts = parts
        self._programs: Programs = parts.programs
        self._repository = Repository(where, parts.programs)
        self._primary = PostgresServer(where.url.get_secret_value()) if where.url else None

    # --- reading

    def inventory(self) -> Inventory:
        return judge(self._find())

    def _find(self) -> Findings:
        primary = ask_if_known(self._primary)
        stanza = self._repository.stanza()
        current = stanza.clusters.get(stanza.newest_cluster) if stanza.newest_cluster is not None else None
        archive = self._repository.archive(
            current.archive_id if current else "", segment_size=primary.segment_size if primary else None
        )
        damaged = {one.label: self._repository.damaged_files(one.label) for one in stanza.backups if one.error}
        folders = self._repository.folders() if stanza.backups else frozenset()
        return Findings(
            stanza=stanza,
            archive=archive,
            folders=folders,
            primary=primary,
            damaged=damaged,
            expiries=expiries(stanza.backups, retention_of(self._where)),
        )

    # --- planning

    def preview(self, point: RestorePoint, *, drill: bool) -> RestorePreview:
        folder = self._scratch()
        found = self._find()
        inventory = judge(found)
        if inventory.blockers:
            raise Rejected(f"{' '.join(inventory.blockers)} Nothing was done.", code="blocked")
        choice = planning.choose(point, found, inventory.window, self._parts.now())
        listed = choice.backup
        cluster = found.stanza.clusters[listed.cluster]
        self._refuse_place(folder, found.primary, drill=drill)
        self._refuse_incomplete(listed.label, listed.references)
        version = cluster.version
        self._refuse_missing_programs(version)
        size = listed.size or 0
        name = self._name(drill=drill)
        return RestorePreview(
            backup_id=listed.label,
            data_at=choice.data_at,
            copy_name=f"data directory {folder}/{name}{{run}}",
            effect=self._effect(choice, found, drill=drill),
            preconditions={"backup": listed.label, "cluster": cluster.system_identifier},
            not_restored=_NOT_RESTORED,
            moving=tuple(_moving(found, listed)),
            size_bytes=size,
            needs_bytes=size + size // 10 + _MARGIN,
            free_bytes=_free(folder),
            expires_at=found.expiries.get(listed.label),
            facts={
                "version": version,
                "system_identifier": cluster.system_identifier,
                "timeline": str(found.archive.place(listed.wal_start)[0]),
                "size": str(size),
                "stopped": listed.stopped.isoformat(),
            },
        )

    def _effect(self, choice: Choice, found: Findings, *, drill: bool) -> tuple[str, ...]:
        listed = choice.backup
        chain = f", with {len(listed.references)} that it builds on" if listed.references else ""
        damage = found.damage(listed)
        return (
            f"Restores {listed.kind} backup {listed.label}{chain} into a new data directory.",
            "Starts a PostgreSQL of its own there, with no network address: its socket alone."
            if drill or not self._where.listen
            else f"Starts a PostgreSQL of its own there, on {self._where.listen} and a port of"
            f" {self._where.ports[0]} to {self._where.ports[1]}; it goes on after the bot ends.",
            *choice.notes,
            *([f"The backup has damage: {damage}."] if damage else []),
            *(() if drill else (_NO_CUTOVER,)),
        )

    def _refuse_incomplete(self, label: str, references: Sequence[str]) -> None:
        """The cheap proof: every file is there, at its full length."""
        text = self._repository.manifest(label)
        if text is None:
            return  # Too large to compare; the restore itself reads and checks every file.
        try:
            wanted = manifest.wanted(text, label)
        except (ValueError, AttributeError, TypeError) as error:
            raise Rejected(
                f"The manifest of backup {label} cannot be read ({type(error).__name__}). Nothing was done. Restore"
                " from another backup.",
                code="damaged",
            ) from None
        there = {one: self._repository.files(one) for one in {label, *references}}
        short = manifest.short(wanted, there)
        if short:
            more = f" (and {len(short) - 1} more)" if len(short) > 1 else ""
            raise Rejected(
                f"Backup {label} is damaged in the repository: {short[0]}{more}. Nothing was done. Restore from another"
                " backup, and see the repository's storage.",
                code="damaged",
            )

    def _scratch(self) -> Path:
        if not self._where.folder:
            raise Rejected(
                "This store has no folder for copies, so nothing was restored. Set where.folder.", code="no_folder"
            )
        if isinstance(self._programs, JobPrograms):
            raise Rejected(
                "A whole cluster is restored on the bot's host, where its server runs on. Nothing was done. Set run:"
                " local for this store.",
                code="no_job",
            )
        return Path(self._where.folder)

    def _refuse_place(self, folder: Path, primary: PrimaryFacts | None, *, drill: bool) -> None:
        if not folder.is_dir():
            raise Rejected(f"{folder} is no folder on the bot's host. Nothing was done. Make it, or set where.folder.")
        too_long = socket_problem(CopyFolder(folder / f"{self._name(drill=drill)}{'0' * 8}"))
        if too_long:
            raise Rejected(f"A copy could not be reached: {too_long}. Nothing was done.")
        live = Path(primary.data_directory) if primary and primary.data_directory else None
        if live and live.is_absolute() and live.resolve() in (folder.resolve(), *folder.resolve().parents):
            raise Rejected(
                f"{folder} is inside of the live data directory {live}. Nothing was done. Set where.folder to another"
                " place.",
                code="live",
            )

    def _refuse_missing_programs(self, version: str) -> None:
        if os.geteuid() == 0 and isinstance(self._programs, LocalPrograms):
            raise Rejected(
                "The bot runs as root, as which PostgreSQL does not start. Nothing was done. Run it as another user,"
                " who may read the repository."
            )
        place = Path(self._where.postgres_programs.replace("{version}", version))
        if not (place / "pg_ctl").exists():
            raise Rejected(
                f"PostgreSQL {version} is not installed on the bot's host: {place}/pg_ctl does not exist. Nothing was"
                " done. Install it, or set where.postgres_programs.",
                code="no_program",
            )

    def _name(self, *, drill: bool) -> str:
        return f"{self._parts.store.replace('/', '_')}_{'drill' if drill else 'restore'}_"

    # --- restoring

    def begin(self, task: RestoreTask) -> None:
        folder = self._folder(task)
        label = folder.label()
        if label is not None and label.run == task.run:
            return
        if label is not None:
            raise Conflict(f"{folder.path} is the copy of another run. Nothing was done.")
        self._refuse_live(folder, ask_if_known(self._primary))
        folder.make(
            Label(
                run=task.run,
                store=self._parts.store,
                drill=task.drill,
                created_at=self._parts.now(),
                kind=planning.kind_of(task.point),
            )
        )
        with one_at_a_time(folder.path) as mine:
            made = folder.label() if mine else None
            if made is None or made.tries > 1:
                return  # Another process has found the folder already, and brings the copy on.
            try:
                self._course(task, folder).copy(tries=1)
            except Rejected:
                folder.remove()  # Nothing is in it, and nothing was started.
                raise

    def look(self, task: RestoreTask) -> CopyStatus:
        folder = self._folder(task)
        label = folder.label()
        if label is None or label.run != task.run:
            return CopyStatus(state=CopyState.ABSENT)
        if label.restored_at is not None:
            return self._course(task, folder).step(label)
        with one_at_a_time(folder.path) as mine:
            if not mine:
                return CopyStatus(
                    state=CopyState.RUNNING, phase="starting", message="another process of the bot brings it on"
                )
            return self._course(task, folder).step(folder.label() or label)

    def _course(self, task: RestoreTask, folder: CopyFolder) -> CopyCourse:
        return CopyCourse(
            where=self._where,
            programs=self._programs,
            repository=self._repository,
            now=self._parts.now,
            task=task,
            folder=folder,
        )

    def _folder(self, task: RestoreTask) -> CopyFolder:
        return CopyFolder(self._scratch() / f"{self._name(drill=task.drill)}{task.short_run}")

    def _refuse_live(self, folder: CopyFolder, primary: PrimaryFacts | None) -> None:
        """The system identifier of a copy is its source's by design, so the place is what tells them apart."""
        if primary is None or not primary.data_directory:
            return
        live = Path(primary.data_directory)
        if is_same_place(folder.path, live) or is_same_place(folder.data, live):
            raise Rejected(
                f"{folder.path} is the live data directory ({live}), or holds it. Nothing was done.", code="live"
            )

    # --- checking

    def verify(self, task: RestoreTask, checks: Sequence[Check], report: Report) -> Sequence[CheckResult]:
        server = self._server(task)
        label = self._folder(task).label()
        if label is None:
            return [CheckResult(name="the copy exists", expected="yes", got="it is gone", ok=False)]
        results: list[CheckResult] = []
        try:
            with server.server().connect() as connection:
                databases = [str(name) for (name,) in connection.rows(_TEMPLATES)]
            leaks = server.settings_that_leak(drill=label.drill)
        except Rejected as refused:
            return [CheckResult(name="the copy can be read", expected="yes", got=refused.message, ok=False)]
        results.append(CheckResult(name="kept apart from its source", expected="yes", got=leaks or "yes", ok=not leaks))
        checked = self._primary.database if self._primary else "postgres"
        for database in sorted(databases, key=lambda one: one != checked):
            report(f"checking database {database}")
            found = verify_postgres(
                _Opener(server.server(database), database),
                checks if database == checked else (),
                report,
                live=_Opener(self._primary, database) if self._primary else None,
                data_at=label.data_at,
                system_identifier=task.facts.get("system_identifier", ""),
                timeline_above=int(task.facts.get("timeline", "0")),
            )
            results += [one if database == checked else replace(one, name=f"{database}: {one.name}") for one in found]
        if checked not in databases:
            results.append(
                CheckResult(name=f"database {checked}", expected="is in the copy", got="it is not", ok=False)
            )
        return results

    def isolation_leak(self, task: RestoreTask) -> str:
        label = self._folder(task).label()
        if label is None:
            return "the copy is gone, so it cannot be tried"
        if connects(label.port):
            return f"a TCP connection to its port {label.port} was accepted"
        return self._server(task).settings_that_leak(drill=True)

    def _server(self, task: RestoreTask) -> CopyServer:
        return CopyServer(self._where, self._programs, self._folder(task), task.facts.get("version", ""))

    # --- removing

    def copies(self) -> Sequence[Copy]:
        if not self._where.folder:
            return ()  # None was ever made.
        return [
            Copy(run=label.run, name=str(folder.path), created_at=label.created_at, drill=label.drill)
            for folder, label in copies_in(Path(self._where.folder))
            if label.store == self._parts.store
        ]

    def remove(self, copy: Copy) -> None:
        folder = CopyFolder(Path(copy.name))
        label = folder.label()
        if label is None:
            if folder.path.exists() and any(folder.path.iterdir()):
                raise Rejected(f"{folder.path} has no label of the bot. Nothing was removed.", code="not_ours")
            return
        if label.run != copy.run or label.store != self._parts.store:
            raise Rejected(
                f"{folder.path} is of run {label.run}, not {copy.run}. Nothing was removed.", code="not_ours"
            )
        self._refuse_removing_live(folder, label)
        for number in range(1, label.tries + 1):
            self._programs.stop(f"restore-{label.run}-{number}")
        CopyServer(self._where, self._programs, folder, _version_of(folder)).stop(at_once=label.drill)
        folder.remove()

    def _refuse_removing_live(self, folder: CopyFolder, label: Label) -> None:
        """People may have pointed clients, and the address of the settings, to a copy."""
        if label.drill or self._primary is None:
            return
        try:
            primary = ask(self._primary)
        except Rejected as refused:
            raise Rejected(
                f"Whether this copy is in use as the live one cannot be asked. {refused.message} Nothing was removed.",
                code="unreachable",
            ) from None
        if not primary.data_directory:
            raise Rejected(
                "The user of where.url may not see the live data directory, so whether this copy is in use as the live"
                " one is unknown. Nothing was removed. Grant it pg_monitor.",
                code="unknown_live",
            )
        if is_same_place(folder.data, Path(primary.data_directory)):
            raise Rejected(f"{folder.path} is in use as the live one. Nothing was removed.", code="live")

    # --- backing up, and the sentinel

    def begin_backup(self, run: str) -> None:
        backup_now.begin(self._repository, self._programs, run)

    def look_backup(self, run: str) -> CopyStatus:
        return backup_now.look(self._repository, self._programs, run, self._usable)

    def _usable(self, label: str) -> Backup | None:
        return next((one for one in self.inventory().backups if one.id == label), None)

    def write_sentinel(self, token: str) -> None:
        if self._primary is None:
            raise Rejected("A sentinel needs the address of the live primary. Set where.url.", code="no_primary")
        sentinel.write(self._primary, token, now=self._parts.now, pause=self._parts.pause)

    def read_sentinels(self, task: RestoreTask) -> Mapping[str, datetime]:
        database = self._primary.database if self._primary else "postgres"
        return sentinel.read(self._server(task).server(database))


_NO_CUTOVER = (
    "There is no cutover: a whole cluster cannot be renamed. To make the copy the live one, stop the writers, stop both"
    " servers, let the service manager start PostgreSQL on the copy's data directory with the live one's configuration"
    " and archiving into a new stanza, or point the clients (service, pooler, DNS) to its address."
)


class _Opener:
    """Opens a connection whose statements may take long, each time it is called."""

    def __init__(self, server: PostgresServer, database: str) -> None:
        self._server = server
        self._database = database

    def __call__(self) -> AbstractContextManager[PostgresConnection]:
        return self._server.connect(self._database, limit=_STATEMENT)


def _moving(found: Findings, listed: ListedBackup) -> Iterator[str]:
    yield f"{found.archive.bytes_from(listed.wal_start) // 2**20} MB of WAL are archived behind that backup."
    primary = found.primary
    if primary is None:
        yield "The live server was not asked (no address, or no answer): who writes to it is unknown."
        return
    yield f"{primary.clients} client connections to the live server now."
    if primary.archived_at:
        yield f"Writes since the live server's last archived WAL ({spell_moment(primary.archived_at)}) are lost."


def _free(folder: Path) -> int | None:
    with suppress(OSError):
        return shutil.disk_usage(folder).free
    return None


def _version_of(folder: CopyFolder) -> str:
    try:
        return (folder.data / "PG_VERSION").read_text().strip()
    except OSError:
        return ""
