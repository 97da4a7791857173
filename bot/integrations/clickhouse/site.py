"""What all parts of the ClickHouse engine share: the server, the place of the backups, and the names of our own.

A copy is a database of its own beside the live one, labelled in its comment before there is data in it: the comment
survives a restart, which `system.backups` does not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from bot.core.backup import DRILL_LABEL, OWNER_LABEL, RestoreTask
from bot.core.errors import Rejected
from bot.integrations.clickhouse.client import ClickHouseClient, Row, name, text
from bot.integrations.clickhouse.settings import ClickHouseSettings

#: Tables of the bot's own in a database that it works on.
SENTINEL_TABLE = "vakhta_sentinel"
CUTOVER_TABLE = "vakhta_cutover"
OWN_TABLES = frozenset({SENTINEL_TABLE, CUTOVER_TABLE})

_LOGS = frozenset({"Log", "TinyLog", "StripeLog"})
_CALL = re.compile(r"(\w+)\((.*)\)", re.DOTALL)
_ARGUMENT = re.compile(r"'((?:[^'\\]|\\.)*)'|([A-Za-z_][\w.-]*)")


@dataclass(frozen=True, kw_only=True, slots=True)
class ClickHouseTable:
    """A table as it stands. `rows` is None where the engine keeps no count."""

    name: str
    engine: str
    engine_full: str
    uuid: str
    rows: int | None
    size_bytes: int | None

    @property
    def is_merge_tree(self) -> bool:
        return self.engine.endswith("MergeTree")

    @property
    def holds_data(self) -> bool:
        """Whether it is restored: it has data of its own, and reads from and writes to nothing else."""
        hidden = self.name.startswith(".inner") or self.name in OWN_TABLES
        return not hidden and (self.is_merge_tree or self.engine in _LOGS or self.engine == "Memory")

    @property
    def shares_replication(self) -> bool:
        """Whether a copy of it would be a replica of the live one: its path is not made of its own UUID (#42709)."""
        return self.engine.startswith("Replicated") and "{uuid}" not in self.engine_full


@dataclass(frozen=True, kw_only=True)
class ClickHouseSite:
    """One store's server and place."""

    where: ClickHouseSettings
    client: ClickHouseClient
    store: str
    now: Callable[[], datetime]
    pause: Callable[[timedelta], None]

    @property
    def live(self) -> str:
        return self.where.database

    @property
    def on_cluster(self) -> str:
        """What DDL ends its name with."""
        return f" ON CLUSTER {name(self.where.cluster)}" if self.where.cluster else ""

    def everywhere(self, table: str) -> str:
        """That system table of every replica, or of the one server."""
        return f"clusterAllReplicas({text(self.where.cluster)}, {table})" if self.where.cluster else table

    def place_of(self, backup: str) -> str:
        """The destination of a backup in BACKUP and RESTORE."""
        path = self.where.path + backup
        if self.where.disk:
            return f"Disk({text(self.where.disk)}, {text(path)})"
        if self.where.collection:
            return f"S3({name(self.where.collection)}, {text(path)})"
        folder = (self.where.folder or "").rstrip("/")
        return f"File({text(f'{folder}/{path}')})"

    def backup_in(self, shown: str) -> str | None:
        """The backup whose destination is shown so: `Disk('backups', 'orders/1')`; None for another store's."""
        call = _CALL.fullmatch(shown.strip())
        if call is None:
            return None
        arguments = [_unquoted(one) for one in _ARGUMENT.finditer(call[2])]
        kind, holder = call[1], (self.where.disk or self.where.collection or "")
        if self.where.folder:
            root = self.where.folder.rstrip("/") + "/"
            held = kind == "File" and len(arguments) == 1 and arguments[0].startswith(root)
            path = arguments[0].removeprefix(root) if held else ""
        else:
            wanted = ["Disk" if self.where.disk else "S3", holder]
            held = [kind, *arguments[:1]] == wanted and len(arguments) > 1
            path = arguments[1] if held else ""
        if not held or not path.startswith(self.where.path):
            return None
        return path.removeprefix(self.where.path).strip("/") or None

    def tables(self, database: str) -> Sequence[ClickHouseTable]:
        """All its tables; none for a database that does not exist."""
        rows = self.client.rows(
            "SELECT name, engine, engine_full, toString(uuid) AS uuid, total_rows, total_bytes FROM system.tables"
            " WHERE database = {database:String} AND NOT is_temporary ORDER BY name",
            {"database": database},
        )
        return [_table(row) for row in rows]

    def comment_of(self, database: str) -> str | None:
        """None for a database that does not exist."""
        sql = "SELECT comment FROM system.databases WHERE name = {database:String}"
        rows = self.client.rows(sql, {"database": database})
        return str(rows[0]["comment"]) if rows else None

    def copy_name(self, run: str) -> str:
        """`run`: the short id."""
        return f"{self.live}_restore_{run}"


@dataclass(frozen=True, kw_only=True, slots=True)
class ClickHouseCopyLabel:
    """What the comment of a copy says."""

    run: str
    store: str
    created_at: datetime | None
    drill: bool
    cutover: str = ""  #: the run that swapped it with the live one

    def written(self) -> str:
        words = [f"{OWNER_LABEL}={self.run}", f"store={self.store}"]
        if self.created_at is not None:
            words.append(f"at={self.created_at.astimezone(UTC).isoformat()}")
        if self.drill:
            words.append(f"{DRILL_LABEL}=yes")
        if self.cutover:
            words.append(f"cutover={self.cutover}")
        return " ".join(words)


def label_of(task: RestoreTask, store: str, now: datetime) -> ClickHouseCopyLabel:
    return ClickHouseCopyLabel(run=task.run, store=store, created_at=now, drill=task.drill)


def read_label(comment: str | None) -> ClickHouseCopyLabel | None:
    """None for a database that is not ours."""
    words = dict(word.split("=", 1) for word in (comment or "").split(" ") if "=" in word)
    if OWNER_LABEL not in words:
        return None
    try:
        created = datetime.fromisoformat(words.get("at", ""))
    except ValueError:
        created = None
    return ClickHouseCopyLabel(
        run=words[OWNER_LABEL],
        store=words.get("store", ""),
        created_at=created,
        drill=DRILL_LABEL in words,
        cutover=words.get("cutover", ""),
    )


def moment_of(seconds: object) -> datetime:
    """From `toFloat64` of a time. Raises `Rejected`."""
    return datetime.fromtimestamp(number_of(seconds), UTC)


def number_of(value: object) -> float:
    """A number of a row; servers before 25.8 write long ones as text. Raises `Rejected`."""
    try:
        return float(str(value))
    except ValueError:
        raise Rejected("ClickHouse gave a text instead of a number. Nothing was done.", code="unreadable") from None


def whole(value: object) -> int | None:
    """As `number_of`; None for NULL."""
    return None if value is None else int(str(value))


def first_line(error: object) -> str:
    """What an exception says, without its stack trace."""
    return str(error).partition(", Stack trace")[0].partition("\n")[0][:300]


def _table(row: Row) -> ClickHouseTable:
    return ClickHouseTable(
        name=str(row["name"]),
        engine=str(row["engine"]),
        engine_full=str(row["engine_full"]),
        uuid=str(row["uuid"]),
        rows=whole(row["total_rows"]),
        size_bytes=whole(row["total_bytes"]),
    )


def _unquoted(argument: re.Match[str]) -> str:
    if argument[1] is None:
        return argument[2]
    return re.sub(r"\\(.)", r"\1", argument[1])


def as_numbers(values: Mapping[str, object]) -> dict[str, int]:
    """Counts as they are kept in the facts of a task."""
    return {key: int(str(value)) for key, value in values.items()}
