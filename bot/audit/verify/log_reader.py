"""Where the rows of an audit log come from: what the walk needs, whatever holds it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

#: (pos, leaf, entry_id, body), and behind them what the columns say, in the order of `form.NAMES`; an export has none.
#: pos and leaf are None of what is not sealed, all but the first three of an entry that is gone.
Row = tuple[Any, ...]

#: Rows that are fetched at once: enough that asking costs nothing, little enough that nobody notices them in memory.
BATCH = 1000


class UnreadableLog(Exception):
    """Whether the log is whole cannot be said, because it cannot be read; the text says why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckpointRow:
    """A row of audit_checkpoint."""

    size: int
    root: bytes
    at: int  #: microseconds since 1970
    key_id: str
    note: bytes
    frontier: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class AnchorRow:
    """A row of audit_anchor: a checkpoint that is known to somebody outside."""

    size: int
    sink: str
    at: int
    receipt: str


@dataclass(frozen=True, kw_only=True, slots=True)
class LogRange:
    """Which entries are wanted; times are microseconds since 1970, `until` and `end` are not included."""

    since: int | None = None
    until: int | None = None
    incident: int | None = None
    first: int | None = None  #: positions; only of what is sealed
    end: int | None = None

    def places(self) -> str:
        """SQL for seals called s, and their entries."""
        parts = [
            f"s.pos >= {self.first:d}" if self.first is not None else "",
            f"s.pos < {self.end:d}" if self.end is not None else "",
            self.condition(),
        ]
        return " AND ".join(filter(None, parts))

    def condition(self) -> str:
        """SQL for entries called e; numbers only, so nothing has to be bound."""
        parts = [
            f"e.at >= {self.since:d}" if self.since is not None else "",
            f"e.at < {self.until:d}" if self.until is not None else "",
            f"e.incident_id = {self.incident:d}" if self.incident is not None else "",
        ]
        return " AND ".join(filter(None, parts)) or "1 = 1"


WHOLE_LOG = LogRange()


class LogReader(AbstractContextManager["LogReader"], Protocol):
    """One log, opened for reading, as it stood at one moment. Every method raises `UnreadableLog`."""

    name: str
    problem: Sequence[str]  #: what was wrong with the container itself, known once everything was read

    def sealed(self, entries: LogRange = WHOLE_LOG) -> Iterator[Sequence[Row]]:
        """By position, in batches. With a part, entries that are gone are left out."""
        ...

    def unsealed(self, entries: LogRange = WHOLE_LOG) -> Iterator[Sequence[Row]]:
        """By id."""
        ...

    def start(self) -> int:
        """The least position that there is, 0 where there is none."""
        ...

    def parts(self) -> tuple[int, Callable[[], LogReader]] | None:
        """How many seals there are, and how another process opens the log; None where it can only be read whole."""
        ...

    def checkpoints(self) -> Iterator[CheckpointRow]:
        """By size."""
        ...

    def anchored(self) -> Iterator[AnchorRow]:
        """By size."""
        ...


def checkpoint_of(row: Row) -> CheckpointRow:
    """From the columns of its statement; whatever a row may hold once its table lost its constraints."""
    size, root, at, key_id, note, frontier = row
    return CheckpointRow(
        size=_number(size),
        root=_raw(root),
        at=_number(at),
        key_id=_text(key_id),
        note=_raw(note),
        frontier=_raw(frontier),
    )


def anchored_of(row: Row) -> AnchorRow:
    size, sink, at, receipt = row
    return AnchorRow(size=_number(size), sink=_text(sink), at=_number(at), receipt=_text(receipt))


def _number(value: object) -> int:
    return value if isinstance(value, int) else -1


def _raw(value: object) -> bytes:
    return value if isinstance(value, bytes) else b""


def _text(value: object) -> str:
    return _raw(value).decode(errors="replace")


COUNT = "SELECT count(*) FROM audit_seal"
START = "SELECT coalesce(min(pos), 0) FROM audit_seal"


def statements(text: str) -> tuple[str, str, str, str]:
    """SQL for sealed, unsealed, checkpoints and anchored. `text` wraps a column of text so that it comes as bytes.

    The first two have a place {} for a `LogRange`'s condition. LEFT JOIN: a seal whose entry is gone has to be seen.
    """
    texts = {name: text.format(f'e."{name}"') for name in ("code", "run", "by", "verb", "target", "place", "uid")}
    columns = ("e.body, e.at, {code}, {run}, e.incident_id, {by}, {verb}, {target}, {place}, {uid}").format(**texts)
    unsealed = "SELECT o.id FROM audit_entry AS o LEFT JOIN audit_seal AS s ON s.entry_id = o.id WHERE s.pos IS NULL"
    return (
        (
            f"SELECT s.pos, s.leaf, s.entry_id, {columns} FROM audit_seal AS s"
            " LEFT JOIN audit_entry AS e ON e.id = s.entry_id WHERE {} ORDER BY s.pos"
        ),
        f"SELECT NULL, NULL, e.id, {columns} FROM audit_entry AS e WHERE e.id IN ({unsealed}) AND {{}} ORDER BY e.id",
        (
            f"SELECT size, root, at, {text.format('key_id')}, {text.format('note')}, frontier"
            " FROM audit_checkpoint ORDER BY size"
        ),
        f"SELECT size, {text.format('sink')}, at, {text.format('receipt')} FROM audit_anchor ORDER BY size, id",
    )
