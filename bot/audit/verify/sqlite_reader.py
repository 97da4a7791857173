"""An audit log in a SQLite file, opened read-only by a connection of its own."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from bot.audit.verify.log_reader import BATCH, LogReader, Row, UnreadableLog
from bot.audit.verify.sql_reader import SqlLog


class SqliteLog(SqlLog):
    """`path`: the database. Its `-wal` file is read as well, and a bot may write to it meanwhile."""

    def __init__(self, path: Path) -> None:
        # Texts are read as bytes: this is faster, and a text that is not UTF-8 is then a difference and not an error.
        super().__init__("{}")
        self.name = str(path)
        self._path = path
        if not path.is_file():
            raise UnreadableLog(f"{path} does not exist")
        try:
            self._connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
            self._connection.text_factory = bytes
            self._connection.execute("PRAGMA query_only=ON")
            self._connection.execute("PRAGMA cache_size=-32000")
            self._connection.execute("BEGIN")  # one snapshot, however long it is read
        except sqlite3.Error as error:
            raise UnreadableLog(f"{path} cannot be opened ({error})") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._connection.close()

    def batches(self, statement: str) -> Iterator[Sequence[Row]]:
        try:
            with closing(self._connection.cursor()) as cursor:
                cursor.execute(statement)
                while batch := cursor.fetchmany(BATCH):
                    yield batch
        except sqlite3.Error as error:
            raise UnreadableLog(f"{self.name} cannot be read ({error})") from None

    def reopen(self) -> Callable[[], LogReader]:
        return partial(SqliteLog, self._path)
