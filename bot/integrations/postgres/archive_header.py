"""The first bytes of an archive of pg_dump: when it was begun, of which database, and by which versions.

Read here and not by `pg_restore --list`, which prints the wall clock of the dumping machine as if it were of the zone
of the reading one; and because a folder of a thousand archives would need a thousand programs.
From ReadHead in src/bin/pg_dump/pg_backup_archiver.c of PostgreSQL 9.6 to 18.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

_MAGIC = b"PGDMP"
ENOUGH = 8192
#: What pg_dump -Ft puts first, behind a block of tar.
_FIRST_IN_TAR, _TAR_BLOCK = b"toc.dat\0", 512
#: The versions of the format from which on a field is there.
_COMPRESSION_BYTE, _VERSIONS, _OLDEST = (1, 15), (1, 10), (1, 10)
_FORMATS = {1: "custom", 3: "tar", 5: "directory"}
_LONGEST_NAME = 4096


class NotAnArchive(Exception):
    """The file does not begin as an archive does. `args[0]`: why, after its name."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ArchiveHeader:
    """`begun`: the dumping machine's wall clock, with `fold` set when its summer time was not in effect."""

    begun: datetime
    database: str
    server_version: str  #: of the server that was dumped: "15.20 (Debian 15.20-0+deb12u1)"
    dump_version: str  #: of pg_dump
    format: str  #: custom, tar, directory


def read_header(path: Path) -> ArchiveHeader:
    """Of a file, or of a folder that pg_dump -Fd wrote. Raises `NotAnArchive`, `OSError`."""
    if path.is_dir():
        with (path / "toc.dat").open("rb") as contents:
            return _parse(contents.read(ENOUGH), "directory")
    with path.open("rb") as file:
        return header_of(file.read(ENOUGH))


def header_of(begin: bytes) -> ArchiveHeader:
    """`begin`: the first bytes of a file, `ENOUGH` of them where it has so many. Raises `NotAnArchive`."""
    if not begin:
        raise NotAnArchive("is empty")
    if begin.startswith(_MAGIC):
        return _parse(begin, "custom")
    if begin.startswith(_FIRST_IN_TAR) and begin[257:262] == b"ustar":
        return _parse(begin[_TAR_BLOCK:], "tar")
    raise NotAnArchive("is no archive of pg_dump -Fc, -Fd or -Ft")


def _parse(begin: bytes, how: str) -> ArchiveHeader:
    reader = _Reader(begin)
    try:
        if reader.take(len(_MAGIC)) != _MAGIC:
            raise NotAnArchive("is no archive of pg_dump")
        version = (reader.byte(), reader.byte())
        reader.byte()  # the revision
        if version < _OLDEST:
            raise NotAnArchive(f"has the format {version[0]}.{version[1]}, of a PostgreSQL before 8.0")
        reader.integer_size = reader.byte()
        reader.byte()  # the size of offsets
        found = reader.byte()
        if version >= _COMPRESSION_BYTE:
            reader.byte()
        else:
            reader.integer()
        begun = _moment([reader.integer() for _ in range(7)])
        database, server, dump = reader.text(), reader.text(), reader.text()
    except (EOFError, ValueError, OverflowError):
        raise NotAnArchive("is cut off in its first bytes") from None
    return ArchiveHeader(
        begun=begun,
        database=database,
        server_version=server,
        dump_version=dump,
        format=how if how != "custom" else _FORMATS.get(found, how),
    )


def _moment(parts: list[int]) -> datetime:
    """As in C's struct tm."""
    second, minute, hour, day, month, year, summer = parts
    return datetime(  # noqa: DTZ001 (the zone is that of a machine which the archive does not name)
        1900 + year, month + 1, day, hour, minute, min(second, 59), fold=0 if summer > 0 else 1
    )


class _Reader:
    """Integers are a byte of sign and `integer_size` bytes, the least first; texts are a length and bytes."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)
        self.integer_size = 4

    def take(self, count: int) -> bytes:
        found = self._data.read(count)
        if len(found) < count:
            raise EOFError
        return found

    def byte(self) -> int:
        return self.take(1)[0]

    def integer(self) -> int:
        negative = self.byte() != 0
        value = int.from_bytes(self.take(self.integer_size), "little")
        return -value if negative else value

    def text(self) -> str:
        length = self.integer()
        if length > _LONGEST_NAME:
            raise ValueError(length)
        return self.take(max(0, length)).decode(errors="replace")
