"""ClickHouse's HTTP interface over a real engine: chdb executes the statements, BACKUP and RESTORE among them.

What chdb does not have is added here, and is the fake's own word: users and their rights, `system.backup_log` (kept
over a restart, as the server keeps it), and answers of clusters and replicas, which a test writes with `script`.
https://clickhouse.com/docs/en/interfaces/http
"""

from __future__ import annotations

import base64
import json
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.fakes.calls import Answer, Call
from tests.fakes.server import StrictServer
from tests.running import ROOT, TIED

#: Exceptions that are no 500: https://github.com/ClickHouse/ClickHouse/blob/master/src/Server/HTTP/exceptionCodeToHTTPStatus.cpp
_STATUS = {60: 404, 81: 404, 62: 400, 36: 400, 516: 403, 497: 403, 192: 403, 159: 408}
_TO_LOG = (
    "INSERT INTO system.backup_log SELECT 'one', now64(6), * FROM system.backups"
    " WHERE (id, start_time, status) NOT IN (SELECT id, start_time, status FROM system.backup_log)"
)
USER, PASSWORD = "vakhta", "clickhouse-secret"


class ClickHouseRefusal(Exception):
    """An exception of the server."""

    def __init__(self, code: int, said: str) -> None:
        super().__init__(said)
        self.code = code
        self.said = said


class FakeClickHouse(StrictServer):
    """`data` and `backups` are folders. A user of `readers` may read everything; others may read nothing."""

    def __init__(self, data: Path, backups: Path) -> None:
        super().__init__()
        self._data = data
        self.backups = backups
        self._process: subprocess.Popen[str] | None = None
        self._one = threading.Lock()
        self._scripts: list[tuple[re.Pattern[str], object]] = []
        self._rewrites: list[tuple[re.Pattern[str], str]] = []
        self.readers: dict[str, str] = {}
        self.with_log = True
        self.statements: list[str] = []  #: that came by HTTP, in their order

    def script(self, pattern: str, answer: Sequence[dict[str, object]] | ClickHouseRefusal | str) -> None:
        """Statements in which that is found are not executed: rows, an exception, or another statement's rows."""
        self._scripts.insert(0, (re.compile(pattern), answer))

    def script_rewrite(self, pattern: str, instead: str) -> None:
        """Execute statements in which that is found with something in its place: one server answers for a cluster."""
        self._rewrites.append((re.compile(pattern), instead))

    def unscript(self) -> None:
        self._scripts.clear()
        self._rewrites.clear()
        self.readers.clear()
        self.with_log = True
        self.statements.clear()

    def sql(self, statement: str) -> list[dict[str, Any]]:
        """Execute a statement past the interface; its rows."""
        body = self._execute(statement, {}, "")
        return list(json.loads(body)["data"]) if body else []

    def value(self, statement: str) -> Any:
        return next(iter(self.sql(statement)[0].values()))

    def restart(self, *, forget_from: str = "") -> None:
        """The server dies and comes back: memory is lost, the log is not. `forget_from`: ended rows of that id as well,
        so that it looks as if the server had died before it wrote them.
        """
        rows = self._kept_log()
        self._end()
        if forget_from:
            ended = ("RESTORED", "BACKUP_CREATED", "RESTORE_FAILED", "BACKUP_FAILED")
            rows = [row for row in rows if not (row["id"] == forget_from and row["status"] in ended)]
        self._begin()
        self._put_log(rows)

    def log(self, **columns: object) -> None:
        """Write a row of the log that this server has not written itself."""
        self._put_log([columns])

    def forget_log(self) -> None:
        self._execute("TRUNCATE TABLE system.backup_log", {}, "")

    def open(self) -> None:
        self._begin()

    def close(self) -> None:
        self._end()

    def answer(self, call: Call) -> Answer:
        if call.verb != "POST" or call.path != "/":
            self.fault(f"unexpected {call.verb} {call.path}")
            return Answer(status=404)
        statement = call.body.decode()
        self.statements.append(statement)
        try:
            self._authorize(call, statement)
            body = self._answered(statement, call)
        except ClickHouseRefusal as refused:
            said = f"Code: {refused.code}. DB::Exception: {refused.said} (version 26.9.2.1 (official build))\n"
            status = _STATUS.get(refused.code, 500)
            return Answer(status=status, body=said.encode(), headers={"X-ClickHouse-Exception-Code": str(refused.code)})
        return Answer(body=body.encode(), headers={"Content-Type": "application/json; charset=UTF-8"})

    def _authorize(self, call: Call, statement: str) -> None:
        kind, _, told = call.headers.get("authorization", "").partition(" ")
        user, _, password = base64.b64decode(told).decode().partition(":") if kind == "Basic" else ("", "", "")
        user = user or call.query.get("user", "default")
        if (user, password) == (USER, PASSWORD):
            return
        if self.readers.get(user) != password:
            raise ClickHouseRefusal(
                516, f"{user}: Authentication failed: password is incorrect, or there is no user with such name."
            )
        if not statement.startswith("SELECT"):
            raise ClickHouseRefusal(497, f"{user}: Not enough privileges.")

    def _answered(self, statement: str, call: Call) -> str:
        if call.query.get("wait_end_of_query") != "1":
            self.fault("a statement whose exception could come behind a status of 200")
        params = {key.removeprefix("param_"): value for key, value in call.query.items() if key.startswith("param_")}
        for pattern, scripted in self._scripts:
            if pattern.search(statement):
                if isinstance(scripted, ClickHouseRefusal):
                    raise scripted
                if isinstance(scripted, str):
                    return self._execute(scripted, params, "")
                return json.dumps({"data": scripted})
        for pattern, instead in self._rewrites:
            statement = pattern.sub(instead, statement)
        if "clusterAllReplicas" in statement or "ON CLUSTER" in statement:
            self.fault(f"nothing is scripted for {statement}")
        if not self.with_log and "name = 'backup_log'" in statement:
            return json.dumps({"data": [{"count()": "0"}]})
        return self._execute(statement, params, call.query.get("database", ""))

    def _execute(self, statement: str, params: dict[str, str], database: str) -> str:
        with self._one:
            if statement.startswith("SELECT") and "FROM system.backup_log" in statement:
                self._told(_TO_LOG, {}, "")
            told = self._told(statement, params, database)
            if re.match(r"BACKUP|RESTORE", statement):
                self._told(_TO_LOG, {}, "")
        if "error" in told:
            code = re.search(r"Code: (\d+)\. DB::Exception: (.*)", told["error"], re.DOTALL)
            raise ClickHouseRefusal(int(code[1]), code[2]) if code else ClickHouseRefusal(1001, told["error"])
        return str(told["body"])

    def _told(self, statement: str, params: dict[str, str], database: str) -> dict[str, str]:
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        asked = {"sql": statement, "params": params, "database": database}
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, f"the engine died of {statement}"
        told: dict[str, str] = json.loads(answer)
        return told

    def _kept_log(self) -> list[dict[str, Any]]:
        return self.sql("SELECT * FROM system.backup_log ORDER BY event_time_microseconds")

    def _put_log(self, rows: Sequence[dict[str, Any]]) -> None:
        if rows:
            lines = "\n".join(json.dumps({**row, "ProfileEvents": {}, "settings": {}}) for row in rows)
            self._execute(f"INSERT INTO system.backup_log FORMAT JSONEachRow {lines}", {}, "")

    def _begin(self) -> None:
        self._data.mkdir(exist_ok=True)
        self.backups.mkdir(exist_ok=True)
        command = [sys.executable, "-m", "tests.fakes.clickhouse_engine", str(self._data), str(self.backups)]
        self._process = subprocess.Popen(
            [*TIED, *command], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline(), "chdb did not start"
        columns = ", ".join(f"`{one['name']}` {one['type']}" for one in self.sql("DESCRIBE TABLE system.backups"))
        self._execute(
            "CREATE TABLE system.backup_log (hostname String, event_time_microseconds DateTime64(6),"
            f" {columns}) ENGINE = Memory",
            {},
            "",
        )

    def _end(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    pipe.close()
            self._process = None
