"""The engine of backups that clickhouse-backup makes.

The promise: it restores into a database of its own alone. Without a mapping, clickhouse-backup drops the tables that
exist and makes them anew, so nothing is asked of it without one. Only tables of the MergeTree family are asked for:
of others it restores definitions without data, and a restored Kafka table or view would work at once.

What became of an operation is told by its record, and after a restart of clickhouse-backup (no record) by the data.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta

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
from bot.integrations.clickhouse.client import ClickHouseClient, name, text
from bot.integrations.clickhouse.copies import ClickHouseCopies
from bot.integrations.clickhouse.cutover import ClickHouseCutover
from bot.integrations.clickhouse.inventory import newest_usable
from bot.integrations.clickhouse.isolation import readable_by_outsider
from bot.integrations.clickhouse.operations import Operations
from bot.integrations.clickhouse.settings import ClickHouseSettings
from bot.integrations.clickhouse.site import ClickHouseSite, as_numbers, label_of, read_label
from bot.integrations.clickhouse.verification import ClickHouseVerification
from bot.integrations.clickhouse_backup.client import ClickHouseBackupApi, RemoteBackup, RestAction, in_path
from bot.integrations.clickhouse_backup.settings import ClickHouseBackupSettings
from bot.integrations.cutover import CutsOver

_LONG = timedelta(hours=1)
_STOPPED_WITHIN = timedelta(minutes=2)
_POLL = timedelta(seconds=2)
_NEVER_RESTORED = "users, roles, grants, quotas, row policies, settings profiles and named collections"


class ClickHouseBackupEngine(CutsOver):
    """Implements `CutoverEngine` and `BackupTaker` of `core.backup`."""

    title = "clickhouse-backup"

    def __init__(self, where: ClickHouseBackupSettings, parts: EngineParts) -> None:
        self._where = where
        self._api = ClickHouseBackupApi(where)
        server = ClickHouseSettings(
            url=where.server,
            user=where.server_user,
            password=where.server_password,
            database=where.database,
            outsider=where.outsider,
            outsider_password=where.outsider_password,
        ).model_copy(update={"timeout": where.timeout})
        client, patient = (
            ClickHouseClient(where.server, user=where.server_user, password=where.server_password, timeout=limit)
            for limit in (where.timeout, _LONG)
        )
        self._site = ClickHouseSite(where=server, client=client, store=parts.store, now=parts.now, pause=parts.pause)
        self._copies = ClickHouseCopies(self._site, Operations(self._site))
        self._cutover = ClickHouseCutover(self._site, self.look)
        self._verification = ClickHouseVerification(self._site, None, patient)

    def inventory(self) -> Inventory:
        found = {one.name: one for one in self._api.remote()}
        running = [one.command for one in self._api.actions() if one.status == "in progress"]
        backups = [self._judge(one, found, running) for one in found.values()]
        return Inventory(backups=tuple(sorted(backups, key=lambda one: one.data_at, reverse=True)))

    def preview(self, point: RestorePoint, *, drill: bool) -> RestorePreview:  # noqa: ARG002 (of the protocol)
        backup = self._choose(point)
        tables = self._site.tables(self._site.live)
        shared = [one.name for one in tables if one.shares_replication]
        if shared:
            raise Rejected(
                f"The replication path of {', '.join(shared[:5])} has no {{uuid}}, so a copy would become a replica of"
                " the live table. Nothing was done. Restore it on another server.",
                code="replica_path",
            )
        wanted = {one.name: one.rows or 0 for one in tables if one.is_merge_tree and one.holds_data}
        left_out = [one for one in tables if one.name not in wanted and not one.name.startswith(".inner")]
        rows = sum(wanted.values())
        return RestorePreview(
            backup_id=backup.id,
            data_at=backup.data_at,
            copy_name=f"database {self._site.copy_name('{run}')}",
            effect=(
                f"restore_remote of {len(wanted) or 'all'} tables into a database of its own, on this server alone"
                + (f" (1 of {self._where.shards} shards)" if self._where.shards > 1 else ""),
                "The downloaded backup stays on the server's disk: `clickhouse-backup delete local` removes it.",
            ),
            preconditions={"made": f"{backup.id} of {backup.data_at.isoformat()}"},
            not_restored=(_NEVER_RESTORED, *(f"{one.name} ({one.engine})" for one in left_out)),
            moving=(f"{rows:,} rows in {len(wanted)} tables live now",),
            size_bytes=backup.size_bytes,
            # It is downloaded, and its parts are then linked or copied.
            needs_bytes=2 * backup.size_bytes if backup.size_bytes else None,
            free_bytes=self._free_bytes(),
            facts={"live_rows": json.dumps(wanted), "data_at": backup.data_at.isoformat()},
        )

    def begin(self, task: RestoreTask) -> None:
        copy = self._site.copy_name(task.short_run)
        if self._action(self._restore_command(task)) is not None:
            return
        comment = self._site.comment_of(copy)
        label = read_label(comment)
        if comment is not None and (label is None or label.run != task.run):
            raise Conflict(f"There is a database {copy} that is not ours. Nothing was done.")
        if label is not None and self._site.tables(copy):
            return  # It was begun, and is forgotten by a restart: `look` tells what is there.
        if comment is None:
            written = label_of(task, self._site.store, self._site.now()).written()
            self._site.client.change(f"CREATE DATABASE {name(copy)} ENGINE = Atomic COMMENT {text(written)}")
        self._api.start(f"/backup/restore_remote/{in_path(task.point.backup_id)}", self._restore_query(task))

    def look(self, task: RestoreTask) -> CopyStatus:
        copy = self._site.copy_name(task.short_run)
        action = self._action(self._restore_command(task))
        if action is not None and action.status == "in progress":
            return CopyStatus(state=CopyState.RUNNING, phase="downloading and attaching parts")
        if action is not None and action.status != "success":
            return CopyStatus(state=CopyState.FAILED, message=f"{self.title}: {action.error or action.status}")
        tables = {one.name: one.rows or 0 for one in self._site.tables(copy)}
        if not tables:
            gone = "It reported success, and there is nothing." if action else ""
            return CopyStatus(state=CopyState.FAILED if action else CopyState.ABSENT, message=gone)
        return self._judge_data(task, tables, forgotten=action is None)

    def verify(self, task: RestoreTask, checks: Sequence[Check], report: Report) -> Sequence[CheckResult]:
        results = [one for one in self._verification.verify(task, checks, report) if one.name != "scope"]
        of = f"1 of {self._where.shards} shards" if self._where.shards > 1 else "the whole database"
        return [CheckResult(name="scope", expected="told", got=of, ok=True), *results]

    def isolation_leak(self, task: RestoreTask) -> str:
        return readable_by_outsider(self._site, self._site.copy_name(task.short_run))

    def copies(self) -> Sequence[Copy]:
        return self._copies.copies()

    def remove(self, copy: Copy) -> None:
        mapping = f":{copy.name}"
        until = self._site.now() + _STOPPED_WITHIN
        while running := [one for one in self._api.actions() if one.status == "in progress" and mapping in one.command]:
            if self._site.now() >= until:
                message = f"The restore into {copy.name} still runs, and did not end when it was told to."
                raise Rejected(f"{message} Nothing was removed. Try again later.", code="running")
            self._api.kill(running[0].command)
            self._site.pause(_POLL)
        self._copies.remove(copy)

    def begin_backup(self, run: str) -> None:
        if self.look_backup(run).state is CopyState.ABSENT:
            query = [("table", f"{self._site.live}.*"), ("name", _backup_name(run))]
            self._api.start("/backup/create_remote", query)

    def look_backup(self, run: str) -> CopyStatus:
        made = _backup_name(run)
        action = self._action(f'create_remote --tables="{self._site.live}.*" {made}')
        if action is not None and action.status == "in progress":
            return CopyStatus(state=CopyState.RUNNING, phase="backing up and uploading")
        if action is not None and action.status != "success":
            return CopyStatus(state=CopyState.FAILED, message=f"{self.title}: {action.error or action.status}")
        found = next((one for one in self.inventory().backups if one.id == made), None)
        if found is None:
            missing = "It reported success, and the remote storage does not list it." if action else ""
            return CopyStatus(state=CopyState.FAILED if action else CopyState.ABSENT, message=missing)
        if not found.usable:
            return CopyStatus(state=CopyState.FAILED, message=f"{made} is there, and cannot be used: {found.problem}")
        return CopyStatus(state=CopyState.RESTORED, message=made, bytes_done=found.size_bytes)

    def _judge(self, one: RemoteBackup, found: Mapping[str, RemoteBackup], running: Sequence[str]) -> Backup:
        making = any(command.split(" ")[0] in ("create_remote", "upload") and _named(command) == one.name
                     for command in running)  # fmt: skip
        problem = "it is still being uploaded" if making else _problem_of(one, found)
        skipped = f"parts that are broken are skipped silently (max_broken_part_ratio {self._where.broken_parts:g})"
        return Backup(
            id=one.name,
            data_at=one.created,
            finished_at=None if making else one.created,
            size_bytes=one.size or None,
            problem=problem,
            damage=skipped if self._where.broken_parts else "",
            kind="incremental" if one.required else "full",
        )

    def _choose(self, point: RestorePoint) -> Backup:
        if point.at is not None and point.at > self._site.now():
            raise Rejected("That time is in the future. Nothing was done. Ask for `latest`.", code="future")
        backups = self.inventory().backups
        asked = next((one for one in backups if one.id == point.backup_id), None)
        backup = asked if point.backup_id else newest_usable(backups, point.at)
        if backup is None:
            called = point.backup_id or (
                f"of {point.at:%Y-%m-%d %H:%M} UTC or before" if point.at else "that is usable"
            )
            raise Rejected(f"There is no backup {called}. Nothing was done. See `backups`.", code="no_such_backup")
        if not backup.usable:
            message = f"The backup {backup.id} cannot be used: {backup.problem}."
            raise Rejected(f"{message} Nothing was done. Restore from another one.", code="not_usable")
        return backup

    def _judge_data(self, task: RestoreTask, tables: Mapping[str, int], *, forgotten: bool) -> CopyStatus:
        """After a restart, nothing but the rows that the live one had at the plan shows that no part is missing."""
        expected = as_numbers(json.loads(task.facts.get("live_rows", "{}")))
        missing = [one for one in expected if one not in tables]
        empty = [one for one, rows in expected.items() if rows and one in tables and not tables[one]]
        if missing or empty:
            parts = [f"{one} is missing" for one in missing] + [f"{one} is empty" for one in empty]
            message = f"The copy is not complete: {'; '.join(parts[:5])}. Remove it, then restore again."
            return CopyStatus(state=CopyState.FAILED, message=message)
        if forgotten and any(tables[one] != rows for one, rows in expected.items()):
            message = f"{self.title} was restarted, and nothing shows that the copy is complete: its rows differ"
            return CopyStatus(
                state=CopyState.FAILED, message=f"{message} from the live ones. Remove it, then restore again."
            )
        found = "found complete by its rows, after a restart" if forgotten else ""
        return CopyStatus(state=CopyState.RESTORED, message=found)

    def _action(self, command: str) -> RestAction | None:
        return next((one for one in self._api.actions() if one.command == command), None)

    def _tables_of(self, task: RestoreTask) -> str:
        names = json.loads(task.facts.get("live_rows", "{}"))
        return ",".join(f"{self._site.live}.{one}" for one in sorted(names)) or f"{self._site.live}.*"

    def _mapping(self, task: RestoreTask) -> str:
        return f"{self._site.live}:{self._site.copy_name(task.short_run)}"

    def _restore_query(self, task: RestoreTask) -> Sequence[tuple[str, str]]:
        return [("table", self._tables_of(task)), ("restore_database_mapping", self._mapping(task))]

    def _restore_command(self, task: RestoreTask) -> str:
        """The text under which it is recorded. The copy's name is in it, so no other restore has the same."""
        tables, mapping = self._tables_of(task), self._mapping(task)
        return f'restore_remote --tables="{tables}" --restore-database-mapping="{mapping}" {task.point.backup_id}'

    def _free_bytes(self) -> int | None:
        free = self._site.client.value("SELECT min(free_space) AS free FROM system.disks WHERE name = 'default'")
        return int(free) if free else None


def _problem_of(one: RemoteBackup, found: Mapping[str, RemoteBackup]) -> str:
    if one.description.startswith("broken"):
        return f"{one.description}"
    seen = {one.name}
    for base in _bases(one, found):
        if isinstance(base, str):
            return f"the backup {base} that it needs is gone"
        if base.name in seen:
            return f"the chain of what it needs comes back to {base.name}"
        if base.description.startswith("broken"):
            return f"the backup {base.name} that it needs is {base.description}"
        seen.add(base.name)
    return ""


def _bases(one: RemoteBackup, found: Mapping[str, RemoteBackup]) -> Iterator[RemoteBackup | str]:
    """What it needs, one after the other; a name for one that is gone."""
    while one.required:
        if one.required not in found:
            yield one.required
            return
        one = found[one.required]
        yield one


def _named(command: str) -> str:
    return command.rpartition(" ")[2]


def _backup_name(run: str) -> str:
    return f"vakhta-{run[:8]}"
