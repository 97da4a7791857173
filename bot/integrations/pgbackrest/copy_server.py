"""The server of one restored cluster: configured, started, asked how it stands, and stopped.

The promises: it has nothing of its source's configuration, never archives, and a drill's has no network address. It is
started detached (pg_ctl makes it the leader of a session of its own), so the copy of a person outlives the bot. A
server that accepts connections may still be in recovery, and a paused one is for ever: neither is a restored copy.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import quote, urlencode
from uuid import uuid4

from bot.core.errors import OutcomeUnknown, Rejected
from bot.core.programs import Ended, Program, Programs
from bot.integrations.pgbackrest import copy_settings
from bot.integrations.pgbackrest.copy_folder import CopyFolder, Label
from bot.integrations.pgbackrest.recovery_log import failure_in
from bot.integrations.pgbackrest.repository import environment_of, secrets_of
from bot.integrations.pgbackrest.settings import PgBackRestSettings
from bot.integrations.postgres.connection import PostgresRefused, PostgresServer

_LIMIT = timedelta(minutes=2)
_ANSWER = timedelta(seconds=10)
#: Seconds in which pg_ctl sees that it runs, or has failed; its recovery may take longer, and goes on.
_STARTS_IN = "5"
_LOG_READ = 256 * 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerState:
    """What the server says of itself."""

    recovering: bool
    paused: bool = False
    timeline: int = 0  #: of the WAL that it writes; 0 while it is in recovery
    newest_commit: datetime | None = None  #: that was replayed; None when there was none, or after a restart


class CopyServer:
    """`version`: the major version of PostgreSQL, "15"."""

    def __init__(self, where: PgBackRestSettings, programs: Programs, folder: CopyFolder, version: str) -> None:
        self._where = where
        self._programs = programs
        self._folder = folder
        self._bin = Path(where.postgres_programs.replace("{version}", version))

    def start(self, label: Label) -> None:
        """Write its configuration and start it, without waiting for the end of its recovery. Raises `Rejected`."""
        folder, listen = self._folder, "" if label.drill else self._where.listen
        control = self._run("pg_controldata", str(folder.data)).decode(errors="replace")
        auto = folder.data / "postgresql.auto.conf"
        try:
            recovery = copy_settings.recovery_lines(auto.read_text())
            auto.write_text(copy_settings.auto_settings(recovery))
            text = copy_settings.server_settings(
                folder,
                port=label.port,
                listen=listen,
                control=control,
                parameters=self._where.parameters,
                name=f"vakhta {label.run[:8]}",
            )
            (folder.settings / "postgresql.conf").write_text(text)
            (folder.settings / "pg_hba.conf").write_text(copy_settings.access_rules(listen=listen))
            (folder.settings / "pg_ident.conf").write_text("")
        except OSError as error:
            raise Rejected(
                f"The copy in {folder.path} cannot be configured: {error.strerror}.", code="folder"
            ) from None
        said = self._ended("pg_ctl", "start", "-D", str(folder.settings), "-l", str(folder.log), "-w", "-t", _STARTS_IN)
        if said.code and self.pid() is None and not failure_in(self.log()):
            raise self._failed("pg_ctl", said)

    def stop(self, *, at_once: bool) -> None:
        """End it; one that does not run is fine.

        Raises:
            OutcomeUnknown: it runs still.
        """
        if self.pid() is None:
            return
        mode = "immediate" if at_once else "fast"
        with suppress(Rejected):
            self._run("pg_ctl", "stop", "-D", str(self._folder.settings), "-m", mode, "-w", "-t", "60", "-s")
        if self.pid() is not None:
            with suppress(Rejected):
                self._run("pg_ctl", "stop", "-D", str(self._folder.settings), "-m", "immediate", "-w", "-t", "60", "-s")
        if self.pid() is not None:
            raise OutcomeUnknown(f"PostgreSQL of {self._folder.path} does not end. Nothing was removed.")

    def pid(self) -> int | None:
        """Its process; None when it does not run. A number that another process has now is not it."""
        try:
            pid = int((self._folder.data / "postmaster.pid").read_text().split("\n", 1)[0])
            os.kill(pid, 0)
        except (OSError, ValueError) as error:
            if not isinstance(error, PermissionError):
                return None
        try:
            return pid if Path(f"/proc/{pid}/cwd").samefile(self._folder.data) else None
        except OSError:
            return None  # Of another user, too: after a reboot, somebody's service has the number.

    def ask(self) -> ServerState | None:
        """None: it does not answer yet."""
        try:
            with self.server().connect(limit=_ANSWER, read_only=True) as connection:
                if connection.value("SELECT pg_is_in_recovery()"):
                    paused = connection.value("SELECT pg_get_wal_replay_pause_state()") == "paused"
                    newest = connection.value("SELECT pg_last_xact_replay_timestamp()")
                    return ServerState(recovering=True, paused=paused, newest_commit=newest)
                [(timeline, newest)] = connection.rows(
                    "SELECT ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int,"
                    " pg_last_xact_replay_timestamp()"
                )
                return ServerState(recovering=False, timeline=timeline, newest_commit=newest)
        except PostgresRefused as refused:
            if "does not exist" in refused.message:
                raise Rejected(
                    f"The copy does not let the bot in: {refused.message} Set where.role to a superuser of the cluster."
                ) from None
            return None  # It starts, or its recovery ended between two of the questions.

    def settings_that_leak(self, *, drill: bool) -> str:
        """What of its settings would let it reach out, or of a drill be reached; "" if nothing. Raises `Rejected`."""
        wanted = {**_APART, **(_UNREACHABLE if drill else {})}
        with self.server().connect(limit=_ANSWER, read_only=True) as connection:
            shown = dict(connection.rows("SELECT name, setting FROM pg_settings WHERE name = ANY(%s)", [list(wanted)]))
        wrong = [f"{name} is {shown.get(name)!r}" for name, value in wanted.items() if shown.get(name) != value]
        return "; ".join(wrong)

    def server(self, database: str = "postgres") -> PostgresServer:
        """By its socket, whose folder nobody but the bot's own user can enter."""
        label = self._folder.label()
        port = label.port if label else 0
        query = urlencode({"host": str(self._folder.socket), "port": port})
        return PostgresServer(f"postgresql://{quote(self._where.role, safe='')}@/{quote(database, safe='')}?{query}")

    def log(self) -> str:
        """The end of its log, since the last start."""
        try:
            with self._folder.log.open("rb") as file:
                file.seek(0, os.SEEK_END)
                file.seek(max(0, file.tell() - _LOG_READ))
                text = file.read().decode(errors="replace")
        except OSError:
            return ""
        return text[max(0, text.rfind("starting PostgreSQL")) :]

    def _run(self, name: str, *words: str) -> bytes:
        ended = self._ended(name, *words)
        if ended.code:
            raise self._failed(name, ended)
        return ended.stdout

    def _failed(self, name: str, ended: Ended) -> Rejected:
        last = (ended.stderr.strip().splitlines() or [f"it ended with {ended.code}"])[-1]
        return Rejected(f"{name} of the copy in {self._folder.path} failed: {last}. See {self._folder.log}.")

    def _ended(self, name: str, *words: str) -> Ended:
        """Not with a shell of ours. What it starts gets pgBackRest's secrets, since it fetches WAL."""
        program = Program(
            key=f"{name}-{uuid4().hex}",
            argv=[str(self._bin / name), *words],
            secrets=secrets_of(self._where),
            environment={**environment_of(self._where), **_environment(self._folder)},
            time_limit=_LIMIT,
        )
        try:
            return self._programs.run(program)
        except OutcomeUnknown as unknown:
            raise Rejected(f"{unknown.message} See {self._folder.log}.", code="unreachable") from None


def free_port(ports: tuple[int, int], taken: frozenset[int]) -> int:
    """Raises `Rejected`: all are in use."""
    for port in range(ports[0], ports[1] + 1):
        if port not in taken and _is_free(port):
            return port
    raise Rejected(
        f"All ports from {ports[0]} to {ports[1]} are in use, so the copy was not started. Remove a copy, or set ports."
    )


def connects(port: int) -> bool:
    """Whether anybody takes a TCP connection on that port of this machine."""
    for host in ("127.0.0.1", "::1"):
        with suppress(OSError), socket.create_connection((host, port), timeout=2):
            return True
    return False


_UNREACHABLE: Mapping[str, str] = {"listen_addresses": ""}
_APART: Mapping[str, str] = {
    "archive_mode": "off",
    "archive_cleanup_command": "",
    "recovery_end_command": "",
    "primary_conninfo": "",
    "max_logical_replication_workers": "0",
}


def _is_free(port: int) -> bool:
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _environment(folder: CopyFolder) -> Mapping[str, str]:
    """For the archive-get that its server calls. A spool of its own: the stanza's usual one is production's."""
    return {
        "PGBACKREST_SPOOL_PATH": str(folder.path / "spool"),
        "PGBACKREST_LOG_LEVEL_CONSOLE": "info",
        "PGBACKREST_LOG_LEVEL_FILE": "off",
    }
