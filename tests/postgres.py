"""A private PostgreSQL for one test run: its own cluster in a temporary directory, gone when the context ends.

Should the run be killed, the server ends with it and leaves the directory. It listens on a free loopback port and
trusts whoever reaches that. Nothing is synced to the disk, so it shows what our statements do on PostgreSQL and not
what a power cut does. PostgreSQL refuses to run as root; then it runs as an unprivileged user of the machine.
"""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg

from tests.running import TIED, free_port

_INSTALLED = Path("/usr/lib/postgresql")
_OWNER = "vakhta"
_STARTS_WITHIN_S = 60.0
_FAST = (
    "fsync=off",
    "full_page_writes=off",
    "max_connections=200",
    "shared_buffers=32MB",
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
)


def why_not() -> str:
    """What is missing, "" when nothing is."""
    if _programs() is None:
        return f"not installed: postgres and initdb under {_INSTALLED} (Debian package postgresql)"
    return "" if os.geteuid() or _unprivileged() else "PostgreSQL does not run as root, and there is no user to run it"


def cut(url: str) -> None:
    """End every connection of the bot to its database, as a restart of the server does."""
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def backends(url: str) -> list[int]:
    """The server's processes that serve connections of the bot to its database."""
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as admin:
        found = admin.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        return [pid for (pid,) in found]


@contextmanager
def stopped(*pids: int) -> Iterator[None]:
    """These processes do nothing while the block lasts: their sockets stay open, and the kernel takes what is sent."""
    try:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        yield
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


class Postgres:
    """One cluster; every `url` is of a fresh database in it."""

    def __init__(self) -> None:
        self._place = Path()
        self._port = 0
        self._server: subprocess.Popen[bytes] | None = None
        self._count = itertools.count(1)

    def __enter__(self) -> Self:
        self._place = Path(tempfile.mkdtemp(prefix="vakhta-postgres-"))
        self._port = free_port()
        user = _unprivileged() if os.geteuid() == 0 else None
        if user is not None:
            os.chown(self._place, user.pw_uid, user.pw_gid)
        try:
            self._start(user)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._server is not None:
            # SIGQUIT ends PostgreSQL without a last checkpoint: nobody will read this cluster again.
            self._server.send_signal(signal.SIGQUIT)
            self._server.wait(_STARTS_WITHIN_S)
        shutil.rmtree(self._place, ignore_errors=True)

    def url(self, database: str = "test", *, like: str = "template1") -> str:
        """SQLAlchemy's URL of a new database; `database` is what its name begins with, `like` what it is a copy of."""
        name = f"{database}_{next(self._count)}"
        with self._connect() as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{like}"'.encode())
        return f"postgresql+psycopg://{_OWNER}@127.0.0.1:{self._port}/{name}"

    @property
    def port(self) -> int:
        return self._port

    @contextmanager
    def silent(self) -> Iterator[None]:
        """All processes of the server are stopped: connections are taken by the kernel, and nobody answers."""
        assert self._server is not None
        pid = self._server.pid
        with stopped(pid), stopped(*_children(pid)):  # the first one first, so that it starts no others meanwhile
            yield

    def _start(self, user: pwd.struct_passwd | None) -> None:
        programs = _programs()
        assert programs is not None, why_not()
        cluster, log = self._place / "cluster", self._place / "log"
        who = {} if user is None else {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        made = subprocess.run(
            [programs / "initdb", "-D", cluster, "-U", _OWNER, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"],
            capture_output=True,
            check=False,
            cwd=self._place,
            **who,  # type: ignore[call-overload]  # mypy cannot see which keywords these are
        )
        assert made.returncode == 0, f"initdb failed: {made.stderr.decode()}"
        settings = [part for one in _FAST for part in ("-c", one)]
        with log.open("wb") as out:
            self._server = subprocess.Popen(
                [*TIED, programs / "postgres", "-D", cluster, "-p", str(self._port), *settings],
                stdout=out,
                stderr=out,
                cwd=self._place,
                **who,  # type: ignore[call-overload]  # as above
            )
        self._wait_for_answer(log)

    def _wait_for_answer(self, log: Path) -> None:
        assert self._server is not None
        deadline = time.monotonic() + _STARTS_WITHIN_S
        while True:
            try:
                self._connect().close()
            except psycopg.OperationalError:
                alive = self._server.poll() is None and time.monotonic() < deadline
                assert alive, f"PostgreSQL did not start: {log.read_text()}"
                time.sleep(0.02)
            else:
                return

    def _connect(self) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(
            host="127.0.0.1", port=self._port, user=_OWNER, dbname="postgres", autocommit=True, connect_timeout=60
        )


def _children(pid: int) -> list[int]:
    """Of a process with one thread, from the kernel: a bare system has no `ps`."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _programs() -> Path | None:
    """Where the newest installed version has its programs."""
    found = [path.parent for path in _INSTALLED.glob("*/bin/postgres") if (path.parent / "initdb").exists()]
    return max(found, key=lambda path: float(path.parent.name)) if found else None


def _unprivileged() -> pwd.struct_passwd | None:
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    return None
