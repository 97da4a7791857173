"""The checks of a restored copy: every table is counted, checked, and read, and compared with the backup itself.

Small tables of the Log family are counted like all others: their backups can come back empty on several versions
(https://github.com/ClickHouse/ClickHouse/pull/119722), and the backup cannot be opened for them; so they are compared
with the live ones, which may only have grown or shrunk since.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial

from bot.core.backup import Check, CheckResult, Report, RestoreTask
from bot.core.backup_checks import run_check
from bot.core.errors import OutcomeUnknown, Rejected
from bot.integrations.clickhouse.client import ClickHouseClient, compose, table_name
from bot.integrations.clickhouse.copies import rows_expected
from bot.integrations.clickhouse.opened import BackupBroken, BackupReading
from bot.integrations.clickhouse.replication import shards, unsettled_replicas
from bot.integrations.clickhouse.site import ClickHouseSite, ClickHouseTable

#: Tables with more rows are not read a second time from the backup for their checksum.
_SUMMED_ROWS = 50_000_000


class ClickHouseVerification:
    """Of the copies of one store."""

    def __init__(self, site: ClickHouseSite, reading: BackupReading | None, patient: ClickHouseClient) -> None:
        """`reading`: None where backups cannot be opened; `patient`: a client that waits for long statements."""
        self._site = site
        self._reading = reading
        self._patient = patient

    def verify(self, task: RestoreTask, checks: Sequence[Check], report: Report) -> Sequence[CheckResult]:
        """As `core.backup.Restorer`."""
        copy = self._site.copy_name(task.short_run)
        tables = [table for table in self._site.tables(copy) if table.holds_data]
        results = [_scope(shards(self._site))]
        results += self._counts(task, copy, tables, report)
        for number, table in enumerate(tables, 1):
            report(f"checking table {number} of {len(tables)}: {table.name}")
            results.append(_tried(f"CHECK TABLE {table.name}", partial(self._check_parts, copy, table)))
        if self._reading is not None:
            report("comparing checksums with the backup")
            results += self._checksums(task, copy, tables, self._reading)
        results.append(_tried("replicas", partial(self._replicas, copy)))
        results += self._same_everywhere(copy, tables)
        results += [self._asked(check, copy, _moment(task)) for check in checks]
        return results

    def _counts(
        self, task: RestoreTask, copy: str, tables: Sequence[ClickHouseTable], report: Report
    ) -> Iterator[CheckResult]:
        expected, there = rows_expected(task), {table.name for table in tables}
        for missing in sorted(set(expected) - there):
            yield CheckResult(name=f"rows of {missing}", expected=str(expected[missing]), got="no such table", ok=False)
        for table in tables:
            report(f"counting {table.name}")
            yield _tried(f"rows of {table.name}", partial(self._count, copy, table, expected))

    def _count(self, copy: str, table: ClickHouseTable, expected: Mapping[str, int]) -> CheckResult:
        got = int(self._patient.value(compose("SELECT count() FROM <table>", table=table_name(copy, table.name))))
        called = f"rows of {table.name}"
        if table.name in expected:
            wanted = expected[table.name]
            return CheckResult(name=called, expected=f"{wanted} (backup)", got=str(got), ok=got == wanted)
        live = {one.name for one in self._site.tables(self._site.live)}
        if table.name not in live:
            return CheckResult(name=called, expected="any (the live one has no such table)", got=str(got), ok=True)
        theirs = table_name(self._site.live, table.name)
        rows = int(self._patient.value(compose("SELECT count() FROM <table>", table=theirs)))
        return CheckResult(name=called, expected=f"some of {rows} (live)", got=str(got), ok=got > 0 or rows == 0)

    def _check_parts(self, copy: str, table: ClickHouseTable) -> CheckResult:
        sql = f"CHECK TABLE {table_name(copy, table.name)} SETTINGS check_query_single_value_result = 0"
        try:
            rows = self._patient.rows(sql)
        except Rejected as refused:
            if refused.code == "48":  # NOT_IMPLEMENTED: the engine Memory has nothing to check.
                return CheckResult(name=f"CHECK TABLE {table.name}", expected="no damage", got="not checked", ok=True)
            raise
        bad = [f"{row['part_path']}: {row['message']}" for row in rows if str(row["is_passed"]) not in ("1", "True")]
        got = "; ".join(bad[:3]) or f"{len(rows)} parts without damage"
        return CheckResult(name=f"CHECK TABLE {table.name}", expected="no damage", got=got, ok=not bad)

    def _checksums(
        self, task: RestoreTask, copy: str, tables: Sequence[ClickHouseTable], reading: BackupReading
    ) -> Sequence[CheckResult]:
        """The sum of the hashes of all rows, here and in the backup itself."""
        known = rows_expected(task)
        summed = [one for one in tables if one.is_merge_tree and one.name in known and known[one.name] <= _SUMMED_ROWS]
        try:
            with reading.open(task.point.backup_id) as backup:
                return [
                    _tried(f"checksum of {one.name}", partial(self._checksum, copy, backup, one.name)) for one in summed
                ]
        except (BackupBroken, Rejected, OutcomeUnknown) as error:
            why = f"the backup could not be opened: {error}"
            return [CheckResult(name="checksums", expected="the backup's", got=why, ok=False)]

    def _checksum(self, copy: str, backup: str, table: str) -> CheckResult:
        got, wanted = (
            self._patient.value(
                compose("SELECT toString(sum(cityHash64(*))) FROM <table>", table=table_name(database, table))
            )
            for database in (copy, backup)
        )
        return CheckResult(name=f"checksum of {table}", expected=f"{wanted} (backup)", got=got, ok=got == wanted)

    def _replicas(self, copy: str) -> CheckResult:
        behind = unsettled_replicas(self._site, copy)
        got = "; ".join(behind[:3]) or "settled, or not replicated"
        return CheckResult(name="replicas", expected="writable, none behind", got=got, ok=not behind)

    def _same_everywhere(self, copy: str, tables: Sequence[ClickHouseTable]) -> Iterator[CheckResult]:
        """Each replicated table has the same rows on every replica of its shard."""
        if not self._site.where.cluster:
            return
        for table in tables:
            if table.engine.startswith("Replicated"):
                yield _tried(f"{table.name} on all replicas", partial(self._counted_on_all, copy, table))

    def _counted_on_all(self, copy: str, table: ClickHouseTable) -> CheckResult:
        rows = self._patient.rows(
            compose(
                "SELECT hostName() AS host, _shard_num AS shard, count() AS n FROM <table>"
                " GROUP BY host, shard ORDER BY host",
                table=self._site.everywhere(table_name(copy, table.name)),
            )
        )
        counts: dict[str, set[str]] = {}
        for row in rows:
            counts.setdefault(str(row["shard"]), set()).add(str(row["n"]))
        got = ", ".join(f"{row['host']} {row['n']}" for row in rows)
        ok = bool(rows) and all(len(same) == 1 for same in counts.values())
        return CheckResult(name=f"{table.name} on all replicas", expected="the same count", got=got, ok=ok)

    def _asked(self, check: Check, copy: str, data_at: datetime | None) -> CheckResult:
        return run_check(
            check,
            lambda query: self._patient.value(query, database=copy),
            ask_live=lambda query: self._patient.value(query, database=self._site.live),
            data_at=data_at,
        )


def _scope(count: int) -> CheckResult:
    got = f"1 of {count} shards" if count > 1 else "the whole database"
    return CheckResult(name="scope", expected="told", got=got, ok=True)


def _moment(task: RestoreTask) -> datetime | None:
    with suppress(KeyError, ValueError):
        return datetime.fromisoformat(task.facts["data_at"])
    return None


def _tried(called: str, make: Callable[[], CheckResult]) -> CheckResult:
    """A check that cannot be made is not ok, and says why."""
    try:
        return make()
    except Rejected as refused:
        return CheckResult(name=called, expected="an answer", got=refused.message, ok=False)
