"""The RDB files of a folder, each checked from its first byte to its checksum by redis-check-rdb.

Its output tells when the file was begun (the fork of BGSAVE: its data are of that moment), how many keys it has, and
whether it is the base of an append-only file, which has none of the writes after it. A file that is still written has
no end yet and fails the check. The check reads everything, so its result is kept until name, size or time change.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

from bot.core.backup import Backup
from bot.core.errors import OutcomeUnknown, Rejected
from bot.core.programs import Program, Programs
from bot.integrations.redis.settings import RedisSettings

_CHECKED_WITHIN = timedelta(minutes=30)
_AUX = re.compile(r"AUX FIELD ([\w-]+) = '([^']*)'")
_KEYS = re.compile(r"^\[info\] (\d+) keys read", re.MULTILINE)
_ERROR = re.compile(r"^--- RDB ERROR DETECTED ---\n(?:\[offset \d+\] )?(.*)$", re.MULTILINE)
#: Fewer keys than this part of the file before it are told.
_HALF = 0.5


@dataclass(frozen=True, kw_only=True, slots=True)
class RdbFile:
    """One file. `keys`: all of it, those that have expired among them."""

    name: str
    size: int
    mtime_ns: int
    begun: datetime
    keys: int = 0
    used_memory: int = 0
    version: str = ""
    problem: str = ""
    damage: str = ""

    def as_backup(self) -> Backup:
        written = datetime.fromtimestamp(self.mtime_ns / 1e9, UTC)
        return Backup(
            id=self.name,
            data_at=min(self.begun, written),
            finished_at=written,
            size_bytes=self.size,
            duration=max(written - self.begun, timedelta(0)),
            problem=self.problem,
            damage=self.damage,
            kind="full",
        )


class RdbFiles:
    """All of one store's."""

    def __init__(self, where: RedisSettings, programs: Programs) -> None:
        self._where = where
        self._programs = programs
        self._checked: dict[str, RdbFile] = {}

    def all(self) -> Sequence[RdbFile]:
        """The newest first. Raises `Rejected`."""
        found = []
        for path in self._paths():
            try:
                stat = path.stat()
            except FileNotFoundError:
                continue  # it was removed in between
            known = self._checked.get(path.name)
            if known is None or (known.size, known.mtime_ns) != (stat.st_size, stat.st_mtime_ns):
                known = self._check(path, stat.st_size, stat.st_mtime_ns)
            found.append(known)
        self._checked = {one.name: one for one in found}
        return _with_neighbours(sorted(found, key=lambda one: (one.begun, one.mtime_ns), reverse=True))

    def path_of(self, file: str) -> Path:
        """Of a file that was listed. Raises `Rejected`."""
        if file in {path.name for path in self._paths()}:
            return Path(self._where.folder) / file
        raise Rejected(
            f"There is no file {file} in the folder of the backups. Nothing was done.", code="no_such_backup"
        )

    def check(self, path: Path) -> RdbFile:
        """Any file, now. Raises `Rejected`."""
        stat = path.stat()
        return self._check(path, stat.st_size, stat.st_mtime_ns)

    def _paths(self) -> Sequence[Path]:
        folder = Path(self._where.folder)
        if not folder.is_dir():
            message = f"The folder {folder} of the backups is not there."
            raise Rejected(f"{message} Nothing was done. Mount it, or correct `folder`.", code="no_folder")
        try:
            return [path for path in folder.glob(self._where.files) if path.is_file()]
        except OSError as error:
            raise Rejected(
                f"The folder {folder} of the backups cannot be read ({type(error).__name__}). Nothing was done.",
                code="no_folder",
            ) from None

    def _check(self, path: Path, size: int, mtime_ns: int) -> RdbFile:
        written = datetime.fromtimestamp(mtime_ns / 1e9, UTC)
        file = RdbFile(name=path.name, size=size, mtime_ns=mtime_ns, begun=written)
        program = Program(
            key=f"check-rdb-{path}",
            argv=[self._where.check_program, str(path)],
            time_limit=_CHECKED_WITHIN,
        )
        try:
            ended = self._programs.run(program)
        except OutcomeUnknown as unknown:
            return replace(file, problem=f"its check did not end: {unknown.message}")
        said = ended.stdout.decode(errors="replace")
        aux = dict(_AUX.findall(said))
        file = replace(
            file,
            begun=_moment(aux, written),
            keys=_number(_KEYS, said),
            used_memory=int(aux.get("used-mem") or 0),
            version=aux.get("redis-ver", ""),
        )
        return replace(file, problem=_problem(ended.code, said, aux))


def _problem(code: int, said: str, aux: Mapping[str, str]) -> str:
    if code:
        error = _ERROR.search(said)
        return f"redis-check-rdb: {error[1] if error else f'ended with {code}'}"
    if aux.get("aof-base") == "1":
        return "it is the base of an append-only file, without the writes after it"
    return ""


def _with_neighbours(files: Sequence[RdbFile]) -> Sequence[RdbFile]:
    """Says of a usable file when the one before it had many more keys: a server that lost its data goes on saving."""
    usable = [one for one in files if not one.problem]
    before = {one.name: older for one, older in pairwise(usable)}
    found = []
    for one in files:
        older = before.get(one.name)
        if older is not None and older.keys and not one.keys:
            found.append(replace(one, problem=f"it has no keys; {older.name} before it has {older.keys:,}"))
        elif older is not None and one.keys < older.keys * _HALF:
            damage = f"it has {one.keys:,} keys; {older.name} before it has {older.keys:,}"
            found.append(replace(one, damage=damage))
        else:
            found.append(one)
    return found


def _moment(aux: Mapping[str, str], written: datetime) -> datetime:
    seconds = aux.get("ctime", "")
    return datetime.fromtimestamp(int(seconds), UTC) if seconds.isdecimal() else written


def _number(pattern: re.Pattern[str], said: str) -> int:
    found = pattern.search(said)
    return int(found[1]) if found else 0
