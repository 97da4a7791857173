"""A backup opened for reading without restoring it: a database of the engine Backup, made and dropped again.

What it shows is read from the backup's own files, so it finds what no status tells: a backup or the base of an
incremental one that was deleted. It has the tables of the MergeTree family alone.

The trap (seen on 26.9): a table of which one part is missing is shown with no rows and no error, and so is compared
with the size that BACKUP has recorded; RESTORE of such a backup fails, and leaves its tables empty.
https://clickhouse.com/docs/en/engines/database-engines/backup
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from bot.core.errors import OutcomeUnknown, Rejected
from bot.integrations.clickhouse.client import name, text
from bot.integrations.clickhouse.site import ClickHouseSite

_PREFIX = "vakhta_probe_"
#: One that is older was left by a process that died.
_LEFT_AFTER = timedelta(hours=6)
#: What the files around the data may take, beside a part of all.
_AROUND = 64 * 1024
#: BACKUP_NOT_FOUND to CANNOT_RESTORE_TABLE, and what a broken file of a backup gives: CANNOT_READ_ALL_DATA,
#: FILE_DOESNT_EXIST, S3_ERROR, CHECKSUM_DOESNT_MATCH, CANNOT_PARSE_TEXT, UNKNOWN_DATABASE (it is not in the backup).
_BROKEN = frozenset({*map(str, range(598, 612)), "33", "107", "499", "40", "6", "27", "81"})


class BackupBroken(Exception):
    """It cannot be opened: it is gone, its base is gone, or its files are damaged. `args[0]` says why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BackupContents:
    """What can be read of a backup."""

    rows: Mapping[str, int]  #: of each MergeTree table
    size_bytes: int  #: of all of them

    def lost_of(self, recorded: int, others: int) -> int:
        """About how many bytes cannot be read. `recorded`: its size when it was made; `others`: of that, the tables
        that cannot be opened. 0 as long as what surrounds the data (definitions, small files) explains it.
        """
        lost = recorded - others - self.size_bytes
        return lost if lost > _AROUND + recorded * 0.3 else 0


class BackupReading:
    """Opens backups of one store."""

    def __init__(self, site: ClickHouseSite) -> None:
        self._site = site

    @contextmanager
    def open(self, backup: str) -> Iterator[str]:
        """The name of a database with that backup's tables.

        Raises:
            BackupBroken: it cannot be opened.
            Rejected, OutcomeUnknown: that cannot be found out now.
        """
        made = f"{_PREFIX}{int(self._site.now().timestamp())}_{secrets.token_hex(4)}"
        place = self._site.place_of(backup)
        try:
            self._site.client.change(f"CREATE DATABASE {name(made)} ENGINE = Backup({text(self._site.live)}, {place})")
        except Rejected as refused:
            if refused.code in _BROKEN:
                raise BackupBroken(_reason(refused.message)) from None
            raise
        try:
            yield made
        finally:
            with suppress(Rejected, OutcomeUnknown):  # What stays is dropped by `drop_left`.
                self._site.client.change(f"DROP DATABASE IF EXISTS {name(made)}")

    def contents(self, backup: str) -> BackupContents:
        """Raises as `open`."""
        with self.open(backup) as database:
            tables = [table for table in self._site.tables(database) if table.is_merge_tree]
        rows = {table.name: table.rows for table in tables if table.holds_data and table.rows is not None}
        return BackupContents(rows=rows, size_bytes=sum(table.size_bytes or 0 for table in tables))

    def drop_left(self) -> None:
        """Drop what a process that died has left."""
        sql = "SELECT name FROM system.databases WHERE engine = 'Backup' AND startsWith(name, {prefix:String})"
        for row in self._site.client.rows(sql, {"prefix": _PREFIX}):
            left = str(row["name"])
            made = re.fullmatch(rf"{_PREFIX}(\d+)_[0-9a-f]+", left)
            if made and self._site.now() - datetime.fromtimestamp(int(made[1]), UTC) > _LEFT_AFTER:
                self._site.client.change(f"DROP DATABASE IF EXISTS {name(left)}")


def _reason(message: str) -> str:
    """The exception's sentence alone."""
    found = re.search(r"DB::Exception: (.*)", message)
    said = (found[1] if found else message).removesuffix("Nothing was done.").strip()
    return said[:300]
