"""Anchors as they are found outside of the database: lines of a file or out of a chat, or a signed note on its own.

A line counts when `SIZE ROOT` stands in it, as words; what is before it does not matter, so what was copied out of a
chat will do. Where the signed note follows in base64, its signature counts as well, and so it does of a file that is a
note as a whole (an object out of S3).

The trap: a line that cannot be read vouches for nothing, and what vouches for nothing agrees with a log that was cut.
So in a file as the bot writes it every line has to be whole, and each that is not is told as `DamagedAnchor`.
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
    """Text of a file of the bot's own in which no whole anchor stands."""

    where: str
    text: str
    after: int  #: the largest size that a whole line before it names, 0 where there is none
    before: int | None  #: the size that the next whole line names; None where it is the last


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundAnchors:
    """What was found in a file or a folder."""

    anchors: tuple[FoundAnchor, ...]
    damaged: tuple[DamagedAnchor, ...] = ()


def find_anchors(path: Path, *, own: bool = False) -> FoundAnchors:
    """What that file vouches for; of a folder, what all files in it do.

    `own`: the bot writes it, so that every line of it has to be whole, also where none is.

    Raises:
        Unreadable: it cannot be read, or holds no anchor at all; then it would seem to agree with anything.
    """
    try:
        if path.is_dir():
            return _in_folder(path, own=own)
        note = _note(path)
        found = FoundAnchors(anchors=(note,)) if note is not None else _lines(path, own=own)
    except OSError as error:
        raise UnreadableLog(f"{path} cannot be read ({error.strerror})") from None
    if not found.anchors:
        raise UnreadableLog(f"{path} holds no anchor; one is a line with SIZE ROOT, or a signed checkpoint")
    return found


def line_of(size: int, root: bytes, note: bytes) -> str:
    """A checkpoint as the bot writes it into its file, without the end of the line."""
    return f"{size} {b64encode(root).decode()} {b64encode(note).decode()}"


def _in_folder(path: Path, *, own: bool) -> FoundAnchors:
    if own:
        raise UnreadableLog(f"{path}, which is a folder, and the bot writes a file")
    files = sorted(file for file in path.rglob("*") if not file.is_dir())
    if not files:
        raise UnreadableLog(f"{path} holds no anchor, nor any file")
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
    rest: str = ""  #: what of it is no anchor, as far as the bot has written this file
    own: bool = False  #: whether only the bot writes such a line, because there is a signed note in it


def _lines(path: Path, *, own: bool) -> FoundAnchors:
    with path.open(encoding="utf-8", errors="replace", newline="\n") as lines:
        found = [_read(line.strip(), f"{path}:{number}") for number, line in enumerate(lines, 1)]
    anchors = tuple(one.anchor for one in found if one.anchor is not None)
    return FoundAnchors(
        anchors=anchors, damaged=_damaged(found, own=own) if own or any(one.own for one in found) else ()
    )


def _read(line: str, where: str) -> _Line:
    """A line of the bot is known by its note, which says size and root once more; so also behind one that is torn."""
    word = line.rpartition(" ")[2]
    note = _behind(word)
    if note is not None and line.endswith(whole := line_of(note.size, note.root, b64decode(word))):
        anchor = FoundAnchor(size=note.size, root=note.root, where=where, note=note)
        return _Line(where=where, anchor=anchor, rest=line.removesuffix(whole), own=True)
    found = _LINE.search(line)
    if found is None:
        return _Line(where=where, rest=line)
    anchor = FoundAnchor(size=int(found[1]), root=b64decode(found[2]), where=where, note=note)
    in_chat = found.start() > 0 and found[3] is None
    # A note that says something else is judged as the signature that it is; a word that is none is damage.
    return _Line(where=where, anchor=anchor, rest="" if note or in_chat else line, own=note is not None)


def _damaged(found: list[_Line], *, own: bool) -> tuple[DamagedAnchor, ...]:
    """`own`: nobody but the bot writes into that file, and it writes no blank line."""
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


def _behind(word: str | None) -> SignedNote | None:
    try:
        return read(b64decode(word, validate=True)) if word else None
    except (ValueError, MalformedNote):
        return None
