"""The other systems, each started as its own documents say, helped and not hindered: logs quiet, no auth, fresh data.

Each is a context manager that stops its processes by pid. `port` is where it listens on loopback.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import LiteralString, Self

import psycopg
from psycopg import sql

from bench.load import Unmeasurable
from bench.process import Process, answers, free_port

_ALERTA = ("alerta-server==9.1.0", "gunicorn", "psycopg2-binary")
_ALERTMANAGER = """
route: {receiver: nobody, group_by: [service]}
receivers: [{name: nobody}]
"""


@contextlib.contextmanager
def alertmanager(at: Path) -> Iterator[tuple[int, Process]]:
    """Debian's, with nobody to notify: it has less to do than a real one. Gives the port of its API and the process."""
    program = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
    if program is None:
        said = "no Alertmanager; `apt-get install prometheus-alertmanager` and run again"
        raise Unmeasurable(said)
    with scratch(at, "alertmanager") as home:
        (home / "am.yml").write_text(_ALERTMANAGER)
        port = free_port()
        flags = [
            f"--config.file={home}/am.yml",
            f"--storage.path={home}",
            "--cluster.listen-address=",
            "--log.level=warn",
        ]
        process = Process([program, *flags, f"--web.listen-address=127.0.0.1:{port}"], log=home / "log")
        try:
            process.wait_for(lambda: answers(f"http://127.0.0.1:{port}/-/ready"), "Alertmanager")
            yield port, process
        finally:
            process.stop()


class Postgres:
    """A cluster of its own, C collation, everything else as PostgreSQL comes (fsync and synchronous_commit on)."""

    def __init__(self, at: Path) -> None:
        self._home = Path(tempfile.mkdtemp(prefix="pg-", dir=at))
        self._bin = newest_postgres()
        self._user = _unprivileged()
        self.port = free_port()
        self.login = self._user or pwd.getpwuid(os.getuid()).pw_name
        self._made = 0
        self._process: Process | None = None

    def __enter__(self) -> Self:
        if self._user:
            shutil.chown(self._home, self._user)
        log = self._home / "log"
        made = Process(
            [self._bin / "initdb", "-D", self._home / "db", "--locale=C", "-E", "UTF8", "-A", "trust"],
            log=log, user=self._user, cwd=self._home,
        )  # fmt: skip
        made.wait_for(lambda: not made.alive(), "initdb", within_s=60)
        flags = ["-c", "listen_addresses=127.0.0.1", "-c", "shared_buffers=256MB", "-c", "max_wal_size=2GB"]
        self._process = Process(
            [self._bin / "postgres", "-D", self._home / "db", "-k", self._home, "-p", str(self.port), *flags],
            log=log, user=self._user, cwd=self._home,
        )  # fmt: skip
        self._process.wait_for(self._takes_connections, "PostgreSQL")
        return self

    def __exit__(self, *_: object) -> None:
        if self._process:
            self._process.stop(signal.SIGINT)  # A fast shutdown: sessions are ended, data is flushed.
        shutil.rmtree(self._home, ignore_errors=True)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def new_database(self) -> str:
        """Its name; empty, C collation."""
        self._made += 1
        name = f"bench_{self._made}"
        with psycopg.connect(self._conninfo("postgres"), autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
        return name

    def drop(self, database: str) -> None:
        """With whoever is still connected, so that nobody vacuums it while something else is measured."""
        with psycopg.connect(self._conninfo("postgres"), autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(database)))

    def url(self, database: str, driver: str = "") -> str:
        return f"postgresql{driver}://{self.login}@127.0.0.1:{self.port}/{database}"

    def ask(self, database: str, query: LiteralString) -> list[tuple[int, ...]]:
        with psycopg.connect(self._conninfo(database), autocommit=True) as connection:
            return connection.execute(query).fetchall()

    def _conninfo(self, database: str) -> str:
        return f"host=127.0.0.1 port={self.port} user={self.login} dbname={database}"

    def _takes_connections(self) -> bool:
        try:
            psycopg.connect(self._conninfo("postgres")).close()
        except psycopg.OperationalError:
            return False
        return True


@contextlib.contextmanager
def alerta(at: Path, postgres: Postgres, *, install: bool) -> Iterator[tuple[int, Process]]:
    """Alerta on that PostgreSQL with two workers. `install`: make its virtualenv where there is none yet."""
    python = _alerta_venv(install=install)
    with scratch(at, "alerta") as home:
        database = postgres.new_database()
        (home / "alertad.conf").write_text(
            "DEBUG = False\nAUTH_REQUIRED = False\nLOG_LEVEL = 'WARNING'\nPLUGINS = []\n"
        )
        env = {
            "ALERTA_SVR_CONF_FILE": str(home / "alertad.conf"),
            "DATABASE_URL": postgres.url(database),
            "SECRET_KEY": "bench",
            "DEBUG": "0",
        }
        port = free_port()
        flags = ["-w", "2", "-b", f"127.0.0.1:{port}", "--preload", "--log-level", "warning", "alerta:create_app()"]
        process = Process([python, "-m", "gunicorn", *flags], log=home / "log", env=env, cwd=home)
        try:
            process.wait_for(lambda: answers(f"http://127.0.0.1:{port}/management/healthcheck"), "Alerta")
            yield port, process
        finally:
            process.stop(within_s=10)
            postgres.drop(database)


@contextlib.contextmanager
def scratch(at: Path, name: str) -> Iterator[Path]:
    """A directory that is gone afterwards."""
    home = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=at))
    try:
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _alerta_venv(*, install: bool) -> Path:
    home = Path(__file__).parent.parent / ".venv-alerta"
    python = home / "bin" / "python"
    if (home / "made").exists():
        return python
    if not install:
        said = "Alerta is not installed yet and --quick does not install; `make bench` makes .venv-alerta once"
        raise Unmeasurable(said)
    for command in (
        [sys.executable, "-m", "venv", "--clear", str(home)],
        [str(python), "-m", "pip", "install", "--quiet", *_ALERTA],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
        if done.returncode:
            raise Unmeasurable(f"Alerta could not be installed: {done.stderr.strip()[-300:]}")
    (home / "made").touch()
    return python


def newest_postgres() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    on_path = shutil.which("postgres")
    if not found and on_path is None:
        said = "no PostgreSQL; `apt-get install postgresql` and run again"
        raise Unmeasurable(said)
    return (found[-1] if found else Path(str(on_path))).parent


def _unprivileged() -> str | None:
    """Whom to run PostgreSQL as: it refuses root. None: as whoever runs the bench."""
    if os.getuid() != 0:
        return None
    with contextlib.suppress(KeyError):
        return pwd.getpwnam("postgres").pw_name
    return "nobody"
