"""A real redis-server (Debian package redis-server), a folder of backups and a folder for copies."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pydantic import SecretStr

from bot.core.backup import CopyState, EngineParts, RestorePoint, RestoreTask
from bot.core.errors import Rejected
from bot.integrations.programs.local import LocalPrograms
from bot.integrations.redis.backups import RedisEngine
from bot.integrations.redis.client import RedisClient, RedisLoading
from bot.integrations.redis.settings import RedisSettings
from tests.running import TIED, free_port, until

STORE = "prod/cache"
PASSWORD = "live-secret"


class RedisGround:
    """One live server with 1000 keys. Everything it started is ended by its own pid."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.folder = place / "backups"
        self.scratch = place / "s"
        self.live_folder = place / "live"
        self.run = secrets.token_hex(16)
        self.port = free_port()
        self.programs = LocalPrograms()
        self._server: subprocess.Popen[bytes] | None = None
        self._engines: list[RedisEngine] = []
        self._ahead = timedelta(0)

    def __enter__(self) -> Self:
        for folder in (self.folder, self.live_folder):
            folder.mkdir()
        self.start()
        self.fill(1000)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        engine = self.engine()
        for copy in engine.copies():
            engine._copies.discard(engine._copies.server_of(copy.run))
        self.kill()

    def start(self, *options: str) -> None:
        """The live server, with more of its options."""
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--requirepass", PASSWORD]
        command += ["--dir", str(self.live_folder), "--repl-diskless-sync-delay", "0", *options]
        with (self.place / "live.log").open("ab") as log:
            self._server = subprocess.Popen([*TIED, *command], stdout=log, stderr=log)
        until(self._answers, "the live server answers")

    def stop(self, *how: str) -> None:
        """As a person would: by SHUTDOWN, which saves where there are save points."""
        assert self._server is not None
        subprocess.run(self._cli("SHUTDOWN", *how), capture_output=True, check=False)
        self._server.wait(60)

    def kill(self) -> None:
        if self._server is not None:
            self._server.kill()
            self._server.wait()

    def engine(self, **changed: object) -> RedisEngine:
        given = {
            "url": f"redis://:{PASSWORD}@127.0.0.1:{self.port}/0",
            "folder": str(self.folder),
            "scratch": str(self.scratch),
            "reached_as": "127.0.0.1",
            "timeout": 60,
            **changed,
        }
        parts = EngineParts(store=STORE, now=self.now, pause=self.pause, programs=self.programs)
        return RedisEngine(RedisSettings.model_validate(given), parts)

    def now(self) -> datetime:
        return datetime.now(UTC) + self._ahead

    def pause(self, much: timedelta) -> None:
        """What is waited for is a real server: a moment of it counts as ten."""
        threading.Event().wait(much.total_seconds() / 10)
        self._ahead += much

    def live(self) -> RedisClient:
        url = SecretStr(f"redis://:{PASSWORD}@127.0.0.1:{self.port}/0")
        return RedisClient(url, called="Redis", timeout=timedelta(seconds=60))

    def ask(self, *command: str) -> Any:
        return self.live().ask(*command)

    def fill(self, count: int, first: int = 0) -> None:
        script = f"for i={first},{first + count - 1} do redis.call('SET', 'key:'..i, string.rep('v', 50)..i) end"
        self.ask("EVAL", script, "0")

    def back_up(self, name: str = "one.rdb") -> Path:
        """A file of the live server, as somebody's script would take it."""
        to = self.folder / name
        subprocess.run(self._cli("--rdb", str(to)), capture_output=True, check=True)
        return to

    def task(self, backup: str = "one.rdb", *, drill: bool = False) -> RestoreTask:
        plan = self.engine().preview(RestorePoint(backup_id=backup), drill=drill)
        return RestoreTask(
            run=self.run, store=STORE, point=RestorePoint(backup_id=backup), drill=drill, facts=plan.facts
        )

    def restored(self, backup: str = "one.rdb", *, drill: bool = False) -> RestoreTask:
        task = self.task(backup, drill=drill)
        self.engine().begin(task)
        self.wait_loaded(task)
        assert self.engine().look(task).state is CopyState.RESTORED, self.engine().look(task)
        return task

    def wait_loaded(self, task: RestoreTask) -> None:
        until(lambda: self.engine().look(task).state is not CopyState.RUNNING, "the copy is loaded")

    def in_copy(self, task: RestoreTask, *command: str) -> Any:
        server = self.engine()._copies.server_of(task.run)
        return server.client(timedelta(seconds=60)).ask(*command)

    def kill_copy(self, task: RestoreTask) -> None:
        pid = self.engine()._copies.server_of(task.run).process()
        assert pid is not None
        os.kill(pid, signal.SIGKILL)

    def _cli(self, *words: str) -> Sequence[str]:
        return ["redis-cli", "-p", str(self.port), "-a", PASSWORD, "--no-auth-warning", *words]

    def _answers(self) -> bool:
        try:
            return bool(self.ask("PING"))
        except (Rejected, RedisLoading):
            return False
