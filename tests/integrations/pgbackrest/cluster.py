"""A real PostgreSQL that archives into a real repository of pgBackRest, and the engine over both.

PostgreSQL refuses to run as root; then all its programs run as an unprivileged user of the machine, as in
tests/postgres.py. So the place of it all is no tmp_path, which only root may enter.
"""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg

from bot.core.backup import CopyState, CopyStatus, EngineParts, RestorePoint, RestoreTask
from bot.core.programs import Ended, Program
from bot.integrations.pgbackrest.backups import PgBackRestEngine
from bot.integrations.pgbackrest.settings import PgBackRestSettings
from bot.integrations.programs.local import LocalPrograms
from tests.postgres import _programs, _unprivileged
from tests.running import free_port, until

ROLE = "vakhta"
STANZA = "orders"
_RUNS = itertools.count(1)


def why_not() -> str:
    if shutil.which("pgbackrest") is None:
        return "pgbackrest is not installed (Debian package pgbackrest)"
    return "PostgreSQL is not installed" if _programs() is None else ""


def new_run() -> str:
    """The id of a run: its first eight characters are different in every test."""
    return f"{os.getpid() % 65536:04x}{next(_RUNS):04x}" + "0" * 24


class ServersUser:
    """Runs the programs of the bot as the user that PostgreSQL runs as, to whom its folder then belongs."""

    def __init__(self, place: Path) -> None:
        self.local = LocalPrograms()
        self.seen: list[Program] = []
        self._place = place

    def run(self, program: Program) -> Ended:
        return self.local.run(self._as_user(program))

    def start(self, program: Program) -> None:
        self.local.start(self._as_user(program))

    def poll(self, key: str) -> Ended | None:
        return self.local.poll(key)

    def stop(self, key: str) -> None:
        self.local.stop(key)

    def _as_user(self, program: Program) -> Program:
        self.seen.append(program)
        user = _unprivileged() if os.geteuid() == 0 else None
        if user is None:
            return program
        give(self._place, user)
        ids = ["--reuid", str(user.pw_uid), "--regid", str(user.pw_gid), "--clear-groups"]
        return replace(program, argv=["setpriv", *ids, "--", *program.argv])


def give(place: Path, user: pwd.struct_passwd) -> None:
    for folder, _, files in os.walk(place):
        os.chown(folder, user.pw_uid, user.pw_gid)
        for name in files:
            with suppress(FileNotFoundError):
                os.chown(f"{folder}/{name}", user.pw_uid, user.pw_gid, follow_symlinks=False)


class Cluster:
    """The source, its repository and a folder for copies, gone when the context ends."""

    def __enter__(self) -> Self:
        assert not why_not(), why_not()
        self.place = Path(tempfile.mkdtemp(prefix="vkt-", dir=os.environ.get("PYTEST_DEBUG_TEMPROOT")))
        self.copies = self.place / "c"
        self.data = self.place / "live"
        self.repository = self.place / "repo"
        self.config = self.place / "pgbackrest.conf"
        self.port = free_port()
        self.copies.mkdir()
        self.tablespace = self.place / "fast"
        self.tablespace.mkdir()
        self._bin = _programs()
        self._user = _unprivileged() if os.geteuid() == 0 else None
        self.programs = ServersUser(self.place)
        try:
            self._make()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for pidfile in self.place.glob("**/postmaster.pid"):
            with suppress(OSError, ValueError):
                os.kill(int(pidfile.read_text().split("\n", 1)[0]), 3)
        with suppress(AssertionError):
            until(lambda: not any(self.place.glob("**/postmaster.pid")), "all servers have ended", within_s=10)
        shutil.rmtree(self.place, ignore_errors=True)

    @property
    def reached(self) -> Path:
        """A file that a copy makes when it runs commands of its source."""
        return self.place / "reached"

    @property
    def url(self) -> str:
        return f"postgresql://{ROLE}@/postgres?host={self.place}&port={self.port}"

    def engine(self, **changes: object) -> PgBackRestEngine:
        """`changes`: keys of the settings."""
        given: dict[str, object] = {
            "stanza": STANZA,
            "config": str(self.config),
            "url": self.url,
            "folder": str(self.copies),
            "role": ROLE,
            "ports": [free_port(), 65535],
            "parameters": {"fsync": "off", "shared_buffers": "16MB"},
        }
        where = PgBackRestSettings.model_validate({**given, **changes})
        parts = EngineParts(store="orders", now=lambda: datetime.now(UTC), pause=_pause, programs=self.programs)
        return PgBackRestEngine(where, parts)

    def execute(self, *statements: str) -> list[tuple[object, ...]]:
        """The rows of the last one."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            for statement in statements:
                cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def archived(self) -> str:
        """End the segment that is written, and wait until it is archived; its name."""
        [(segment,)] = self.execute("SELECT pg_walfile_name(pg_current_wal_insert_lsn())")
        self.execute("SELECT pg_switch_wal()")
        asked = (
            f"SELECT last_archived_wal ~ '^[0-9A-F]{{24}}$' AND last_archived_wal >= '{segment}' FROM pg_stat_archiver"
        )
        until(lambda: self.execute(asked) == [(True,)], f"{segment} is archived")
        return str(segment)

    def backup(self, kind: str) -> str:
        """Make one; its label."""
        self.pgbackrest("backup", f"--type={kind}")
        return str(self.engine().inventory().backups[0].id)

    def pgbackrest(self, *words: str) -> None:
        self._run(["pgbackrest", f"--config={self.config}", f"--stanza={STANZA}", *words])

    def repository_copy(self) -> Path:
        """A repository to damage."""
        place = self.place / f"damaged-{next(_RUNS)}"
        shutil.copytree(self.repository, place, symlinks=True)
        return place

    def _make(self) -> None:
        for folder in (self.place, self.copies):
            folder.chmod(0o755)
        if self._user is not None:
            give(self.place, self._user)
        assert self._bin is not None
        self._run(
            [
                str(self._bin / "initdb"),
                "-D",
                str(self.data),
                "-U",
                ROLE,
                "-A",
                "trust",
                "-E",
                "UTF8",
                "--locale=C",
                "-N",
            ]
        )
        self.config.write_text(
            f"[global]\nrepo1-path={self.repository}\nrepo1-bundle=y\nlock-path={self.place}/lock\n"
            f"log-level-file=off\nspool-path={self.place}/spool\nstart-fast=y\narchive-timeout=60\n"
            f"compress-level=1\nrepo1-retention-full=9\n"
            f"[{STANZA}]\npg1-path={self.data}\npg1-port={self.port}\npg1-socket-path={self.place}\npg1-user={ROLE}\n"
            # For restores of the live cluster, each of which would lead a copy elsewhere.
            f"[global:restore]\nlink-all=y\ndb-include=reports\ntablespace-map=fast={self.place}/fast\n"
            f"recovery-option=recovery_end_command=touch {self.reached}\n"
            f"[{STANZA}:restore]\npg1-host=live.invalid\n"
        )
        with (self.data / "postgresql.conf").open("a") as file:
            file.write(
                f"port = {self.port}\nlisten_addresses = ''\nunix_socket_directories = '{self.place}'\nfsync = off\n"
                f"archive_mode = on\nwal_level = replica\nmax_connections = 120\nshared_buffers = 16MB\n"
                f"archive_command = 'pgbackrest --config={self.config} --stanza={STANZA} archive-push %p'\n"
            )
        if self._user is not None:
            give(self.place, self._user)
        self._run(
            [str(self._bin / "pg_ctl"), "start", "-D", str(self.data), "-l", f"{self.place}/live.log", "-w", "-s"]
        )
        self.pgbackrest("stanza-create")

    def _run(self, argv: Sequence[str]) -> None:
        who = {} if self._user is None else {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []}
        ended = subprocess.run(argv, capture_output=True, check=False, cwd=self.place, **who)  # type: ignore[call-overload]
        assert ended.returncode == 0, f"{argv}: {ended.stdout.decode()} {ended.stderr.decode()}"


def restored(engine: PgBackRestEngine, task: RestoreTask) -> CopyStatus:
    """Look until it is restored or has failed."""
    engine.begin(task)
    status = engine.look(task)
    deadline = time.monotonic() + 120
    while status.state in (CopyState.RUNNING, CopyState.WAITING) and time.monotonic() < deadline:
        time.sleep(0.05)
        status = engine.look(task)
    return status


def task_of(engine: PgBackRestEngine, point: RestorePoint, *, drill: bool = False) -> RestoreTask:
    """As a plan makes it."""
    preview = engine.preview(point, drill=drill)
    resolved = replace(point, backup_id=preview.backup_id, latest=point.latest or not point.backup_id)
    if point.at:
        resolved = replace(resolved, latest=False)
    return RestoreTask(run=new_run(), store="orders", point=resolved, drill=drill, facts=preview.facts)


def _pause(much: timedelta) -> None:
    time.sleep(min(0.05, much.total_seconds()))
