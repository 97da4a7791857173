"""An audit log in a database, read by plain SQL. The two engines differ only in how rows are fetched."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from itertools import chain

from bot.audit.verify.log_reader import WHOLE_LOG, AnchorRow, CheckpointRow, LogRange, LogReader, Row

_COUNT = "SELECT count(*) FROM audit_seal"
_START = "SELECT coalesce(min(pos), 0) FROM audit_seal"


def _statements(text: str) -> tuple[str, str, str, str]:
    """SQL for sealed, unsealed, checkpoints and anchored. `text` wraps a text column so that it is read as bytes.

    The first two have a placeholder {} for the condition of a `LogRange`. LEFT JOIN: it has to find a seal whose entry
    is missing.
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


class SqlLog(LogReader):
    """The log of one connection. A subclass opens the connection and fetches the rows of a statement."""

    problem: Sequence[str] = ()

    def __init__(self, text: str) -> None:
        """`text`: as in `_statements`."""
        self._sealed, self._unsealed, self._checkpoints, self._anchored = _statements(text)

    def sealed(self, entries: LogRange = WHOLE_LOG) -> Iterator[Sequence[Row]]:
        return self.batches(self._sealed.format(entries.places()))

    def unsealed(self, entries: LogRange = WHOLE_LOG) -> Iterator[Sequence[Row]]:
        return self.batches(self._unsealed.format(entries.condition()))

    def start(self) -> int:
        return self._number(_START)

    def parts(self) -> tuple[int, Callable[[], LogReader]]:
        return self._number(_COUNT), self.reopen()

    def checkpoints(self) -> Iterator[CheckpointRow]:
        return map(_checkpoint_of, chain.from_iterable(self.batches(self._checkpoints)))

    def anchored(self) -> Iterator[AnchorRow]:
        return map(_anchored_of, chain.from_iterable(self.batches(self._anchored)))

    @abstractmethod
    def batches(self, statement: str) -> Iterator[Sequence[Row]]:
        """The rows of that statement, at most `BATCH` at once. Raises `UnreadableLog`."""

    @abstractmethod
    def reopen(self) -> Callable[[], LogReader]:
        """Opens the same log in another process; it has to be picklable."""

    def _number(self, statement: str) -> int:
        ((number,),) = next(self.batches(statement))
        return int(number)


def _checkpoint_of(row: Row) -> CheckpointRow:
    """From the columns of its statement. A row may have values of any type, if the table has lost its constraints."""
    size, root, at, key_id, note, frontier = row
    return CheckpointRow(
        size=_number(size),
        root=_raw(root),
        at=_number(at),
        key_id=_text(key_id),
        note=_raw(note),
        frontier=_raw(frontier),
    )


def _anchored_of(row: Row) -> AnchorRow:
    size, sink, at, receipt = row
    return AnchorRow(size=_number(size), sink=_text(sink), at=_number(at), receipt=_text(receipt))


def _number(value: object) -> int:
    return value if isinstance(value, int) else -1


def _raw(value: object) -> bytes:
    return value if isinstance(value, bytes) else b""


def _text(value: object) -> str:
    return _raw(value).decode(errors="replace")
