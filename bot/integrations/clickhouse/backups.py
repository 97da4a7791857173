"""The engine of ClickHouse's own backups: BACKUP and RESTORE of one database, over HTTP.

The promise: a restore goes into a database of its own, what a status says is checked against the data, and whatever a
restart of the server or of the bot has cut off is found by the run's id.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

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
from bot.core.errors import Rejected
from bot.integrations.clickhouse.client import ClickHouseClient, compose, name, table_name, text
from bot.integrations.clickhouse.copies import ClickHouseCopies
from bot.integrations.clickhouse.cutover import ClickHouseCutover
from bot.integrations.clickhouse.inventory import ClickHouseInventory, newest_usable
from bot.integrations.clickhouse.isolation import readable_by_outsider
from bot.integrations.clickhouse.opened import BackupBroken, BackupReading
from bot.integrations.clickhouse.operations import Operations
from bot.integrations.clickhouse.replication import shards, unsettled_replicas
from bot.integrations.clickhouse.settings import ClickHouseSettings
from bot.integrations.clickhouse.site import (
    OWN_TABLES,
    SENTINEL_TABLE,
    ClickHouseSite,
    ClickHouseTable,
    moment_of,
    number_of,
)
from bot.integrations.clickhouse.verification import ClickHouseVerification
from bot.integrations.cutover import CutsOver

#: For statements that read whole tables.
_LONG = timedelta(hours=1)
_NEVER_RESTORED = "users, roles, grants, quotas, row policies, settings profiles and named collections"


class ClickHouseEngine(CutsOver):
    """Implements `CutoverEngine`, `BackupTaker` and `SentinelEngine` of `core.backup`."""

    title = "ClickHouse"

    def __init__(self, where: ClickHouseSettings, parts: EngineParts) -> None:
        client = ClickHouseClient(where.url, user=where.user, password=where.password, timeout=where.timeout)
        patient = ClickHouseClient(where.url, user=where.user, password=where.password, timeout=_LONG)
        self._site = ClickHouseSite(where=where, client=client, store=parts.store, now=parts.now, pause=parts.pause)
        self._operations = Operations(self._site)
        self._reading = BackupReading(self._site)
        self._inventory = ClickHouseInventory(self._site, self._operations, self._reading)
        self._copies = ClickHouseCopies(self._site, self._operations)
        self._cutover = ClickHouseCutover(self._site, self._copies.look)
        self._verification = ClickHouseVerification(self._site, self._reading, patient)

    def inventory(self) -> Inventory:
        return self._inventory.inventory()

    def preview(self, point: RestorePoint, *, drill: bool) -> RestorePreview:
        backup = self._choose(point)
        tables = self._site.tables(self._site.live)
        self._refuse_shared(tables)
        try:
            rows = self._reading.contents(backup.id).rows
        except BackupBroken as broken:
            message = f"The backup {backup.id} cannot be opened: {broken}."
            raise Rejected(f"{message} Nothing was done. Restore from another one.", code="not_usable") from None
        left_out = [one.name for one in tables if not one.holds_data and not one.name.startswith(".inner")]
        left_out = [one for one in left_out if one not in OWN_TABLES]
        return RestorePreview(
            backup_id=backup.id,
            data_at=backup.data_at,
            copy_name=f"database {self._site.copy_name('{run}')}",
            effect=tuple(self._effect(rows, drill=drill)),
            preconditions={"backup": f"{backup.id} of {backup.data_at.isoformat()}"},
            not_restored=tuple(_not_restored(tables, left_out)),
            moving=tuple(self._moving(tables, rows)),
            size_bytes=backup.size_bytes,
            needs_bytes=backup.size_bytes,
            free_bytes=self._free_bytes(),
            facts={
                "rows": json.dumps(dict(rows)),
                "left_out": json.dumps(left_out),
                "size": str(backup.size_bytes or ""),
                "data_at": backup.data_at.isoformat(),
            },
        )

    def begin(self, task: RestoreTask) -> None:
        self._copies.begin(task)

    def look(self, task: RestoreTask) -> CopyStatus:
        return self._copies.look(task)

    def verify(self, task: RestoreTask, checks: Sequence[Check], report: Report) -> Sequence[CheckResult]:
        return self._verification.verify(task, checks, report)

    def isolation_leak(self, task: RestoreTask) -> str:
        return readable_by_outsider(self._site, self._site.copy_name(task.short_run))

    def copies(self) -> Sequence[Copy]:
        return self._copies.copies()

    def remove(self, copy: Copy) -> None:
        self._copies.remove(copy)

    def begin_backup(self, run: str) -> None:
        if self._operations.of(_backup_id(run)) is None:
            self._site.client.change(
                f"BACKUP DATABASE {name(self._site.live)}{self._site.on_cluster}"
                f" TO {self._site.place_of(_backup_name(run))} SETTINGS id = {text(_backup_id(run))} ASYNC"
            )

    def look_backup(self, run: str) -> CopyStatus:
        operation = self._operations.of(_backup_id(run))
        if operation is None:
            return CopyStatus(state=CopyState.ABSENT)
        if not operation.ended and not operation.cut_off:
            return CopyStatus(state=CopyState.RUNNING, phase="backing up", bytes_total=operation.total_size or None)
        if operation.cut_off:
            return CopyStatus(state=CopyState.FAILED, message="The server was restarted inside of this backup.")
        if operation.status != "BACKUP_CREATED":
            return CopyStatus(state=CopyState.FAILED, message=operation.error or operation.status)
        try:
            self._reading.contents(_backup_name(run))
        except BackupBroken as broken:
            return CopyStatus(state=CopyState.FAILED, message=f"It was made, and cannot be opened: {broken}")
        size = operation.total_size
        return CopyStatus(state=CopyState.RESTORED, message=_backup_name(run), bytes_done=size, bytes_total=size)

    def write_sentinel(self, token: str) -> None:
        """In a table of the bot's own in the live database, which forgets its rows after 90 days."""
        table = table_name(self._site.live, SENTINEL_TABLE)
        self._site.client.change(
            f"CREATE TABLE IF NOT EXISTS {table} (token String, at DateTime64(3, 'UTC'))"
            " ENGINE = MergeTree ORDER BY token TTL toDateTime(at) + INTERVAL 90 DAY"
        )
        at = self._site.now().astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
        row = f"({text(token)}, {text(at)})"
        self._site.client.change(compose("INSERT INTO <table> VALUES <row>", table=table, row=row))

    def read_sentinels(self, task: RestoreTask) -> Mapping[str, datetime]:
        copy = self._site.copy_name(task.short_run)
        if not any(table.name == SENTINEL_TABLE for table in self._site.tables(copy)):
            return {}
        table = table_name(copy, SENTINEL_TABLE)
        sql = compose("SELECT token, toFloat64(at) AS moment FROM <table>", table=table)
        return {str(row["token"]): moment_of(row["moment"]) for row in self._site.client.rows(sql)}

    def _choose(self, point: RestorePoint) -> Backup:
        if point.at is not None and point.at > self._site.now():
            raise Rejected("That time is in the future. Nothing was done. Ask for `latest`.", code="future")
        inventory = self._inventory.inventory()
        if inventory.blockers:
            raise Rejected(f"{inventory.blockers[0]} Nothing was done.", code="blocked")
        if point.backup_id:
            backup = next((one for one in inventory.backups if one.id == point.backup_id), None)
        else:
            backup = newest_usable(inventory.backups, point.at)
        if backup is None:
            asked = point.backup_id or (f"of {point.at:%Y-%m-%d %H:%M} UTC or before" if point.at else "that is usable")
            raise Rejected(f"There is no backup {asked}. Nothing was done. See `backups`.", code="no_such_backup")
        if not backup.usable:
            message = f"The backup {backup.id} cannot be used: {backup.problem}."
            raise Rejected(f"{message} Nothing was done. Restore from another one.", code="not_usable")
        return backup

    def _refuse_shared(self, tables: Sequence[ClickHouseTable]) -> None:
        shared = [one.name for one in tables if one.shares_replication]
        if shared:
            raise Rejected(
                f"The replication path of {', '.join(shared[:5])} has no {{uuid}}, so a copy would become a replica of"
                " the live table. Nothing was done. Restore it on another server, or make the table anew with {uuid}.",
                code="replica_path",
            )
        if behind := unsettled_replicas(self._site, self._site.live):
            raise Rejected(
                f"A replica is not settled: {'; '.join(behind[:3])}. Nothing was done."
                " Wait until the replicas have caught up, or repair them.",
                code="replicas",
            )

    def _effect(self, rows: Mapping[str, int], *, drill: bool) -> Iterator[str]:
        count = sum(rows.values())
        yield f"RESTORE of {len(rows)} tables with {count:,} rows, and small ones of other engines, beside the live one"
        if (parts := shards(self._site)) > 1:
            yield f"This is 1 of {parts} shards; the others are not restored."
        if drill:
            yield "Only users with rights on all databases can read the copy."

    def _moving(self, tables: Sequence[ClickHouseTable], rows: Mapping[str, int]) -> Iterator[str]:
        live = {one.name: one.rows for one in tables if one.holds_data and one.rows is not None}
        for table in sorted(set(live) | set(rows)):
            if live.get(table) != rows.get(table):
                yield f"{table}: {live.get(table, 'no table')} rows live, {rows.get(table, 'no table')} in the backup"

    def _free_bytes(self) -> int | None:
        """Of the fullest disk that the live one uses, or of the default one."""
        sql = (
            "SELECT min(free_space) AS free FROM system.disks WHERE name IN"
            " (SELECT disk_name FROM system.parts WHERE database = {live:String} AND active) OR name = 'default'"
        )
        free = self._site.client.value(sql, {"live": self._site.live})
        return int(number_of(free)) if free else None


def _not_restored(tables: Sequence[ClickHouseTable], left_out: Sequence[str]) -> Iterator[str]:
    yield _NEVER_RESTORED
    kinds = {one.name: one.engine for one in tables}
    for one in left_out:
        yield f"{one} ({kinds[one]})"
    if any(one.name.startswith(".inner") for one in tables):
        yield "the data that materialized views keep in inner tables"


def _backup_id(run: str) -> str:
    return f"vakhta-backup-{run}"


def _backup_name(run: str) -> str:
    return f"vakhta-{run[:8]}"
