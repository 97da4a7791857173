"""Copies of a Redis store: a server of our own for each, in a folder of its own, with a socket and no port.

The promise: the file is copied first and loaded by a server that can neither save over it nor be written by anybody
without the password that lies beside it: no append-only file (a server with one ignores the RDB file and comes up
empty), no save points (a server with them overwrites the file when it ends), a replica of nobody.

The server is not a child of the bot: it outlives a restart of the bot, and is found by its folder.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydantic import SecretStr

from bot.core.backup import Copy, CopyState, CopyStatus, RestoreTask
from bot.core.errors import Conflict, OutcomeUnknown, Rejected
from bot.core.programs import Program, Programs
from bot.integrations.programs.one_at_a_time import one_at_a_time
from bot.integrations.redis.client import RedisClient, RedisLoading
from bot.integrations.redis.rdb_files import RdbFiles
from bot.integrations.redis.settings import RedisSettings

#: Runs its arguments in a session of their own and waits for their end. The server leaves this program to go into the
#: background, and until it has, it belongs to the session of whoever started it, all of which is ended with that.
_DETACHED = (
    "import os,sys\n"
    "child=os.fork()\n"
    "if not child:\n"
    "    os.setsid()\n"
    "    os.execvp(sys.argv[1],sys.argv[1:])\n"
    "sys.exit(os.waitstatus_to_exitcode(os.waitpid(child,0)[1]))"
)
_PREFIX = "vakhta-restore-"
_CHUNK = 8 * 1024 * 1024
_STARTED_WITHIN = timedelta(minutes=1)
_STOPPED_WITHIN = timedelta(minutes=1)
_POLL = timedelta(milliseconds=200)
#: The longest path of a socket, less its end: https://man7.org/linux/man-pages/man7/unix.7.html
_SOCKET_PATH = 107
_FATAL = ("Fatal error", "Wrong signature", "Short read", "Terminating server", "aborting now", "Can't handle RDB")


@dataclass(frozen=True, kw_only=True, slots=True)
class ScratchServer:
    """Where one copy is."""

    folder: Path

    @property
    def file(self) -> Path:
        return self.folder / "dump.rdb"

    @property
    def part(self) -> Path:
        return self.folder / "dump.rdb.part"

    @property
    def log(self) -> Path:
        return self.folder / "redis.log"

    @property
    def config(self) -> Path:
        return self.folder / "redis.conf"

    def label(self) -> dict[str, str]:
        """Empty for a folder that is not ours."""
        try:
            read = json.loads((self.folder / "label.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return {str(key): str(value) for key, value in read.items()} if isinstance(read, dict) else {}

    def client(self, timeout: timedelta, db: int | None = None, *, password: str | None = None) -> RedisClient:
        word = self.label().get("password", "") if password is None else password
        url = f"unix://:{word}@{self.folder}/redis.sock" if word else f"unix://{self.folder}/redis.sock"
        return RedisClient(SecretStr(url), called="The copy's server", timeout=timeout, db=db)

    def fatal(self) -> str:
        """Why it could not load its file, by the end of its log; "" when nothing is said."""
        said = self.log.read_text(errors="replace").splitlines()[-20:] if self.log.exists() else []
        fatal = [line for line in said if any(word in line for word in _FATAL)]
        return (fatal[0].partition(" # ")[2] or fatal[0])[:200] if fatal else ""

    def process(self) -> int | None:
        """The id of its process; None when it does not run. A number that another program has now is not taken: the
        server works in its folder.
        """
        try:
            pid = int((self.folder / "redis.pid").read_text(encoding="utf-8"))
            works_in = Path(f"/proc/{pid}/cwd").resolve(strict=True)
        except (OSError, ValueError):
            return None
        return pid if works_in == self.folder.resolve() else None


class RedisCopies:
    """All copies of one store."""

    def __init__(
        self,
        where: RedisSettings,
        files: RdbFiles,
        programs: Programs,
        *,
        store: str,
        now: Callable[[], datetime],
        pause: Callable[[timedelta], None],
    ) -> None:
        self._where = where
        self._files = files
        self._programs = programs
        self._store = store
        self._now = now
        self._pause = pause

    def server_of(self, run: str) -> ScratchServer:
        """`run`: the whole id, or its short form."""
        return ScratchServer(folder=Path(self._where.scratch) / f"{_PREFIX}{run[:8]}")

    def begin(self, task: RestoreTask) -> None:
        """As `core.backup.Restorer`; blocks until the file is copied and its server runs."""
        server = self.server_of(task.run)
        self._claim(server, task)
        with one_at_a_time(server.folder) as mine:
            if not mine:
                return  # It is being begun: two of them would write into one file, and start two servers on it.
            if not server.file.exists():
                self._copy_file(server, task)
            if server.process() is None:
                self.start(server)

    def start(self, server: ScratchServer, *, port: int = 0, file: str = "dump.rdb") -> None:
        """Start its server with that file. `port`: of all interfaces, 0 for none."""
        server.log.unlink(missing_ok=True)  # what it says is of this start
        server.config.touch(mode=0o600)
        server.config.write_text(_configuration(server, port, file), encoding="utf-8")
        program = Program(
            key=f"redis-server-{server.folder.name}",
            argv=[sys.executable, "-I", "-S", "-c", _DETACHED, self._where.server_program, str(server.config)],
            time_limit=_STARTED_WITHIN,
        )
        ended = self._programs.run(program)
        if "FileNotFoundError" in ended.stderr:
            message = f"The program {self._where.server_program} is not installed on the bot's machine."
            raise Rejected(f"{message} Nothing was restored. Install it.", code="no_program")
        if ended.code:
            said = ended.stdout.decode(errors="replace").strip().splitlines()[-1:] or [ended.stderr]
            raise Rejected(f"The copy's server did not start: {said[0][:200]} Nothing was restored.", code="no_server")
        until = self._now() + _STARTED_WITHIN
        # It goes into the background before it has written its process's number.
        while server.process() is None and not server.fatal() and self._now() < until:
            self._pause(_POLL)

    def look(self, task: RestoreTask) -> CopyStatus:
        """As `core.backup.Restorer`."""
        server = self.server_of(task.run)
        label = server.label()
        if label.get("run") != task.run:
            return CopyStatus(state=CopyState.ABSENT)
        total = int(task.facts.get("size", "0")) or None
        if not server.file.exists():
            return self._copied_so_far(server, total)
        try:
            loaded = server.client(self._where.timeout).info("persistence")
        except RedisLoading:
            return CopyStatus(state=CopyState.RUNNING, phase="loading", bytes_total=total)
        except Rejected as refused:
            return self._silent(server, refused)
        if loaded.get("loading") == "1":
            done = int(loaded.get("loading_loaded_bytes", "0"))
            return CopyStatus(state=CopyState.RUNNING, phase="loading", bytes_done=done, bytes_total=total)
        return _judge_loaded(task, loaded, total)

    def _copied_so_far(self, server: ScratchServer, total: int | None) -> CopyStatus:
        with one_at_a_time(server.folder) as nobody_copies:
            if nobody_copies:
                return CopyStatus(state=CopyState.ABSENT, message="the copying of the file was cut off")
        done = server.part.stat().st_size if server.part.exists() else 0
        return CopyStatus(state=CopyState.RUNNING, phase="copying the file", bytes_done=done, bytes_total=total)

    def copies(self) -> Sequence[Copy]:
        """As `core.backup.Restorer`."""
        found = []
        for folder in sorted(Path(self._where.scratch).glob(f"{_PREFIX}*")):
            label = ScratchServer(folder=folder).label()
            if label.get("store") == self._store:
                created = datetime.fromisoformat(label["at"]) if "at" in label else None
                found.append(
                    Copy(run=label["run"], name=folder.name, created_at=created, drill=label.get("drill") == "yes")
                )
        return found

    def remove(self, copy: Copy) -> None:
        """As `core.backup.Restorer`."""
        server = self.server_of(copy.run)
        if not server.folder.exists():
            return
        label = server.label()
        if label.get("run") != copy.run or label.get("store") != self._store or copy.name != server.folder.name:
            raise Rejected(f"{copy.name} is not the copy of run {copy.run[:8]}. Nothing was removed.", code="not_ours")
        if label.get("cutover"):
            message = f"{copy.name} holds what was live before the cutover {label['cutover'][:8]}."
            raise Rejected(f"{message} Nothing was removed. Ask to remove the old one instead.", code="in_use")
        self.discard(server)

    def discard(self, server: ScratchServer) -> None:
        """Stop its server and delete its folder."""
        self.stop(server)
        shutil.rmtree(server.folder, ignore_errors=True)
        if server.folder.exists():
            raise Rejected(f"{server.folder} could not be deleted completely. Delete it by hand.", code="not_removed")

    def stop(self, server: ScratchServer) -> None:
        """End its server without saving. Raises `OutcomeUnknown`."""
        with suppress(Rejected, OutcomeUnknown, RedisLoading):
            server.client(self._where.timeout).change("SHUTDOWN", "NOSAVE")
        until, killed = self._now() + _STOPPED_WITHIN, False
        while (pid := server.process()) is not None:
            if self._now() >= until and not killed:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                killed, until = True, self._now() + _STOPPED_WITHIN
            elif self._now() >= until:
                raise OutcomeUnknown(f"The copy's server (process {pid}) does not end. End it by hand.")
            self._pause(_POLL)

    def _claim(self, server: ScratchServer, task: RestoreTask) -> None:
        label = server.label()
        if label and label.get("run") != task.run:
            raise Conflict(f"{server.folder.name} is of another restore. Nothing was done.")
        if label:
            return
        if len(f"{server.folder}/redis.sock") > _SOCKET_PATH:
            message = f"The path of {server.folder} is too long for a socket."
            raise Rejected(f"{message} Nothing was done. Set `scratch` to a shorter one.", code="path_too_long")
        try:
            server.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            message = f"The folder {server.folder} cannot be made ({type(error).__name__}). Nothing was done."
            raise Rejected(f"{message} Check `scratch`.", code="no_folder") from None
        self.write_label(
            server,
            {
                "run": task.run,
                "store": self._store,
                "at": self._now().astimezone(UTC).isoformat(),
                "drill": "yes" if task.drill else "",
                "password": secrets.token_hex(24),
            },
        )

    def write_label(self, server: ScratchServer, label: dict[str, str]) -> None:
        """Complete or not at all."""
        part = server.folder / "label.json.part"
        part.touch(mode=0o600)
        part.write_text(json.dumps(label), encoding="utf-8")
        part.replace(server.folder / "label.json")

    def _copy_file(self, server: ScratchServer, task: RestoreTask) -> None:
        source = self._files.path_of(task.point.backup_id)
        if (was := task.facts.get("stamp")) and was != stamp_of(source):
            raise Conflict(f"{source.name} was overwritten since the plan. Nothing was restored.")
        try:
            with source.open("rb") as old, server.part.open("wb") as new:
                shutil.copyfileobj(old, new, _CHUNK)
                new.flush()
                os.fsync(new.fileno())
        except OSError as error:
            server.part.unlink(missing_ok=True)
            why = os.strerror(error.errno) if error.errno else type(error).__name__
            message = f"{source.name} could not be copied to {server.folder}: {why}. Nothing was restored."
            raise Rejected(f"{message} Make room there, then restore again.", code="not_copied") from None
        server.part.replace(server.file)

    def _silent(self, server: ScratchServer, refused: Rejected) -> CopyStatus:
        """A server that does not answer: it has failed at the file, is starting, or was ended from outside."""
        if server.process() is not None:
            if refused.code != "unreachable":
                raise refused
            return CopyStatus(state=CopyState.RUNNING, phase="starting")
        if why := server.fatal():
            return CopyStatus(state=CopyState.FAILED, message=f"Redis could not load the file: {why}")
        return CopyStatus(state=CopyState.ABSENT, message="the copy's server was ended")


def stamp_of(path: Path) -> str:
    """What changes when a file is overwritten. Raises `Rejected`."""
    try:
        stat = path.stat()
    except OSError:
        raise Rejected(f"{path.name} is gone. Nothing was done.", code="no_such_backup") from None
    return f"{stat.st_size} {stat.st_mtime_ns}"


def _judge_loaded(task: RestoreTask, loaded: Mapping[str, str], total: int | None) -> CopyStatus:
    """All keys of the file were read: loaded, or expired already."""
    expected = int(task.facts.get("keys", "0"))
    if "rdb_last_load_keys_loaded" in loaded:  # since Redis 7.0
        read = int(loaded["rdb_last_load_keys_loaded"]) + int(loaded.get("rdb_last_load_keys_expired", "0"))
        if read < expected:
            message = f"The copy has {read:,} keys, and the file {expected:,}. Remove it, then restore again."
            return CopyStatus(state=CopyState.FAILED, message=message)
    if loaded.get("aof_enabled") == "1":
        return CopyStatus(state=CopyState.FAILED, message="The copy's server has an append-only file; it read no RDB.")
    return CopyStatus(state=CopyState.RESTORED, bytes_done=total, bytes_total=total)


def _configuration(server: ScratchServer, port: int, file: str) -> str:
    """Nothing of the live server's own file: only what loading needs."""
    lines = {
        "port": str(port),
        "unixsocket": f'"{server.folder}/redis.sock"',
        "unixsocketperm": "700",
        "requirepass": server.label()["password"],
        "dir": f'"{server.folder}"',
        "dbfilename": file,
        "appendonly": "no",
        "save": '""',
        "daemonize": "yes",
        "pidfile": f'"{server.folder}/redis.pid"',
        "logfile": f'"{server.log}"',
        "databases": "1024",
        "repl-diskless-sync-delay": "0",  # a cutover has one replica, and nobody else to wait for
    }
    return "\n".join(f"{key} {value}" for key, value in lines.items()) + "\n"
