"""An audit log in PostgreSQL, read through cursors on the server, in one read-only snapshot."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import count
from types import TracebackType
from typing import Any, Self

import psycopg
from psycopg import errors

from bot.audit.verify.log_reader import BATCH, LogReader, Row, UnreadableLog
from bot.audit.verify.sql_reader import SqlLog

_CONNECT_S = 10
#: How long one answer may take: the first one may search a log of many years.
_ANSWER_S = 120.0


class _TimedConnection(psycopg.Connection[Any]):
    """A connection that is cut when no answer comes. Any: the values of its rows."""

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """Overrides the driver's method, which all its blocking calls use. Any: types of the driver."""
        try:
            return super().wait(gen, interval, timeout or _ANSWER_S)
        except errors._WaitTimeout:  # noqa: SLF001 - the driver has no public name for its own time-out
            self.close()
            raise psycopg.OperationalError(f"no answer within {_ANSWER_S:g} s") from None


class PostgresLog(SqlLog):
    """`url`: as in the settings. Only its host and database are shown, because it may have a password."""

    def __init__(self, url: str) -> None:
        super().__init__("convert_to({}, 'UTF8')")
        self._url = url
        self._cursors = count()
        try:
            self._connection = _TimedConnection.connect(url.replace("+psycopg", "", 1), connect_timeout=_CONNECT_S)
        except psycopg.Error as error:
            raise UnreadableLog(f"PostgreSQL cannot be connected to: {_first_line(error)}") from None
        self._connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        self._connection.read_only = True
        info = self._connection.info
        self.name = f"postgresql://{info.host}:{info.port}/{info.dbname}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._connection.close()

    def batches(self, statement: str) -> Iterator[Sequence[Row]]:
        try:
            # Binary: a body is sent as bytes, and not as twice as many hex digits.
            with self._connection.cursor(name=f"inspection_{next(self._cursors)}", binary=True) as cursor:
                cursor.execute(statement.encode())  # our own SQL and numbers, no text from outside
                while batch := cursor.fetchmany(BATCH):
                    yield batch
        except psycopg.Error as error:
            raise UnreadableLog(f"{self.name} cannot be read: {_first_line(error)}") from None

    def reopen(self) -> Callable[[], LogReader]:
        return partial(PostgresLog, self._url)


def _first_line(error: psycopg.Error) -> str:
    return str(error).partition("\n")[0] or type(error).__name__
