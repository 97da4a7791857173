"""Copies: databases beside the live one, that an archive is restored into.

The promise: one copy for each run, found by its label; it counts as restored only after pg_restore has ended without an
error, which is then written into its label. The trap: pg_restore dies with the bot, and leaves a database that looks
complete to anybody who only connects to it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

from bot.core.backup import Copy, CopyState, CopyStatus, EngineParts, RestoreTask
from bot.core.errors import Conflict, Rejected
from bot.core.programs import Program
from bot.integrations.postgres import databases
from bot.integrations.postgres.archive_sources import Archive
from bot.integrations.postgres.archives import Archives
from bot.integrations.postgres.client_programs import ClientPrograms
from bot.integrations.postgres.connection import PostgresConnection, PostgresServer, PostgresUnreachable
from bot.integrations.postgres.databases import (
    FAILED,
    RESTORED,
    DatabaseLabel,
    FoundDatabase,
    LiveIdentity,
    copy_name,
)
from bot.integrations.postgres.preview import NO_TABLESPACES, OWNERS, size_in
from bot.integrations.postgres.settings import PostgresBackupSettings

_RESTORED_WITHIN = timedelta(hours=48)
_DROPPED_WITHIN = timedelta(minutes=5)
#: Of a drill's copy: those of pg_restore, of the checks, and to spare.
_SPARE_CONNECTIONS = 6
_PHASES = {"COPY": "copying rows", "CREATE": "building indexes", "ALTER": "adding constraints"}
_MADE_HERE = re.compile(r"_(restore|drill)_([0-9a-f]{8})")


class Copies:
    """`live`: the server with the live database; `target`: the one with the copies, often the same."""

    def __init__(
        self,
        where: PostgresBackupSettings,
        parts: EngineParts,
        *,
        live: PostgresServer,
        target: PostgresServer,
        archives: Archives,
        client: ClientPrograms,
    ) -> None:
        self._where = where
        self._parts = parts
        self._live = live
        self._target = target
        self._archives = archives
        self._client = client
        self._in_begin: set[str] = set()

    def name(self, task: RestoreTask) -> str:
        return copy_name(self._where.database, task.run, drill=task.drill)

    def begin(self, task: RestoreTask) -> None:
        archive = self._archives.get(task.point.backup_id)
        if archive is None:
            raise Conflict(f"The archive {task.point.backup_id} is gone. Nothing was done.")
        if task.facts.get("archive") not in (None, archive.identity):
            raise Conflict(f"The archive {archive.name} has changed since the plan. Nothing was done.")
        name = self.name(task)
        with self._beginning(task.run):
            with self._target.connect(limit=_DROPPED_WITHIN) as target, databases.making(target, name):
                found = databases.find(target, name)
                if found is not None:
                    self._check_ours(found, task)
                    return
                connections = self._where.jobs + _SPARE_CONNECTIONS
                label = self._label(task, archive)
                databases.create_copy(target, name, label, like=self._where.database, connections=connections)
                self._guard(target, name)
            self._start(task, archive)

    def _start(self, task: RestoreTask, archive: Archive) -> None:
        """Its pg_restore. Raises `Rejected`: it could not be started, and the empty copy is gone again."""
        try:
            path = self._archives.source.pin(archive, task.run)
            self._client.programs.start(self._restoring(task, str(path), self._archives.header(archive).format))
        except Rejected:  # It says that nothing was done, so nothing may be left.
            self._archives.source.unpin(task.run)
            with self._target.connect(limit=_DROPPED_WITHIN) as target:
                databases.drop(target, self.name(task))
            raise

    def _label(self, task: RestoreTask, archive: Archive) -> DatabaseLabel:
        return DatabaseLabel(
            run=task.run,
            store=task.store,
            drill=task.drill,
            backup=archive.name,
            data_at=self._archives.data_at(self._archives.header(archive)).isoformat(),
            begun_at=self._parts.now().isoformat(),
            expires_at=task.expires_at.isoformat() if task.expires_at else "",
        )

    @contextmanager
    def _beginning(self, run: str) -> Iterator[None]:
        """While it lasts, `look` of this process knows that the restore goes on."""
        self._in_begin.add(run)
        try:
            yield
        finally:
            self._in_begin.discard(run)

    def look(self, task: RestoreTask) -> CopyStatus:
        with self._target.connect() as target:
            found = databases.find(target, self.name(task)) or self._moved(target, task)
            if found is None:
                return CopyStatus(state=CopyState.ABSENT)
            self._check_ours(found, task)
            if found.label is None:
                if not databases.try_making(target, found.name):
                    return CopyStatus(state=CopyState.WAITING, message="the copy is being made")
                found = databases.find(target, found.name) or found  # Its maker may have labelled it meanwhile.
            label = found.label
            if label is None:
                return self._adopted(target, found, task)
            if label.state == RESTORED:
                size = _size(target, found)
                return CopyStatus(state=CopyState.RESTORED, bytes_done=size, bytes_total=size, data_at=label.data)
            if label.state == FAILED:
                return CopyStatus(state=CopyState.FAILED, message=label.message)
            return self._progress(target, found, label, task)

    def restored(self, task: RestoreTask) -> FoundDatabase:
        """The copy of that run, wherever it is now. Raises `Rejected` when it is not complete."""
        status = self.look(task)
        if status.state is not CopyState.RESTORED:
            raise Rejected(
                f"The copy of run {task.short_run} is {status.state}, not restored. {status.message}".strip()
                + " Nothing was done.",
                code="not_restored",
            )
        with self._target.connect() as target:
            found = databases.find(target, self.name(task)) or self._moved(target, task)
        if found is None:
            raise Rejected(f"The copy of run {task.short_run} is gone. Nothing was done.", code="gone")
        return found

    def list_all(self) -> Sequence[Copy]:
        with self._target.connect() as target:
            return list(self._ours(target))

    def remove(self, copy: Copy) -> None:
        with self._target.connect(limit=_DROPPED_WITHIN) as target:
            found = databases.find(target, copy.name)
            if found is None:
                return
            if found.name not in {one.name for one in self._ours(target) if one.run == copy.run}:
                raise Rejected(
                    f"Database {copy.name} is not labelled as the copy of run {copy.run[:8]}. Nothing was removed.",
                    code="not_ours",
                )
            self._guard(target, copy.name)
            self._client.programs.stop(_key(copy.run))
            self._archives.source.unpin(copy.run)
            databases.drop(target, copy.name)

    def leak(self, task: RestoreTask) -> str:
        """How somebody could get into a drill's copy; "" when nobody can but its owner."""
        name = self.name(task)
        with self._target.connect() as target:
            others = [
                role
                for (role,) in target.rows(
                    "SELECT rolname FROM pg_roles WHERE rolcanlogin AND rolname <> current_user AND NOT rolsuper"
                    " AND has_database_privilege(oid, %s, 'CONNECT') ORDER BY 1 LIMIT 5",
                    [name],
                )
            ]
        if others:
            return f"these roles may connect to {name}: {', '.join(others)}"
        return self._tried(name)

    def _tried(self, name: str) -> str:
        """Knock as the application would; only the server's own refusal counts, not that nobody answered."""
        if self._where.application_url is None:
            return ""
        application = PostgresServer(self._where.application_url.get_secret_value())
        try:
            with application.connect():
                pass  # Its login works where it may be used; else no refusal would mean anything.
        except PostgresUnreachable as refused:
            return f"it could not be tried, since the application's own login does not work: {refused.message}"
        try:
            with application.connect(name):
                return f"the application's user {application.user} can connect to {name}"
        except PostgresUnreachable as refused:
            return "" if refused.answered else f"it could not be tried: {refused.message}"

    def _ours(self, target: PostgresConnection) -> Iterator[Copy]:
        """Labelled ones of this store, beside the live one, and those that a crash left without their label."""
        for found in databases.list_all(target):
            if found.name == self._where.database:
                continue
            label = found.label
            if label is not None and label.store == self._parts.store:
                yield Copy(run=label.run, name=found.name, created_at=label.begun, drill=label.drill)
            elif label is None and not found.comment and (run := self._unlabelled(target, found)):
                yield Copy(run=run, name=found.name, created_at=None, drill="_drill_" in found.name)

    def _unlabelled(self, target: PostgresConnection, found: FoundDatabase) -> str:
        """The run of a database that was made and not labelled: it has our name and owner, and lets nobody in."""
        for kind, run in _MADE_HERE.findall(found.name[-17:]):
            if found.name == copy_name(self._where.database, run, drill=kind == "drill") and target.value(
                "SELECT true FROM pg_database WHERE oid = %s::bigint::oid AND datconnlimit = 0"
                " AND pg_get_userbyid(datdba) = current_user",
                [found.oid],
            ):
                return str(run)
        return ""

    def _adopted(self, target: PostgresConnection, found: FoundDatabase, task: RestoreTask) -> CopyStatus:
        """It was made, and its process ended before it was labelled. Without its label nothing removes it: a drill's
        copy is known by the whole id of its run. Called under the lock of `databases.making`.
        """
        message = "the bot ended right after the copy was made"
        if self._unlabelled(target, found) == task.run[:8]:
            label = DatabaseLabel(
                run=task.run,
                store=task.store,
                drill=task.drill,
                state=FAILED,
                message=message,
                backup=task.point.backup_id,
            )
            databases.write_label(target, found.name, label)
        return CopyStatus(state=CopyState.FAILED, message=message)

    def _moved(self, target: PostgresConnection, task: RestoreTask) -> FoundDatabase | None:
        """The copy of that run under another name: it was made the live one."""
        labelled = (one for one in databases.list_all(target) if one.label is not None and one.label.run == task.run)
        return next(labelled, None)

    def _check_ours(self, found: FoundDatabase, task: RestoreTask) -> None:
        if found.label is None and not found.comment:
            return
        if found.label is None or found.label.run != task.run:
            raise Rejected(
                f"Database {found.name} exists, and is not the copy of run {task.short_run}. Nothing was done. "
                "Rename or remove it.",
                code="not_ours",
            )

    def _guard(self, target: PostgresConnection, name: str) -> None:
        """Refuse the live one by its identity. One that does not answer cannot be on a server that does."""
        found = databases.find(target, name)
        if found is not None:
            databases.guard(found, self.live_identity(), databases.system_identifier(target))
        if name == self._where.database:
            raise Rejected(f"{name} is the name of the live database. Nothing was done.", code="live")

    def live_identity(self) -> LiveIdentity | None:
        """None when there is no live database, or its server does not answer."""
        try:
            with self._live.connect() as live:
                found = databases.find(live, self._where.database)
                if found is None:
                    return None
                return LiveIdentity(server=databases.system_identifier(live), oid=found.oid)
        except Rejected:
            return None

    def _restoring(self, task: RestoreTask, archive: str, how: str) -> Program:
        access = self._target.for_programs(self.name(task))
        options = ["--exit-on-error", "--no-subscriptions"]
        if how != "tar":  # Only one connection can read a tar.
            options += ["--jobs", str(self._where.jobs)]
        if not task.facts.get(OWNERS):
            options += ["--no-owner", "--no-privileges"]
        if task.facts.get(NO_TABLESPACES):
            options += ["--no-tablespaces"]
        if task.drill:
            options += ["--no-publications"]
        return Program(
            key=_key(task.run),
            argv=(self._client.path("pg_restore"), *options, "--dbname", access.address, archive),
            secrets=access.secrets,
            environment={**access.environment, "PGAPPNAME": _application(task.run)},
            time_limit=_RESTORED_WITHIN,
        )

    def _progress(
        self, target: PostgresConnection, found: FoundDatabase, label: DatabaseLabel, task: RestoreTask
    ) -> CopyStatus:
        programs, key = self._client.programs, _key(task.run)
        try:
            ended = programs.poll(key)
        except LookupError:
            if task.run in self._in_begin:
                return CopyStatus(state=CopyState.RUNNING, phase="fetching the archive")
            return self._orphan(target, found, task)
        if ended is None:
            return self._running(target, found, task)
        message = "" if ended.code == 0 else f"pg_restore failed: {self._client.reason(ended)}"
        databases.write_label(
            target, found.name, replace(label, state=FAILED if message else RESTORED, message=message)
        )
        programs.stop(key)
        self._archives.source.unpin(task.run)
        return self.look(task)

    def _orphan(self, target: PostgresConnection, found: FoundDatabase, task: RestoreTask) -> CopyStatus:
        """Nobody here knows of its pg_restore: another process runs it, or it died with the process that did."""
        if target.value(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND application_name = %s",
            [found.name, _application(task.run)],
        ):
            return self._running(target, found, task)
        now = databases.find(target, found.name)
        if now is not None and now.label != found.label:
            return self.look(task)  # It ended while it was looked at.
        return CopyStatus(
            state=CopyState.FAILED,
            message="pg_restore ended before the copy was complete, with the process of the bot that ran it",
        )

    def _running(self, target: PostgresConnection, found: FoundDatabase, task: RestoreTask) -> CopyStatus:
        rows = target.rows(
            "SELECT split_part(upper(ltrim(query)), ' ', 1) FROM pg_stat_activity WHERE datname = %s"
            " AND application_name = %s AND state = 'active'",
            [found.name, _application(task.run)],
        )
        phases = [_PHASES[word] for word in _PHASES if (word,) in rows]
        return CopyStatus(
            state=CopyState.RUNNING,
            phase=phases[0] if phases else "restoring",
            bytes_done=_size(target, found),
            bytes_total=size_in(task.facts),
        )


def _size(target: PostgresConnection, found: FoundDatabase) -> int:
    return int(target.value("SELECT pg_database_size(%s::bigint::oid)", [found.oid]) or 0)


def _key(run: str) -> str:
    return f"restore-{run}"


def _application(run: str) -> str:
    return f"vakhta-restore-{run[:8]}"
