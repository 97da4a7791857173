"""Writes and reads the log as JSON lines, which any program can check without a database.

The line of an entry is {"body", "entry_id", "leaf", "pos", "raw"}: `raw` has the bytes that were hashed, in base64,
`body` the same for people (null where it has not our format), `leaf` is in hex; `leaf` and `pos` are null until it is
sealed. The last lines are {"checkpoint": {...}} and {"anchor": {...}}, so that an export of the whole log is verified
like the database.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from bot.audit.verify.entry_format import columns_of
from bot.audit.verify.log_reader import (
    BATCH,
    WHOLE_LOG,
    AnchorRow,
    CheckpointRow,
    LogRange,
    LogReader,
    Row,
    UnreadableLog,
)

_OTHERS = (b'{"checkpoint":', b'{"anchor":')
_ALL = 1 << 63


def write_export(log: LogReader, entries: LogRange, to: IO[bytes]) -> int:
    """Returns how many entries were written. Raises `UnreadableLog`, and OSError where writing fails.

    Of a range that ends at a position, larger checkpoints and anchors are left out, and so are unsealed entries.
    """
    count = 0
    for rows in chain(log.sealed(entries), log.unsealed(entries) if entries.end is None else ()):
        to.writelines(map(_line, rows))
        count += len(rows)
    _write_others(log, _ALL if entries.end is None else entries.end, to)
    return count


def _write_others(log: LogReader, most: int, to: IO[bytes]) -> None:
    for one in log.checkpoints():
        if one.size > most:
            break
        values = asdict(one) | {
            "root": _spelled(one.root),
            "frontier": _spelled(one.frontier),
            "note": one.note.decode(errors="replace"),
        }
        to.write(_json({"checkpoint": values}))
    for anchor in log.anchored():
        if anchor.size > most:
            break
        to.write(_json({"anchor": asdict(anchor)}))


def _line(row: Row) -> bytes:
    pos, leaf, entry_id, body = row[:4]
    raw = body if isinstance(body, bytes) else b""
    # In our format it is one line of JSON already; anything else might forge a line.
    shown = _readable(raw) if columns_of(raw) is not None else b"null"
    rest = {"entry_id": entry_id, "leaf": leaf.hex() if isinstance(leaf, bytes) else None, "pos": pos}
    rest |= {"raw": None if body is None else _spelled(raw)}
    return b'{"body":' + shown + b"," + _json(rest)[1:]


def _readable(raw: bytes) -> bytes:
    """The same JSON for people: an entry that was altered may have control sequences for a terminal."""
    return raw if raw.decode(errors="replace").isprintable() else json.dumps(json.loads(raw)).encode()


def _json(values: object) -> bytes:
    return json.dumps(values, separators=(",", ":")).encode() + b"\n"


def _spelled(raw: bytes) -> str:
    return b64encode(raw).decode()


class ExportedLog(LogReader):
    """An export, or a folder of exports (*.jsonl), which are read in the order of their names."""

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self.problem: list[str] = []
        self._files = sorted(path.glob("*.jsonl")) if path.is_dir() else [path]
        if not self._files or not all(file.is_file() for file in self._files):
            raise UnreadableLog(f"{path} is no export: neither a file nor a folder of *.jsonl")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Nothing is open: each file is closed after it was read."""

    def sealed(self, entries: LogRange = WHOLE_LOG) -> Iterator[Sequence[Row]]:
        self.problem.clear()
        return _batches(row for row in self._entries(entries) if row[0] is not None)

    def unsealed(self, entries: LogRange = WHOLE_LOG) -> Iterator[Sequence[Row]]:
        problem = tuple(self.problem)  # the first pass has reported each line already
        yield from _batches(row for row in self._entries(entries) if row[0] is None)
        self.problem[:] = problem

    def start(self) -> int:
        return next((int(row[0]) for row in self._entries(WHOLE_LOG) if row[0] is not None), 0)

    def parts(self) -> None:
        return None

    def checkpoints(self) -> Iterator[CheckpointRow]:
        """All checkpoints are held in memory, and so are anchors: they are at an export's end, but are needed first.

        A checkpoint that is in several files of a folder (where a part was pruned) counts once.
        """
        found = dict.fromkeys(_checkpoint(values) for values in self._others("checkpoint"))
        return iter(sorted(found, key=lambda one: one.size))

    def anchored(self) -> Iterator[AnchorRow]:
        found = dict.fromkeys(_anchored(values) for values in self._others("anchor"))
        return iter(sorted(found, key=lambda one: one.size))

    def _entries(self, entries: LogRange) -> Iterator[Row]:
        assert entries == WHOLE_LOG, "an export is read whole"
        for where, line in self._lines():
            if line.startswith(_OTHERS):
                continue
            try:
                yield self._row(json.loads(line), where)
            except (ValueError, KeyError, TypeError, RecursionError):
                self.problem.append(f"{where} is not a line of an export")

    def _row(self, values: dict[str, object], where: str) -> Row:
        pos, leaf, entry_id, raw = values["pos"], values["leaf"], values["entry_id"], values["raw"]
        body = None if raw is None else b64decode(str(raw), validate=True)
        if not isinstance(pos, int | None) or (body is not None and _spelled(body) != raw):
            raise ValueError(where)
        if body is not None and values["body"] is not None and json.loads(body) != values["body"]:
            self.problem.append(f"{where} shows another body than the one that was hashed")
        return pos, bytes.fromhex(str(leaf)) if leaf is not None else None, entry_id, body

    def _others(self, kind: str) -> Iterator[dict[str, object]]:
        """The lines of that kind. An unreadable one becomes an empty one, which counts as unsigned."""
        for _, line in self._lines():
            if not line.startswith(b'{"%b":' % kind.encode()):
                continue
            try:
                values = json.loads(line)[kind]
            except (ValueError, RecursionError):
                values = None
            yield values if isinstance(values, dict) else {}

    def _lines(self) -> Iterator[tuple[str, bytes]]:
        try:
            for file in self._files:
                with file.open("rb") as lines:
                    for number, line in enumerate(lines, 1):
                        yield f"{file.name}:{number}", line
        except OSError as error:
            raise UnreadableLog(f"{self.name} cannot be read ({error.strerror})") from None


def _batches(rows: Iterator[Row]) -> Iterator[Sequence[Row]]:
    batch: list[Row] = []
    for row in rows:
        batch.append(row)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _checkpoint(values: dict[str, object]) -> CheckpointRow:
    """A value that is missing or has another type becomes an empty one, which does not match the signature."""
    return CheckpointRow(
        size=_number(values.get("size")),
        root=_raw(values.get("root")),
        at=_number(values.get("at")),
        key_id=str(values.get("key_id")),
        note=str(values.get("note")).encode(errors="replace"),
        frontier=_raw(values.get("frontier")),
    )


def _anchored(values: dict[str, object]) -> AnchorRow:
    return AnchorRow(
        size=_number(values.get("size")),
        sink=str(values.get("sink")),
        at=_number(values.get("at")),
        receipt=str(values.get("receipt")),
    )


def _number(value: object) -> int:
    return value if isinstance(value, int) else -1


def _raw(spelled: object) -> bytes:
    try:
        raw = b64decode(str(spelled), validate=True)
    except ValueError:
        return b""
    return raw if _spelled(raw) == spelled else b""
