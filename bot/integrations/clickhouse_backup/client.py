"""clickhouse-backup's REST API.

Traps, read in its server.go: an answer is one JSON object for each line; the operation_id that restore_remote and
create_remote answer is not the one under which they are recorded, so an operation is found by the text of its command;
all records are in memory and gone after a restart; times are in the zone of the process, and do not say which.
https://github.com/Altinity/clickhouse-backup/blob/master/pkg/server/server.go
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote

from bot.core.errors import Conflict, Rejected
from bot.integrations.clickhouse_backup.settings import ClickHouseBackupSettings
from bot.integrations.http import HttpApi
from bot.lib.time_windows import zone

_CALLED = "clickhouse-backup"


@dataclass(frozen=True, kw_only=True, slots=True)
class RemoteBackup:
    """A row of the listing of the remote storage."""

    name: str
    created: datetime
    size: int
    required: str  #: the backup that this one is an increment of
    description: str


@dataclass(frozen=True, kw_only=True, slots=True)
class RestAction:
    """What became of a command. `status`: in progress, success, error or cancel."""

    command: str
    status: str
    error: str


class ClickHouseBackupApi:
    """Safe to share between threads."""

    def __init__(self, where: ClickHouseBackupSettings) -> None:
        self._zone = zone(where.zone)
        self._api = HttpApi(
            where.url,
            called=_CALLED,
            token=where.password,
            user=where.user,
            timeout=where.timeout,
        )

    def remote(self) -> Sequence[RemoteBackup]:
        """All backups in the remote storage, complete or not. Raises `Rejected`."""
        return [
            RemoteBackup(
                name=_text(row, "name"),
                created=self._moment(_text(row, "created")),
                size=int(str(row.get("size") or 0)),
                required=_text(row, "required").lstrip("+"),
                description=_text(row, "desc"),
            )
            for row in self._lines("/backup/list/remote")
        ]

    def actions(self) -> Sequence[RestAction]:
        """All commands that this process remembers, the newest first. Raises `Rejected`."""
        rows = self._lines("/backup/actions")
        found = [
            RestAction(command=_text(row, "command"), status=_text(row, "status"), error=_text(row, "error"))
            for row in rows
        ]
        return found[::-1]

    def start(self, path: str, query: Sequence[tuple[str, str]]) -> None:
        """Ask for an operation.

        Raises:
            Conflict: another one runs; nothing was done.
            Rejected, OutcomeUnknown: as `HttpApi.send`.
        """
        try:
            self._api.send("POST", path, query=query)
        except Rejected as refused:
            if "another operation is currently running" in refused.message:
                running = next((one.command for one in self.actions() if one.status == "in progress"), "another one")
                raise Conflict(f"{_CALLED} does one thing at a time, and runs: {running}. Nothing was done.") from None
            raise

    def kill(self, command: str) -> None:
        """Cancel that command. Raises as `start`."""
        self._api.send("POST", "/backup/kill", query=[("command", command)])

    def _lines(self, path: str) -> Sequence[Mapping[str, object]]:
        found: list[Mapping[str, object]] = []
        for line in self._api.download(path).splitlines():
            try:
                read = json.loads(line) if line.strip() else []
            except ValueError:
                raise _unreadable() from None
            for row in read if isinstance(read, list) else [read]:
                if not isinstance(row, Mapping):
                    raise _unreadable()
                found.append(row)
        return found

    def _moment(self, told: str) -> datetime:
        try:
            moment = datetime.fromisoformat(told)
        except ValueError:
            raise _unreadable() from None
        return (moment if moment.tzinfo else moment.replace(tzinfo=self._zone)).astimezone(UTC)


def in_path(name: str) -> str:
    """A backup's name as a part of a path."""
    return quote(name, safe="")


def _text(row: Mapping[str, object], key: str) -> str:
    value = row.get(key)
    return value if isinstance(value, str) else ""


def _unreadable() -> Rejected:
    message = f"The answer of {_CALLED} cannot be read. Nothing was done. Check its address and version."
    return Rejected(message, code="unreadable")
