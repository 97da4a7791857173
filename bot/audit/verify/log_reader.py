"""The protocol by which the verifier reads a log, and the rows of it; a database or an export implements it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

#: (pos, leaf, entry_id, body), then the values of the columns in the order of `entry_format.NAMES`; an export has none.
#: pos and leaf are None in an unsealed entry; all but the first three are None where the entry is missing.
Row = tuple[Any, ...]

#: How many rows are fetched at once: enough to make the round trips cheap, few enough to need little memory.
BATCH = 1000


class UnreadableLog(Exception):
    """The log cannot be read, so it cannot be verified; the text says why."""


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
    """A row of audit_anchor: a checkpoint that was stored outside."""

    size: int
    sink: str
    at: int
    receipt: str


@dataclass(frozen=True, kw_only=True, slots=True)
class LogRange:
    """Which entries to read; times are microseconds since 1970, `until` and `end` are not included."""

    since: int | None = None
    until: int | None = None
    incident: int | None = None
    first: int | None = None  #: positions; only for sealed entries
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
        """SQL for entries called e. It has numbers only, so no value has to be bound."""
        parts = [
            f"e.at >= {self.since:d}" if self.since is not None else "",
            f"e.at < {self.until:d}" if self.until is not None else "",
            f"e.incident_id = {self.incident:d}" if self.incident is not None else "",
        ]
        return " AND ".join(filter(None, parts)) or "1 = 1"


WHOLE_LOG = LogRange()


class LogReader(AbstractContextManager["LogReader"], Protocol):
    """One log, opened for reading as of one moment. Every method raises `UnreadableLog`."""

    name: str
    problem: Sequence[str]  #: faults of the container itself (an export's lines), known once everything was read

    def sealed(self, entries: LogRange = WHOLE_LOG) -> Iterator[Sequence[Row]]:
        """Ordered by position, in batches. Of a range by time or incident, missing entries are left out."""
        ...

    def unsealed(self, entries: LogRange = WHOLE_LOG) -> Iterator[Sequence[Row]]:
        """Ordered by id, in batches."""
        ...

    def start(self) -> int:
        """The lowest position that the log has, 0 where it is empty."""
        ...

    def parts(self) -> tuple[int, Callable[[], LogReader]] | None:
        """The number of seals, and a function to open the log in another process; None where it is only read whole."""
        ...

    def checkpoints(self) -> Iterator[CheckpointRow]:
        """By size."""
        ...

    def anchored(self) -> Iterator[AnchorRow]:
        """By size."""
        ...
