"""Stores a checkpoint where the owner of the database cannot change it: a file, a bucket with Object Lock, a chat.

Each anchor takes (size, root, signed note) and returns a receipt, or raises `Rejected`: as far as is known, the
checkpoint is not there. Each of them may get the same checkpoint twice.
"""

from __future__ import annotations

import os
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bot.core.channel import Messenger
from bot.core.errors import Rejected, Undelivered

PutAnchor = Callable[[int, bytes, str], str]
#: Stores (key, body) so that nobody can delete it before a time, and returns its version. Raises `Rejected`.
Keep = Callable[[str, bytes, datetime | None], str]


def to_file(path: Path) -> PutAnchor:
    """One line per checkpoint, SIZE ROOT NOTE (the note in base64); it counts once it is synced to the disk.

    A line that was only partly written (a crash, a full disk) is ended by the next one. The file may be append-only, so
    nothing is removed from it, and the verifier can tell a partial line from damage.
    """

    def put(size: int, root: bytes, note: str) -> str:
        line = f"{size} {b64encode(root).decode()} {b64encode(note.encode()).decode()}\n"
        try:
            with open(path, "ab", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
                torn = b"\n" if _torn(path, file.tell()) else b""
                start = file.tell() + len(torn)
                file.write(torn + line.encode("ascii"))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise Rejected(f"{path} was not written: {error.strerror}") from None
        return f"{path}@{start}"

    return put


def _torn(path: Path, size: int) -> bool:
    """Whether its last line has no newline. False also where the file cannot be read (a write-only file)."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, size - 1))
            return file.read(1) not in (b"\n", b"")
    except OSError:
        return False


def to_bucket(keep: Keep, bucket: str, prefix: str, *, retained: timedelta | None) -> PutAnchor:
    """One object per checkpoint, PREFIX/SIZE.note. `retained`: how long nobody can delete it; None: as the bucket says.

    `keep` stores an object in that bucket.
    """

    def put(size: int, root: bytes, note: str) -> str:
        del root  # it is in the note
        key = f"{prefix.rstrip('/')}/{size}.note"
        until = None if retained is None else datetime.now(UTC) + retained
        return f"s3://{bucket}/{key} {keep(key, note.encode(), until)}"

    return put


def to_chat(channel: Messenger, to: str | None) -> PutAnchor:
    """One message per checkpoint, by `Messenger.post`."""

    def put(size: int, root: bytes, note: str) -> str:
        del note  # too long for a message; it is enough that people have seen the root
        try:
            return channel.post(f"audit log: {size} {b64encode(root).decode()}", to)
        except Undelivered as trouble:
            raise Rejected(trouble.message) from None

    return put
