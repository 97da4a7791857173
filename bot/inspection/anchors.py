"""Anchors as they are found outside of the database: lines of a file or out of a chat, or a signed note on its own.

A line counts when `SIZE ROOT` stands in it, as words; what is before it does not matter, so what was copied out of a
chat will do. Where the signed note follows in base64, its signature counts as well, and so it does of a file that is a
note as a whole (an object out of S3).
"""

from __future__ import annotations

import re
from base64 import b64decode
from pathlib import Path

from bot.inspection.evidence import Unreadable
from bot.inspection.marks import Anchor
from bot.inspection.note import Malformed, Note, read

_LINE = re.compile(r"(?<!\S)(0|[1-9][0-9]{0,18}) ([A-Za-z0-9+/]{43}=)(?:\s+(\S+))?\s*$")
_LARGEST_NOTE = 64 * 1024


def anchors_in(path: Path) -> list[Anchor]:
    """What that file vouches for; of a folder, what all files in it do.

    Raises:
        Unreadable: it cannot be read, or holds no anchor at all; then it would seem to agree with anything.
    """
    try:
        if path.is_dir():
            return [anchor for file in sorted(path.iterdir()) if file.is_file() for anchor in anchors_in(file)]
        found = _note(path) or _lines(path)
    except OSError as error:
        raise Unreadable(f"{path} cannot be read ({error.strerror})") from None
    if not found:
        raise Unreadable(f"{path} holds no anchor; one is a line with SIZE ROOT, or a signed checkpoint")
    return found


def _note(path: Path) -> list[Anchor]:
    if path.stat().st_size > _LARGEST_NOTE:
        return []
    try:
        note = read(path.read_bytes())
    except Malformed:
        return []
    return [Anchor(size=note.size, root=note.root, where=str(path), note=note)]


def _lines(path: Path) -> list[Anchor]:
    with path.open(encoding="utf-8", errors="replace") as lines:
        return [
            Anchor(size=int(found[1]), root=b64decode(found[2]), where=f"{path}:{number}", note=_behind(found[3]))
            for number, line in enumerate(lines, 1)
            if (found := _LINE.search(line))
        ]


def _behind(word: str | None) -> Note | None:
    try:
        return read(b64decode(word, validate=True)) if word else None
    except (ValueError, Malformed):
        return None
