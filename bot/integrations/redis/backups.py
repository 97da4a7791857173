"""The engine of Redis and Valkey: RDB files in a folder, each loaded by a server of our own.

The promise: a file is restored beside the live server, by a server that cannot save, be written or be reached; the live
one is changed by a cutover alone. The trap: with `appendonly yes` a server ignores the file that is put in its place.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bot.core.backup import (
    Backup,
    Check,
    CheckResult,
    Copy,
    CopyState,
    CopyStatus,
    EngineParts,
    Inventory,
    Report,
    RestorePoint,
    RestorePreview,
    RestoreTask,
)
from bot.core.errors import Rejected
from bot.integrations.cutover import CutsOver
from bot.integrations.redis.client import RedisClient, RedisLoading
from bot.integrations.redis.copies import RedisCopies, stamp_of
from bot.integrations.redis.cutover import RedisCutover
from bot.integrations.redis.dumping import dump_program
from bot.integrations.redis.rdb_files import RdbFile, RdbFiles
from bot.integrations.redis.settings import RedisSettings
from bot.integrations.redis.verification import RedisVerification

#: Loading takes somewhat more than the keys took when the file was made.
_HEADROOM = 1.2
_KIB = 1024
_NEVER_RESTORED = (
    "settings, users (ACL) and modules of the server",
    "what has expired since the backup, and replicas",
    "writes after the file was begun, those of the append-only file among them",
)


class RedisEngine(CutsOver):
    """Implements `CutoverEngine` and `BackupTaker` of `core.backup`."""

    title = "Redis"

    def __init__(self, where: RedisSettings, parts: EngineParts) -> None:
        if parts.programs is None:
            raise Rejected(f"The store {parts.store} has no place to run its programs. Set `run: local`.")
        self._where = where
        self._now = parts.now
        self._programs = parts.programs
        self._live = RedisClient(where.url, called="Redis", timeout=where.timeout)
        self._files = RdbFiles(where, parts.programs)
        self._copies = RedisCopies(
            where, self._files, parts.programs, store=parts.store, now=parts.now, pause=parts.pause
        )
        self._verification = RedisVerification(self._copies, self._live)
        self._cutover = RedisCutover(
            where, self._copies, self._files, self._live, programs=parts.programs, pause=parts.pause
        )

    def inventory(self) -> Inventory:
        files = [one.as_backup() for one in self._files.all()]
        attempts = list(self._failed_save())
        return Inventory(backups=tuple(sorted([*attempts, *files], key=lambda one: one.data_at, reverse=True)))

    def preview(self, point: RestorePoint, *, drill: bool) -> RestorePreview:  # noqa: ARG002 (of the protocol)
        file = self._choose(point)
        backup = file.as_backup()
        scratch = Path(self._where.scratch)
        self._refuse_own_folder(scratch)
        _refuse_memory(file)
        path = self._files.path_of(file.name)
        return RestorePreview(
            backup_id=file.name,
            data_at=backup.data_at,
            copy_name=f"{scratch}/vakhta-restore-{{run}}",
            effect=(
                f"A server of our own loads {file.keys:,} keys, reached by a socket of its folder alone.",
                f"It takes about {file.used_memory // _KIB // _KIB:,} MiB of this machine's memory.",
            ),
            preconditions={"file": f"{file.name} {stamp_of(path)}"},
            not_restored=_NEVER_RESTORED,
            moving=tuple(self._moving(file)),
            size_bytes=file.size,
            needs_bytes=file.size,
            free_bytes=_free_bytes(scratch),
            facts={
                "keys": str(file.keys),
                "size": str(file.size),
                "stamp": stamp_of(path),
                "data_at": backup.data_at.isoformat(),
            },
        )

    def begin(self, task: RestoreTask) -> None:
        self._copies.begin(task)

    def look(self, task: RestoreTask) -> CopyStatus:
        return self._copies.look(task)

    def verify(self, task: RestoreTask, checks: Sequence[Check], report: Report) -> Sequence[CheckResult]:
        return self._verification.verify(task, checks, report)

    def isolation_leak(self, task: RestoreTask) -> str:
        """Without its password nobody gets in, and it listens to no port and follows nobody."""
        server = self._copies.server_of(task.run)
        try:
            server.client(self._where.timeout, password="").ask("PING")
        except Rejected as refused:
            if refused.code != "no_entry":
                return f"Whether the copy lets anybody in could not be found out: {refused.message}"
        else:
            return "The copy answers without a password."
        copy = server.client(self._where.timeout)
        if (port := copy.config("port")) != "0":
            return f"The copy listens to port {port}."
        if copy.info("replication").get("role") != "master":
            return "The copy follows another server."
        return ""

    def copies(self) -> Sequence[Copy]:
        return self._copies.copies()

    def remove(self, copy: Copy) -> None:
        self._copies.remove(copy)

    def begin_backup(self, run: str) -> None:
        """A file of the folder, taken over the server's own protocol."""
        if not self._backup_file(run).exists():
            self._programs.start(dump_program(self._where, self._backup_part(run), key=_key(run)))

    def look_backup(self, run: str) -> CopyStatus:
        made, part = self._backup_file(run), self._backup_part(run)
        if made.exists():
            return self._judge_made(made)
        try:
            ended = self._programs.poll(_key(run))
        except LookupError:
            return CopyStatus(state=CopyState.ABSENT)
        if ended is None:
            done = part.stat().st_size if part.exists() else 0
            return CopyStatus(state=CopyState.RUNNING, phase="writing the file", bytes_done=done)
        if ended.code or not part.exists():
            self._programs.stop(_key(run))
            said = ended.stderr.strip().splitlines()[-1:] or [f"redis-cli ended with {ended.code}"]
            return CopyStatus(state=CopyState.FAILED, message=said[0][:200])
        problem = self._files.check(part).problem
        if problem:
            return CopyStatus(state=CopyState.FAILED, message=f"The file was made, and is damaged: {problem}")
        part.replace(made)
        self._programs.stop(_key(run))
        return self._judge_made(made)

    def _judge_made(self, made: Path) -> CopyStatus:
        file = self._files.check(made)
        if file.problem:
            return CopyStatus(state=CopyState.FAILED, message=f"{made.name} cannot be used: {file.problem}")
        return CopyStatus(state=CopyState.RESTORED, message=made.name, bytes_done=file.size, bytes_total=file.size)

    def _backup_file(self, run: str) -> Path:
        """It fits the pattern of the settings, so that it counts among the backups. Raises `Rejected`."""
        first, star, rest = self._where.files.partition("*")
        if not star or set("?[*") & set(first + rest):
            raise Rejected(
                f"No backup was begun: no name can be made from the pattern {self._where.files}. Set the key files to"
                " one with a single *, such as cache-*.rdb."
            )
        return Path(self._where.folder) / f"{first}vakhta-{run[:8]}{rest}"

    def _backup_part(self, run: str) -> Path:
        return Path(self._where.folder) / f".vakhta-{run[:8]}.part"

    def _failed_save(self) -> Iterator[Backup]:
        """The last BGSAVE, if it failed: an attempt at a backup that made no file. A server that is down has none."""
        try:
            told = self._live.info("persistence")
        except (Rejected, RedisLoading):
            return
        if told.get("rdb_last_bgsave_status", "ok") != "ok":
            last = int(told.get("rdb_last_save_time", "0"))
            since = datetime.fromtimestamp(last, UTC) + timedelta(seconds=1)
            yield Backup(id="BGSAVE", data_at=since, problem="the server's last BGSAVE failed; see its log")

    def _choose(self, point: RestorePoint) -> RdbFile:
        if point.at is not None and point.at > self._now():
            raise Rejected("That time is in the future. Nothing was done. Ask for `latest`.", code="future")
        files = self._files.all()
        fitting = [
            one for one in files if not one.problem and (point.at is None or one.as_backup().data_at <= point.at)
        ]
        found = [one for one in files if one.name == point.backup_id] if point.backup_id else fitting
        if not found:
            asked = point.backup_id or (f"of {point.at:%Y-%m-%d %H:%M} UTC or before" if point.at else "that is usable")
            raise Rejected(f"There is no backup {asked}. Nothing was done. See `backups`.", code="no_such_backup")
        if found[0].problem:
            message = f"The backup {found[0].name} cannot be used: {found[0].problem}."
            raise Rejected(f"{message} Nothing was done. Restore from another one.", code="not_usable")
        return found[0]

    def _refuse_own_folder(self, scratch: Path) -> None:
        """A server in the live one's folder would write over its files."""
        try:
            live = self._live.config("dir")
        except (Rejected, RedisLoading):
            return  # Where the live one is down, its folder is not known.
        if live and Path(live).resolve() == scratch.resolve():
            message = "`scratch` is the folder in which the live server keeps its own files."
            raise Rejected(f"{message} Nothing was done. Name another one.", code="live_folder")

    def _moving(self, file: RdbFile) -> Iterator[str]:
        try:
            told, keyspace = self._live.info("persistence"), self._live.ask("DBSIZE")
        except (Rejected, RedisLoading) as error:
            yield f"the live server does not answer: {error or 'it loads'}"
            return
        yield f"{keyspace} keys live, {file.keys} in the file"
        if told.get("aof_enabled") == "1":
            yield "the live server has appendonly yes: it would ignore a file put in its place, and come up empty"


def _key(run: str) -> str:
    return f"redis-backup-{run}"


def _free_bytes(folder: Path) -> int | None:
    there = next((one for one in (folder, *folder.parents) if one.exists()), None)
    return shutil.disk_usage(there).free if there else None


def _refuse_memory(file: RdbFile) -> None:
    """A server that outgrows the machine takes others with it."""
    free = _free_memory()
    needed = int(file.used_memory * _HEADROOM)
    if free is not None and needed > free:
        raise Rejected(
            f"Loading {file.name} takes about {needed // _KIB // _KIB:,} MiB of memory, and this machine has"
            f" {free // _KIB // _KIB:,} MiB. Nothing was done. Restore it on a larger machine.",
            code="no_memory",
        )


def _free_memory() -> int | None:
    """None where the kernel does not say."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    return int(found[0]) * _KIB if found else None
