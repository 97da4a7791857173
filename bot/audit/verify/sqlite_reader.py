"""An audit log in a SQLite file, opened read-only by a connection of its own."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import partial
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Self

from bot.audit.verify.log_reader import (
    BATCH,
    COUNT,
    START,
    WHOLE_LOG,
    AnchorRow,
    CheckpointRow,
    LogRange,
    LogReader,
    Row,
    UnreadableLog,
    anchored_of,
    checkpoint_of,
    statements,
)

# Texts come as the bytes that they are: cheaper, and one that is not UTF-8 is then a difference and not an error.
_SEALED, _UNSEALED, _CHECKPOINTS, _ANCHORED = statements("{}")


class SqliteLog(LogReader):
    """`path` is of the database; its `-wal` is read with it, and a bot may be writing meanwhile."""

    problem: Sequence[str] = ()

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self._path = path
        if not path.is_file():
            raise UnreadableLog(f"{path} is not there")
        try:
            self._connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
            self._connection.text_factory = bytes
            self._connection.execute("PRAGMA query_only=ON")
            self._connection.execute("PRAGMA cache_size=-32000")
            self._connection.execute("BEGIN")  # one look, however long it takes
        except sqlite3.Error as error:
            raise UnreadableLog(f"{path} cannot be opened ({error})") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._connection.close()

    def sealed(self, entries: LogRange = WHOLE_LOG) -> Iterator[Sequence[Row]]:
        return self._batches(_SEALED.format(entries.places()))

    def unsealed(self, entries: LogRange = WHOLE_LOG) -> Iterator[Sequence[Row]]:
        return self._batches(_UNSEALED.format(entries.condition()))

    def start(self) -> int:
        ((first,),) = next(self._batches(START))
        return int(first)

    def parts(self) -> tuple[int, Callable[[], LogReader]]:
        ((count,),) = next(self._batches(COUNT))
        return count, partial(SqliteLog, self._path)

    def checkpoints(self) -> Iterator[CheckpointRow]:
        return map(checkpoint_of, chain.from_iterable(self._batches(_CHECKPOINTS)))

    def anchored(self) -> Iterator[AnchorRow]:
        return map(anchored_of, chain.from_iterable(self._batches(_ANCHORED)))

    def _batches(self, statement: str) -> Iterator[Sequence[Row]]:
        try:
            with closing(self._connection.cursor()) as cursor:
                cursor.execute(statement)
                while batch := cursor.fetchmany(BATCH):
                    yield batch
        except sqlite3.Error as error:
            raise UnreadableLog(f"{self.name} cannot be read ({error})") from None
