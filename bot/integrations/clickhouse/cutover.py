"""Cutover: EXCHANGE TABLES of each table with its copy, and back; each step is found by the tables' UUIDs.

An exchange is atomic for one table and only in an Atomic database. Views, materialized views and dictionaries are bound
to tables by name, so they stay and go on with the new tables. Nothing stops a writer: an INSERT that runs during the
exchange ends in the table that it began with, which is the old one afterwards; its rows are counted and told.

Which UUID was whose is written to a table of the bot's own in the copy's database before the first exchange, with a
print of each table (its rows, and the last block of each partition), by which later writes are found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from bot.core.backup import CopyState, CopyStatus, CutoverPreview, CutoverState, CutoverStatus, Report, RestoreTask
from bot.core.errors import Conflict, Rejected
from bot.integrations.clickhouse.client import compose, name, table_name, text
from bot.integrations.clickhouse.replication import unsettled_replicas
from bot.integrations.clickhouse.site import (
    CUTOVER_TABLE,
    OWN_TABLES,
    ClickHouseSite,
    ClickHouseTable,
    read_label,
)

_NO_UUID = "00000000-0000-0000-0000-000000000000"


@dataclass(frozen=True, kw_only=True, slots=True)
class TablePair:
    """A table and its copy, as they were before the exchange. `live_uuid` is "" where the live one did not exist."""

    table: str
    live_uuid: str
    copy_uuid: str
    live_print: str
    copy_print: str


class ClickHouseCutover:
    """Implements the cutover of `core.backup.CutoverEngine` for one store."""

    def __init__(self, site: ClickHouseSite, look: Callable[[RestoreTask], CopyStatus]) -> None:
        """`look`: how a copy stands."""
        self._site = site
        self._look_at = look

    def preview(self, task: RestoreTask) -> CutoverPreview:
        copy = self._site.copy_name(task.short_run)
        status = self._look_at(task)
        label = read_label(self._site.comment_of(copy))
        if label is not None and label.cutover:
            raise Rejected(f"{copy} was swapped with the live one already. Nothing was done.", code="is_live")
        if status.state is not CopyState.RESTORED:
            message = f"The copy is {status.state}: {status.message or 'it is not complete'}."
            raise Rejected(f"{message} Nothing was done.", code="not_restored")
        self._refuse_engine(copy)
        live = self._tables(self._site.live)
        swapped = self._tables(copy)
        self._refuse_unsettled(copy)
        stays = sorted(one.name for one in self._site.tables(self._site.live) if one.name not in swapped)
        shown = ", ".join(sorted(swapped))
        effect = [f"EXCHANGE TABLES, one after the other: {shown}"]
        if new := sorted(set(swapped) - set(live)):
            effect.append(f"These do not exist in {self._site.live} and are moved there: {', '.join(new)}")
        if left := [one for one in stays if one not in OWN_TABLES]:
            effect.append(f"These stay as they are: {', '.join(left)}")
        effect.append("Between the first and the last exchange, clients see old and new tables side by side.")
        effect.append("Writers are not stopped: an INSERT that has begun ends in the old table. Stop them before.")
        return CutoverPreview(
            live=self._site.live,
            old_name=self._site.copy_name("{run}"),
            effect=tuple(effect),
            preconditions={one.name: one.uuid for one in live.values()},
            moving=tuple(self._writers()),
        )

    def cut_over(self, task: RestoreTask, cutover_run: str, report: Report) -> None:
        copy = self._site.copy_name(task.short_run)
        pairs = self._pairs(copy, cutover_run) or self._note_pairs(task, copy, cutover_run)
        live = self._tables(self._site.live)
        for number, pair in enumerate(pairs, 1):
            there = live[pair.table].uuid if pair.table in live else ""
            if there == pair.copy_uuid:
                continue
            if there != pair.live_uuid:
                message = f"{self._site.live}.{pair.table} was replaced by a third table since the plan."
                raise Conflict(f"{message} {number - 1} of {len(pairs)} tables are exchanged.")
            report(f"exchanging table {number} of {len(pairs)}: {pair.table}")
            self._swap(copy, pair)
        late = self._mark_old(copy, cutover_run, pairs)
        if late:
            report(f"rows were written to the old tables during the exchange: {', '.join(late)}")

    def look(self, task: RestoreTask, cutover_run: str) -> CutoverStatus:
        copy = self._site.copy_name(task.short_run)
        pairs = self._pairs(copy, cutover_run)
        live = self._tables(self._site.live)
        done = [pair.table for pair in pairs if pair.table in live and live[pair.table].uuid == pair.copy_uuid]
        if not done:
            return CutoverStatus(state=CutoverState.OLD)
        if len(done) < len(pairs):
            left = ", ".join(pair.table for pair in pairs if pair.table not in done)
            message = f"{len(done)} of {len(pairs)} tables are exchanged, not yet: {left}. Clients see both kinds."
            return CutoverStatus(state=CutoverState.PARTIAL, message=message)
        if not self._marks(copy, cutover_run):
            return CutoverStatus(state=CutoverState.PARTIAL, message="All tables are exchanged; it is not noted yet.")
        return CutoverStatus(state=CutoverState.NEW)

    def undo_refusal(self, task: RestoreTask, cutover_run: str) -> str:
        copy = self._site.copy_name(task.short_run)
        pairs, marks = self._pairs(copy, cutover_run), self._marks(copy, cutover_run)
        old, live = self._tables(copy), self._tables(self._site.live)
        if not pairs:
            return f"The old tables are gone: {copy} does not exist, or holds nothing of that cutover."
        for pair in pairs:
            back = pair.table in live and live[pair.table].uuid == pair.live_uuid
            if pair.live_uuid and not back and (pair.table not in old or old[pair.table].uuid != pair.live_uuid):
                return f"The old table {pair.table} is gone from {copy}."
        swapped = [pair for pair in pairs if pair.table in live and live[pair.table].uuid == pair.copy_uuid]
        prints_new = self._prints(self._site.live)
        prints_old = self._prints(copy)
        new = [one.table for one in swapped if prints_new.get(one.table) != one.copy_print]
        since = [one.table for one in swapped if one.table in marks and prints_old.get(one.table) != marks[one.table]]
        if new and since:
            return (
                f"Both have been written since the cutover: the new {', '.join(new)}, the old {', '.join(since)}."
                " Copy the rows over by hand first."
            )
        return ""

    def undo(self, task: RestoreTask, cutover_run: str, report: Report) -> None:
        if why := self.undo_refusal(task, cutover_run):
            raise Rejected(f"{why} Nothing was done.", code="undo_refused")
        copy = self._site.copy_name(task.short_run)
        live = self._tables(self._site.live)
        pairs = self._pairs(copy, cutover_run)
        for number, pair in enumerate(pairs, 1):
            if pair.table in live and live[pair.table].uuid == pair.copy_uuid:
                report(f"bringing back table {number} of {len(pairs)}: {pair.table}")
                self._swap(copy, pair, back=True)
        self._label(copy, "")

    def remove_old(self, task: RestoreTask, cutover_run: str) -> None:
        copy = self._site.copy_name(task.short_run)
        comment = self._site.comment_of(copy)
        if comment is None:
            return
        label = read_label(comment)
        if label is None or label.run != task.run or label.cutover != cutover_run:
            raise Rejected(f"{copy} does not hold what that cutover replaced. Nothing was removed.", code="not_ours")
        if self.look(task, cutover_run).state is not CutoverState.NEW:
            raise Rejected(f"{copy} is in use: the cutover is not complete. Nothing was removed.", code="in_use")
        try:
            self._site.client.change(f"DROP DATABASE IF EXISTS {name(copy)}{self._site.on_cluster} SYNC")
        except Rejected as refused:
            if refused.code != "359":  # TABLE_SIZE_EXCEEDS_MAX_DROP_SIZE_LIMIT
                raise
            message = f"A table of {copy} is larger than the server's max_table_size_to_drop."
            advice = "Raise that limit or make the file flags/force_drop_table there, then ask again."
            raise Rejected(f"{message} It was not removed, others may be. {advice}", code="drop_limit") from None

    def _refuse_engine(self, copy: str) -> None:
        sql = "SELECT name, engine FROM system.databases WHERE name IN ({live:String}, {copy:String})"
        for row in self._site.client.rows(sql, {"live": self._site.live, "copy": copy}):
            if row["engine"] not in ("Atomic", "Replicated"):
                message = f"The database {row['name']} has the engine {row['engine']}, which cannot exchange tables."
                raise Rejected(f"{message} Nothing was done. Move its tables into an Atomic database.", code="engine")

    def _refuse_unsettled(self, copy: str) -> None:
        behind = [*unsettled_replicas(self._site, self._site.live), *unsettled_replicas(self._site, copy)]
        if behind:
            raise Rejected(
                f"A replica is not settled: {'; '.join(behind[:3])}. Nothing was done."
                " Wait until the replicas have caught up, or repair them.",
                code="replicas",
            )
        many = [row for row in self._replicated() if int(str(row["total_replicas"])) > 1]
        if many and not self._site.where.cluster:
            message = (
                f"{many[0]['table']} has {many[0]['total_replicas']} replicas, and an exchange changes one server."
            )
            raise Rejected(f"{message} Nothing was done. Set `cluster`, so that all are changed.", code="replicas")

    def _replicated(self) -> Sequence[Mapping[str, object]]:
        sql = "SELECT table, total_replicas FROM system.replicas WHERE database = {live:String} ORDER BY table"
        return self._site.client.rows(sql, {"live": self._site.live})

    def _writers(self) -> Iterator[str]:
        rows = self._site.client.rows(
            compose(
                "SELECT user, count() AS n FROM <processes>"
                " WHERE query_kind IN ('Insert', 'AsyncInsertFlush') AND (current_database = {live:String}"
                " OR position(query, {live:String}) > 0) GROUP BY user ORDER BY user",
                processes=self._site.everywhere("system.processes"),
            ),
            {"live": self._site.live},
        )
        for row in rows:
            yield f"{row['user']} runs {row['n']} INSERTs now"

    def _tables(self, database: str) -> Mapping[str, ClickHouseTable]:
        return {table.name: table for table in self._site.tables(database) if table.holds_data}

    def _swap(self, copy: str, pair: TablePair, *, back: bool = False) -> None:
        ours, theirs = f"{name(copy)}.{name(pair.table)}", f"{name(self._site.live)}.{name(pair.table)}"
        if pair.live_uuid:
            self._site.client.change(f"EXCHANGE TABLES {theirs} AND {ours}{self._site.on_cluster}")
        else:
            source, target = (theirs, ours) if back else (ours, theirs)
            self._site.client.change(f"RENAME TABLE {source} TO {target}{self._site.on_cluster}")

    def _note_pairs(self, task: RestoreTask, copy: str, cutover_run: str) -> Sequence[TablePair]:
        """Write down which table is whose, before anything is exchanged."""
        if self._look_at(task).state is not CopyState.RESTORED:
            raise Conflict("The copy is not complete any more. Nothing was done.")
        live, ours = self._tables(self._site.live), self._tables(copy)
        prints, prints_of_copy = self._prints(self._site.live), self._prints(copy)
        if any(table.uuid == _NO_UUID for table in (*live.values(), *ours.values())):
            raise Rejected("A table has no UUID, so an exchange could not be found again. Nothing was done.")
        pairs = [
            TablePair(
                table=table,
                live_uuid=live[table].uuid if table in live else "",
                copy_uuid=ours[table].uuid,
                live_print=prints.get(table, ""),
                copy_print=prints_of_copy.get(table, ""),
            )
            for table in sorted(ours)
        ]
        if not live and self._site.comment_of(self._site.live) is None:
            self._site.client.change(f"CREATE DATABASE IF NOT EXISTS {name(self._site.live)}{self._site.on_cluster}")
        self._site.client.change(
            f"CREATE TABLE IF NOT EXISTS {name(copy)}.{name(CUTOVER_TABLE)} (run String, kind String, table String,"
            " live_uuid String, copy_uuid String, live_print String, copy_print String)"
            " ENGINE = MergeTree ORDER BY (run, kind, table)"
        )
        self._insert(
            copy,
            [
                (cutover_run, "pair", one.table, one.live_uuid, one.copy_uuid, one.live_print, one.copy_print)
                for one in pairs
            ],
        )
        self._label(copy, cutover_run)
        return pairs

    def _mark_old(self, copy: str, cutover_run: str, pairs: Sequence[TablePair]) -> Sequence[str]:
        """Note how the old tables stand; returns those that were written after their pair was noted."""
        if self._marks(copy, cutover_run):
            return []
        prints = self._prints(copy)
        old = [pair for pair in pairs if pair.live_uuid]
        marks = [(cutover_run, "old", one.table, "", "", prints.get(one.table, ""), "") for one in old]
        self._insert(copy, [*marks, (cutover_run, "end", "", "", "", "", "")])
        return [one.table for one in old if prints.get(one.table, "") != one.live_print]

    def _insert(self, copy: str, rows: Sequence[tuple[str, ...]]) -> None:
        values = ", ".join("(" + ", ".join(text(field) for field in row) + ")" for row in rows)
        table = table_name(copy, CUTOVER_TABLE)
        self._site.client.change(compose("INSERT INTO <table> VALUES <values>", table=table, values=values))

    def _label(self, copy: str, cutover_run: str) -> None:
        label = read_label(self._site.comment_of(copy))
        if label is None:
            raise Conflict(f"The database {copy} is not ours any more.")
        comment = replace(label, cutover=cutover_run).written()
        self._site.client.change(f"ALTER DATABASE {name(copy)}{self._site.on_cluster} MODIFY COMMENT {text(comment)}")

    def _noted(self, copy: str, cutover_run: str) -> Sequence[Mapping[str, object]]:
        if not any(table.name == CUTOVER_TABLE for table in self._site.tables(copy)):
            return []
        table = table_name(copy, CUTOVER_TABLE)
        sql = compose("SELECT * FROM <table> WHERE run = {run:String} ORDER BY table", table=table)
        return self._site.client.rows(sql, {"run": cutover_run})

    def _pairs(self, copy: str, cutover_run: str) -> Sequence[TablePair]:
        keys = ("table", "live_uuid", "copy_uuid", "live_print", "copy_print")
        return [
            TablePair(**{key: str(row[key]) for key in keys})
            for row in self._noted(copy, cutover_run)
            if row["kind"] == "pair"
        ]

    def _marks(self, copy: str, cutover_run: str) -> Mapping[str, str]:
        """The print of each old table after the exchange, by its name; "" is among the names once all are noted."""
        noted = self._noted(copy, cutover_run)
        return {str(row["table"]): str(row["live_print"]) for row in noted if row["kind"] in ("old", "end")}

    def _prints(self, database: str) -> Mapping[str, str]:
        """Of each table what changes with every write, and not with a merge."""
        rows = self._site.client.rows(
            "SELECT table, toString(sum(block)) AS blocks, toString(max(version)) AS version FROM ("
            "SELECT table, partition_id, max(max_block_number) AS block, max(data_version) AS version"
            " FROM system.parts WHERE database = {database:String} GROUP BY table, partition_id) GROUP BY table",
            {"database": database},
        )
        prints = {str(row["table"]): f"blocks {row['blocks']} version {row['version']}" for row in rows}
        for table in self._tables(database).values():
            if not table.is_merge_tree:
                prints[table.name] = f"rows {table.rows} bytes {table.size_bytes}"
            prints.setdefault(table.name, "empty")
        return prints
