"""A strict clickhouse-backup: its REST API as its server.go has it, working on the real engine of `clickhouse_http`.

As unkind as the real one: answers are a JSON object for each line; one operation at a time, 423 for the next; the
operation_id of an answer is recorded nowhere; a restart forgets all commands; times are local and do not say so; a
backup is listed before it is complete; a restore without a mapping drops what is there (which is a fault here).
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from datetime import datetime, timedelta

from tests.fakes.calls import Answer, Call
from tests.fakes.clickhouse_http import FakeClickHouse
from tests.fakes.server import StrictServer

USER, PASSWORD = "backup", "backup-secret"
_KEYS = {"table", "restore_database_mapping", "name"}


@dataclass
class _Action:
    command: str
    start: str
    status: str = "in progress"
    finish: str = ""
    error: str = ""

    def row(self) -> dict[str, str]:
        return {**vars(self), "operation_id": ""}


class FakeClickHouseBackup(StrictServer):
    """Operations wait until the test lets them end with `finish`."""

    def __init__(self, server: FakeClickHouse, zone_hours: int = 0) -> None:
        super().__init__()
        self._engine = server
        self._ahead = timedelta(hours=zone_hours)
        self.backups: dict[str, dict[str, object]] = {}
        self.actions: list[_Action] = []
        self.broken_restores = False  #: a restore attaches no parts, and says success
        self._count = 0

    def store(
        self, name: str, at: datetime, *, required: str = "", desc: str = "tar, regular", size: int = 5000
    ) -> None:
        """A backup of the remote storage, made at `at` of UTC."""
        created = (at.replace(tzinfo=None) + self._ahead).strftime("%Y-%m-%d %H:%M:%S")
        self.backups[name] = {
            "name": name, "created": created, "size": size, "location": "remote", "required": required, "desc": desc,
        }  # fmt: skip

    def finish(self, error: str = "") -> None:
        """Let what runs end."""
        with self._lock:
            action = next(one for one in self.actions if one.status == "in progress")
            if not error:
                self._work(action.command)
            action.status, action.error = ("error", error) if error else ("success", "")
            action.finish = action.start

    def restart(self) -> None:
        with self._lock:
            self.actions.clear()

    def answer(self, call: Call) -> Answer:
        wanted = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if call.headers.get("authorization") != wanted:
            return Answer(status=401, body=b"401 Unauthorized\n")
        with self._lock:
            answer = self._answer(call)
        if answer is None:
            self.fault(f"unexpected {call.verb} {call.path}")
            return Answer(status=404)
        return answer

    def _answer(self, call: Call) -> Answer | None:
        if (call.verb, call.path) == ("GET", "/backup/list/remote"):
            return _lines([{**one, "metadata_size": 100} for one in self.backups.values()])
        if (call.verb, call.path) == ("GET", "/backup/actions"):
            return _lines([one.row() for one in self.actions])
        if (call.verb, call.path) == ("POST", "/backup/kill"):
            return self._kill(call.query.get("command", ""))
        if call.verb == "POST" and call.path == "/backup/create_remote":
            return self._begin(call, "create_remote", call.query["name"], 201)
        if call.verb == "POST" and call.path.startswith("/backup/restore_remote/"):
            if "restore_database_mapping" not in call.query:
                self.fault("a restore without a mapping, which drops the live tables")
            return self._begin(call, "restore_remote", call.path.rpartition("/")[2], 200)
        return None

    def _begin(self, call: Call, verb: str, name: str, status: int) -> Answer:
        if unknown := set(call.query) - _KEYS:
            self.fault(f"a query of {unknown}")
        if any(one.status == "in progress" for one in self.actions):
            said = {"status": "error", "operation": verb, "error": "another operation is currently running"}
            return Answer.json(said, status=423)
        command = f'{verb} --tables="{call.query["table"]}"'
        if mapping := call.query.get("restore_database_mapping"):
            command += f' --restore-database-mapping="{mapping}"'
        self._count += 1
        self.actions.append(_Action(command=f"{command} {name}", start="2026-11-30 12:00:00"))
        said = {"status": "acknowledged", "operation": verb, "backup_name": name, "operation_id": f"op-{self._count}"}
        return Answer.json(said, status=status)

    def _kill(self, command: str) -> Answer:
        for one in self.actions:
            if one.command == command and one.status == "in progress":
                one.status, one.error = "cancel", "canceled from API /backup/kill"
                return Answer.json({"status": "success", "operation": "kill", "command": command})
        said = {"status": "error", "operation": "kill", "error": f"command {command} not found"}
        return Answer.json(said, status=500)

    def _work(self, command: str) -> None:
        name = command.rpartition(" ")[2]
        tables = command.partition('--tables="')[2].partition('"')[0]
        if command.startswith("create_remote"):
            database = tables.removesuffix(".*")
            self.snapshot(name, database)
            return
        live, _, copy = command.partition('mapping="')[2].partition('"')[0].partition(":")
        self._engine.sql(f"CREATE DATABASE IF NOT EXISTS {copy}")
        for table in tables.split(","):
            kept = f"kept_{live}_{name.replace('-', '_')}.{table.partition('.')[2]}"
            target = f"{copy}.{table.partition('.')[2]}"
            self._engine.sql(f"CREATE TABLE {target} AS {kept}")
            if not self.broken_restores:
                self._engine.sql(f"INSERT INTO {target} SELECT * FROM {kept}")

    def snapshot(self, name: str, database: str, *, at: datetime | None = None) -> None:
        """Make a backup of the tables as they are now."""
        kept = f"kept_{database}_{name.replace('-', '_')}"
        self._engine.sql(f"CREATE DATABASE {kept}")
        tables = self._engine.sql(
            f"SELECT name FROM system.tables WHERE database = '{database}' AND engine LIKE '%MergeTree'"
        )
        for row in tables:
            self._engine.sql(f"CREATE TABLE {kept}.{row['name']} AS {database}.{row['name']}")
            self._engine.sql(f"INSERT INTO {kept}.{row['name']} SELECT * FROM {database}.{row['name']}")
        self.store(name, at or datetime.now())  # noqa: DTZ005 (as the real one)


def _lines(rows: list[dict[str, object]] | list[dict[str, str]]) -> Answer:
    """JSONEachRow; an empty list is []."""
    body = "\n".join(json.dumps(row) for row in rows) + "\n" if rows else "[]\n"
    return Answer(body=body.encode(), headers={"Content-Type": "application/json; charset=UTF-8"})
