"""The bot under measurement: the real program, started as an operator starts it, with channels at strict fakes."""

from __future__ import annotations

import json
import shutil
import sqlite3
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any, LiteralString, Self

import yaml

from bench.load import Unmeasurable
from bench.outside import Outside
from bench.peers import Postgres
from bench.process import Process, answers, free_port

ROOT = Path(__file__).parent.parent
TOKEN = "bench-alertmanager-token-0123456789abcdef"
_API_TOKEN = "bench-api-token-0123456789abcdef"


@dataclass(frozen=True, kw_only=True)
class Stored:
    """What its database holds."""

    alerts: int
    incidents: int
    deliveries: int


class Bot:
    """One bot with a store of its own.

    `outside` None: nothing but the console, and nobody but whoever sits there. `postgres` None: SQLite. `strace` names
    a file for its syncs.
    """

    def __init__(
        self, at: Path, outside: Outside | None = None, *, postgres: Postgres | None = None, strace: Path | None = None
    ) -> None:
        self._home = Path(tempfile.mkdtemp(prefix="bot-", dir=at))
        self._outside = outside
        self._postgres = postgres
        self._database = postgres.new_database() if postgres else ""
        self._strace = strace
        self._process: Process | None = None
        self.ready_s = 0.0  #: how long its last start took, from its process to /readyz 200
        self.port = free_port()
        self.config = self._home / "bench.yaml"
        self.config.write_text(yaml.safe_dump(self._settings()))

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        if self._postgres:
            self._postgres.drop(self._database)
        shutil.rmtree(self._home, ignore_errors=True)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def slack_secret(self) -> str:
        """With which Slack signs what it sends to it."""
        assert self._outside is not None
        return str(self._outside.channels["slack"]["signing_secret"])

    @property
    def database(self) -> Path:
        """SQLite's file."""
        return self._home / "vakhta.db"

    def start(self) -> None:
        tracer = [] if self._strace is None else _tracer(self._strace)
        command = [*tracer, sys.executable, "-m", "bot", "run", "--config", str(self.config)]
        begin = time.monotonic()
        self._process = Process(command, log=self._home / "log", cwd=ROOT)
        try:
            self._process.wait_for(lambda: answers(f"http://127.0.0.1:{self.port}/readyz"), "the bot")
        except Unmeasurable as why:
            raise RuntimeError(str(why)) from why  # A peer may be absent; a bot that does not come up is a failure.
        self.ready_s = time.monotonic() - begin

    def kill(self) -> None:
        """SIGKILL, at once."""
        if self._process:
            self._process.kill()

    def stop(self) -> None:
        """Without ceremony: its store goes with it. Under strace the bot is the tracer's child."""
        if self._process and self._strace:
            self._process.end_tree()
        self.kill()

    def tail(self) -> str:
        """The end of its log."""
        return self._process.tail() if self._process else ""

    def get(self, path: str) -> Any:
        """An answer of its API."""
        headers = {"Authorization": f"Bearer {_API_TOKEN}"}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", headers=headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read())

    def api_request(self, path: str) -> bytes:
        """The same, for the exact generator."""
        return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {_API_TOKEN}\r\n\r\n".encode()

    def stored(self) -> Stored:
        """Counted in the database itself, not told by the bot."""
        query: LiteralString = (
            "SELECT (SELECT count(*) FROM alert), (SELECT count(*) FROM incident), (SELECT count(*) FROM delivery)"
        )
        alerts, incidents, deliveries = self.ask(query)[0]
        return Stored(alerts=alerts, incidents=incidents, deliveries=deliveries)

    def ask(self, query: LiteralString, *values: object) -> list[tuple[Any, ...]]:
        """Read its database beside it. `values` on SQLite only."""
        if self._postgres:
            return list(self._postgres.ask(self._database, query))
        connection = sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=30)
        try:
            return connection.execute(query, values).fetchall()
        finally:
            connection.close()

    def _settings(self) -> dict[str, Any]:
        listen = f"127.0.0.1:{self.port}"
        store = f"sqlite:///{self.database}"
        if self._postgres:
            store = self._postgres.url(self._database, "+psycopg")
        settings: dict[str, Any] = {
            "server": {"listen": listen, "public_url": f"http://{listen}", "api_token": _API_TOKEN},
            "store": {"url": store},
            "sources": {"alertmanager": {"tokens": [TOKEN]}},
        }
        if self._outside is None:
            return {**settings, "channels": {"console": {"enabled": True}}}
        people = [{"id": "ana", "slack": "U1", "roles": ["responder"]}]
        return {**settings, "channels": self._outside.channels, "people": people}


def _tracer(into: Path) -> list[str]:
    """Only the sync calls stop the program (a seccomp filter), so the rest runs at full speed."""
    calls = "trace=fsync,fdatasync,sync_file_range,msync"
    return [shutil.which("strace") or "strace", "-f", "--seccomp-bpf", "-y", "-e", calls, "-o", str(into)]
