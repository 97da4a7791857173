"""Copies: RESTORE into a database of its own beside the live one, and what became of it.

Only tables with data are restored. A view that listens, a Kafka table or a dictionary would read from, or write to,
what production uses as soon as it exists, and a cutover swaps tables of data alone.

The promise: RESTORE never gets `allow_non_empty_tables`, and never a database in which any replica has a table. Its id
is the run's, so it begins once; and a copy counts as restored only if its tables have the rows that the backup has,
because a server that died inside of a RESTORE leaves tables that are visible and empty
(https://github.com/ClickHouse/ClickHouse/issues/104464).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta

from bot.core.backup import Copy, CopyState, CopyStatus, RestoreTask
from bot.core.errors import Conflict, OutcomeUnknown, Rejected
from bot.integrations.clickhouse.client import compose, name, text
from bot.integrations.clickhouse.operations import Operation, Operations
from bot.integrations.clickhouse.site import (
    ClickHouseSite,
    ClickHouseTable,
    as_numbers,
    label_of,
    read_label,
)

_KILLED_WITHIN = timedelta(minutes=1)
_POLL = timedelta(seconds=1)


class ClickHouseCopies:
    """All copies of one store."""

    def __init__(self, site: ClickHouseSite, operations: Operations) -> None:
        self._site = site
        self._operations = operations

    def begin(self, task: RestoreTask) -> None:
        """As `core.backup.Restorer`."""
        copy = self._site.copy_name(task.short_run)
        if self._operations.of(operation_id(task)) is not None:
            return
        label = read_label(self._site.comment_of(copy))
        if label is not None and label.run == task.run and self._site.tables(copy):
            return  # It was begun, and the server has forgotten that.
        self._refuse_filled(copy)
        if label is None:
            if self._site.comment_of(copy) is not None:
                raise Conflict(f"There is a database {copy} that is not ours. Nothing was done.")
            comment = label_of(task, self._site.store, self._site.now()).written()
            self._site.client.change(
                f"CREATE DATABASE {name(copy)}{self._site.on_cluster} ENGINE = Atomic COMMENT {text(comment)}"
            )
        elif label.run != task.run:
            raise Conflict(f"The database {copy} is of another restore. Nothing was done.")
        try:
            self._site.client.change(self._restore_statement(task, copy))
        except Rejected:
            if self._begun_beside(task, copy):
                return
            with suppress(Rejected, OutcomeUnknown):  # it is empty, and labelled for whoever removes leftovers
                self._site.client.change(f"DROP DATABASE IF EXISTS {name(copy)}{self._site.on_cluster}")
            raise

    def _begun_beside(self, task: RestoreTask, copy: str) -> bool:
        """Whether another process began the same restore meanwhile: then the refusal was of a second one, and what is
        there is a copy.
        """
        operation = self._operations.of(operation_id(task))
        running = operation is not None and (operation.status == "RESTORED" or not operation.ended)
        return running or bool(self._site.tables(copy))

    def look(self, task: RestoreTask) -> CopyStatus:
        """As `core.backup.Restorer`."""
        copy = self._site.copy_name(task.short_run)
        operation = self._operations.of(operation_id(task))
        tables = self._site.tables(copy)
        exists = bool(tables) or self._site.comment_of(copy) is not None
        if operation is not None and not operation.ended and not operation.cut_off:
            return CopyStatus(
                state=CopyState.RUNNING,
                phase="copying",
                bytes_done=operation.bytes_read,
                bytes_total=operation.total_size or _size(task),
            )
        if not exists or (operation is None and not tables):
            return CopyStatus(state=CopyState.FAILED if operation else CopyState.ABSENT, message=_why(operation))
        if operation is not None and operation.ended and operation.status != "RESTORED":
            return CopyStatus(state=CopyState.FAILED, message=_why(operation))
        return self._judge_data(task, tables, operation)

    def copies(self) -> Sequence[Copy]:
        """As `core.backup.Restorer`."""
        sql = "SELECT name, comment FROM system.databases WHERE startsWith(name, {prefix:String}) ORDER BY name"
        rows = self._site.client.rows(sql, {"prefix": self._site.copy_name("")})
        labelled = [(str(row["name"]), read_label(str(row["comment"]))) for row in rows]
        return [
            Copy(run=label.run, name=database, created_at=label.created_at, drill=label.drill)
            for database, label in labelled
            if label is not None and label.store == self._site.store
        ]

    def remove(self, copy: Copy) -> None:
        """As `core.backup.Restorer`."""
        comment = self._site.comment_of(copy.name)
        if comment is None:
            return
        label = read_label(comment)
        ours = label is not None and label.run == copy.run and label.store == self._site.store
        if label is None or not ours or copy.name == self._site.live:
            raise Rejected(f"{copy.name} is not the copy of run {copy.run[:8]}. Nothing was removed.", code="not_ours")
        if label.cutover:
            message = f"{copy.name} holds the tables that were live before the cutover {label.cutover[:8]}."
            raise Rejected(f"{message} Nothing was removed. Ask to remove the old one instead.", code="in_use")
        self._kill(copy.run)
        # Its tables may be over the server's limit for a DROP; it is ours, and not the live one.
        self._site.client.change(
            f"DROP DATABASE IF EXISTS {name(copy.name)}{self._site.on_cluster} SYNC"
            " SETTINGS max_table_size_to_drop = 0, max_partition_size_to_drop = 0"
        )

    def _refuse_filled(self, copy: str) -> None:
        rows = self._site.client.rows(
            compose(
                "SELECT hostName() AS host, count() AS n FROM <tables>"
                " WHERE database = {copy:String} GROUP BY host HAVING n > 0 ORDER BY host",
                tables=self._site.everywhere("system.tables"),
            ),
            {"copy": copy},
        )
        if rows:
            hosts = ", ".join(str(row["host"]) for row in rows)
            message = f"{copy} has tables already on {hosts}, and a RESTORE into them would duplicate rows."
            raise Rejected(f"{message} Nothing was done. Remove that database, then restore again.", code="not_empty")

    def _restore_statement(self, task: RestoreTask, copy: str) -> str:
        left_out = json.loads(task.facts.get("left_out", "[]"))
        names = ", ".join(f"{name(self._site.live)}.{name(one)}" for one in left_out)
        except_tables = f" EXCEPT TABLES {names}" if names else ""
        return (
            f"RESTORE DATABASE {name(self._site.live)} AS {name(copy)}{except_tables}{self._site.on_cluster}"
            f" FROM {self._site.place_of(task.point.backup_id)}"
            # The copy's database differs from the backup's by our comment alone.
            f" SETTINGS id = {text(operation_id(task))}, allow_different_database_def = 1 ASYNC"
        )

    def _judge_data(
        self, task: RestoreTask, tables: Sequence[ClickHouseTable], operation: Operation | None
    ) -> CopyStatus:
        """By the rows that the backup has (`facts`): known before the start, and read from the backup itself."""
        there = {table.name: table for table in tables}
        expected = rows_expected(task)
        missing = [one for one in expected if one not in there]
        short = [one for one, rows in expected.items() if one in there and (there[one].rows or 0) < rows]
        if missing or short:
            parts = [f"{one} is missing" for one in missing]
            parts += [f"{one} has {there[one].rows or 0} rows of {expected[one]}" for one in short]
            said = "; ".join(parts[:5])
            lost = "The server has forgotten this restore at a restart. " if _forgotten(operation) else ""
            message = f"{lost}The copy is not complete: {said}. Remove it, then restore again."
            return CopyStatus(state=CopyState.FAILED, message=message)
        if _forgotten(operation) and not expected:
            message = "The server has forgotten this restore at a restart, and nothing shows that the copy is complete."
            return CopyStatus(state=CopyState.FAILED, message=f"{message} Remove it, then restore again.")
        message = "found complete by its rows, after a restart of the server" if _forgotten(operation) else ""
        size = sum(table.size_bytes or 0 for table in tables)
        return CopyStatus(state=CopyState.RESTORED, message=message, bytes_done=size, bytes_total=size)

    def _kill(self, run: str) -> None:
        """End a RESTORE that still runs, so that it does not make the tables anew."""
        id_ = f"vakhta-restore-{run}"
        until = self._site.now() + _KILLED_WITHIN
        while (running := self._operations.of(id_)) is not None and not running.ended and not running.cut_off:
            self._site.client.change(
                f"KILL QUERY{self._site.on_cluster} WHERE query_id = {text(running.query_id)} ASYNC"
            )
            if self._site.now() >= until:
                message = "Its RESTORE still runs, and did not end within a minute of being told to."
                raise Rejected(f"{message} Nothing was removed. Try again later.", code="running")
            self._site.pause(_POLL)


def operation_id(task: RestoreTask) -> str:
    """The id of its RESTORE."""
    return f"vakhta-restore-{task.run}"


def rows_expected(task: RestoreTask) -> Mapping[str, int]:
    """The rows of each table in the backup, as they were read before the start."""
    return as_numbers(json.loads(task.facts.get("rows", "{}")))


def _forgotten(operation: Operation | None) -> bool:
    return operation is None or operation.cut_off


def _size(task: RestoreTask) -> int | None:
    size = task.facts.get("size")
    return int(size) if size else None


def _why(operation: Operation | None) -> str:
    if operation is None:
        return ""
    if operation.cut_off:
        return "The server was restarted inside of this restore. Remove the copy, then restore again."
    if operation.status == "RESTORED":
        return "It was restored, and its database is gone since."
    return f"ClickHouse ended it as {operation.status}: {operation.error or 'no reason given'}"
