"""Reads anchors from outside of the database: lines of a file or of a chat, or a file that is a signed note.

A line counts when it has the words `SIZE ROOT`; text before them does not matter, so lines copied from a chat are fine.
Where the signed note follows in base64, its signature is verified as well; so is that of a file that is a signed note
as a whole (an object from S3).

The trap: an unreadable line proves nothing, and so would agree with a log that was cut. Therefore every line of a file
that the bot writes has to be whole, and each that is not is reported as `DamagedAnchor`.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from dataclasses import dataclass
from pathlib import Path

from bot.audit.verify.checkpoints import FoundAnchor
from bot.audit.verify.log_reader import UnreadableLog
from bot.audit.verify.signed_note import MalformedNote, SignedNote, read

_LINE = re.compile(r"(?<!\S)(0|[1-9][0-9]{0,18}) ([A-Za-z0-9+/]{43}=)(?:\s+(\S+))?\s*$")
_LARGEST_NOTE = 64 * 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class DamagedAnchor:
    """Text without a whole anchor in a file that the bot writes."""

    where: str
    text: str
    after: int  #: the largest size in a whole line before it, 0 where there is none
    before: int | None  #: the size in the next whole line; None where it is the last


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundAnchors:
    """The anchors of a file or a folder."""

    anchors: tuple[FoundAnchor, ...]
    damaged: tuple[DamagedAnchor, ...] = ()


def find_anchors(path: Path, *, own: bool = False) -> FoundAnchors:
    """The anchors in that file, or in all files of that folder.

    `own`: the bot writes this file, so every line has to be whole, even if no line can be recognized.

    Raises:
        UnreadableLog: it cannot be read, or has no anchor at all; else it would seem to agree with any log.
    """
    try:
        if path.is_dir():
            return _in_folder(path, own=own)
        note = _note(path)
        found = FoundAnchors(anchors=(note,)) if note is not None else _lines(path, own=own)
    except OSError as error:
        raise UnreadableLog(f"{path} cannot be read ({error.strerror})") from None
    if not found.anchors:
        raise UnreadableLog(f"{path} has no anchor; an anchor is a line with SIZE ROOT, or a signed checkpoint")
    return found


def line_of(size: int, root: bytes, note: bytes) -> str:
    """A checkpoint as the bot writes it into its file, without the end of the line."""
    return f"{size} {b64encode(root).decode()} {b64encode(note).decode()}"


def _in_folder(path: Path, *, own: bool) -> FoundAnchors:
    if own:
        raise UnreadableLog(f"{path}, which is a folder; the bot writes a file")
    files = sorted(file for file in path.rglob("*") if not file.is_dir())
    if not files:
        raise UnreadableLog(f"{path} has no anchor, because it has no file")
    found = [find_anchors(file) for file in files]
    return FoundAnchors(
        anchors=tuple(anchor for one in found for anchor in one.anchors),
        damaged=tuple(damaged for one in found for damaged in one.damaged),
    )


def _note(path: Path) -> FoundAnchor | None:
    if path.stat().st_size > _LARGEST_NOTE:
        return None
    try:
        note = read(path.read_bytes())
    except MalformedNote:
        return None
    return FoundAnchor(size=note.size, root=note.root, where=str(path), note=note)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Line:
    where: str
    anchor: FoundAnchor | None = None
    rest: str = ""  #: the text that is not part of the anchor: damage, if the bot writes this file
    own: bool = False  #: whether only the bot can have written the line, because it has a signed note


def _lines(path: Path, *, own: bool) -> FoundAnchors:
    with path.open(encoding="utf-8", errors="replace", newline="\n") as lines:
        found = [_read(line.strip(), f"{path}:{number}") for number, line in enumerate(lines, 1)]
    anchors = tuple(one.anchor for one in found if one.anchor is not None)
    return FoundAnchors(
        anchors=anchors, damaged=_damaged(found, own=own) if own or any(one.own for one in found) else ()
    )


def _read(line: str, where: str) -> _Line:
    """A line of the bot is recognized by its note, which repeats size and root, even after a partial line."""
    word = line.rpartition(" ")[2]
    note = _note_in(word)
    if note is not None and line.endswith(whole := line_of(note.size, note.root, b64decode(word))):
        anchor = FoundAnchor(size=note.size, root=note.root, where=where, note=note)
        return _Line(where=where, anchor=anchor, rest=line.removesuffix(whole), own=True)
    found = _LINE.search(line)
    if found is None:
        return _Line(where=where, rest=line)
    anchor = FoundAnchor(size=int(found[1]), root=b64decode(found[2]), where=where, note=note)
    in_chat = found.start() > 0 and found[3] is None
    # A note that does not match is judged later by its signature; a last word that is no note is damage.
    return _Line(where=where, anchor=anchor, rest="" if note or in_chat else line, own=note is not None)


def _damaged(found: list[_Line], *, own: bool) -> tuple[DamagedAnchor, ...]:
    """`own`: only the bot writes into that file, and it writes no blank line."""
    sizes = [one.anchor.size if one.anchor is not None else 0 for one in found]
    return tuple(
        DamagedAnchor(
            where=one.where,
            text=one.rest,
            after=max(sizes[:index], default=0),
            before=next((size for size in sizes[index + (not one.own) :] if size), None),
        )
        for index, one in enumerate(found)
        if one.rest or (own and one.anchor is None)
    )


def _note_in(word: str | None) -> SignedNote | None:
    try:
        return read(b64decode(word, validate=True)) if word else None
    except (ValueError, MalformedNote):
        return None
