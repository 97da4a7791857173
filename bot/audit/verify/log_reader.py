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
