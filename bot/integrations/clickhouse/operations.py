"""BACKUP and RESTORE as the server remembers them.

The trap: `system.backups` is in memory and forgotten at a restart; `system.backup_log` stays, is kept by each node for
itself, exists only where the server's configuration has it, and a row that was at CREATING_BACKUP or RESTORING when the
server died stays so for ever. So an operation that is not in memory and not ended was cut off.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from bot.integrations.clickhouse.client import Row, compose
from bot.integrations.clickhouse.site import ClickHouseSite, first_line, moment_of, number_of

_ENDED = ("BACKUP_CREATED", "BACKUP_FAILED", "BACKUP_CANCELLED", "RESTORED", "RESTORE_FAILED", "RESTORE_CANCELLED")
_SUCCEEDED = ("BACKUP_CREATED", "RESTORED")
#: More rows of the log than this are not read; the newest count.
_MOST = 20_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Operation:
    """One BACKUP or RESTORE. `cut_off`: it had not ended, and its server has forgotten it."""

    id: str
    name: str
    base: str
    query_id: str
    status: str
    error: str
    start: datetime
    end: datetime | None
    total_size: int
    bytes_read: int
    cut_off: bool = False

    @property
    def ended(self) -> bool:
        return self.status in _ENDED


class Operations:
    """Reads both tables, of all replicas where a cluster is named."""

    def __init__(self, site: ClickHouseSite) -> None:
        self._site = site

    def has_log(self) -> bool:
        """Whether this server keeps `system.backup_log`. It is made at the first backup after it was configured."""
        sql = "SELECT count() FROM system.tables WHERE database = 'system' AND name = 'backup_log'"
        return self._site.client.value(sql) not in ("", "0")

    def all(self, kind: str) -> Sequence[Operation]:
        """`kind`: BACKUP or RESTORE. Each operation once, the newest first."""
        return self._read(f"status {'NOT ' if kind == 'RESTORE' else ''}LIKE '%BACKUP%'", {})

    def of(self, id_: str) -> Operation | None:
        """The one of that id. A process that was frozen may have begun it a second time, which fails at the data of
        the first: the one that succeeded counts, else the newest.
        """
        found = self._read("id = {id:String}", {"id": id_})
        return next((one for one in found if one.status in _SUCCEEDED), next(iter(found), None))

    def _read(self, condition: str, values: dict[str, object]) -> Sequence[Operation]:
        known = {}
        if self.has_log():
            for one in self._rows("system.backup_log", condition, values):
                key = (one.id, one.start)
                if key not in known or one.ended:
                    known[key] = replace(one, cut_off=not one.ended)
        for one in self._rows("system.backups", condition, values):
            known[one.id, one.start] = one
        return sorted(known.values(), key=lambda one: one.start, reverse=True)

    def _rows(self, table: str, condition: str, values: dict[str, object]) -> Sequence[Operation]:
        sql = compose(
            "SELECT id, name, base_backup_name, query_id, toString(status) AS state, error,"
            " toFloat64(start_time) AS began, toFloat64(end_time) AS stopped, total_size, bytes_read"
            " FROM <table> WHERE <condition> ORDER BY start_time DESC LIMIT <most>",
            table=self._site.everywhere(table),
            condition=condition,
            most=str(_MOST),
        )
        return [_operation(row) for row in self._site.client.rows(sql, values)]


def _operation(row: Row) -> Operation:
    ended = str(row["state"]) in _ENDED
    return Operation(
        id=str(row["id"]),
        name=str(row["name"]),
        base=str(row["base_backup_name"]),
        query_id=str(row["query_id"]),
        status=str(row["state"]),
        error=first_line(row["error"]),
        start=moment_of(row["began"]),
        end=moment_of(row["stopped"]) if ended and number_of(row["stopped"]) else None,
        total_size=int(number_of(row["total_size"])),
        bytes_read=int(number_of(row["bytes_read"])),
    )
