"""Statements that touch many rows at once, in either dialect.

One statement carries up to 256 rows, because each call into SQLite gives up Python's lock and each call to PostgreSQL
is a round trip: a statement a row would cost more than the rows. Row counts are rounded to a few sizes, so that both
drivers meet the same few texts again and keep them prepared.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

from sqlalchemy import Connection, CursorResult

Row = Sequence[Any]  #: a row as a driver gives or takes it; its types are the tables'

_SIZES = (256, 64, 16, 4, 1)


class Sql:
    """One connection, spoken to in statements with `?` marks."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.postgres = connection.dialect.name == "postgresql"

    def run(self, statement: str, *values: object) -> CursorResult[*tuple[Any, ...]]:
        """Any: the columns of a raw statement have no type of their own."""
        text = _percent(statement) if self.postgres else statement
        return self.connection.exec_driver_sql(text, values)

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[Row], tail: str = "") -> None:
        """`tail`: what follows the values, such as ON CONFLICT."""
        head = f"INSERT INTO {table} ({', '.join(columns)}) VALUES "
        for part in _parts(rows):
            self.run(f"{head}{_tuples(len(part), len(columns))} {tail}", *chain.from_iterable(part))

    def update(self, table: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
        """Set `columns[1:]` of the rows whose `columns[0]` matches; all columns are whole numbers."""
        sets = ", ".join(f"{name} = v.{name}" for name in columns[1:])
        for part in _parts(rows):
            values = _tuples(len(part), len(columns), "CAST(? AS BIGINT)")
            given = f"WITH v({', '.join(columns)}) AS (VALUES {values}) SELECT * FROM v"
            self.run(
                f"UPDATE {table} SET {sets} FROM ({given}) AS v WHERE {table}.{columns[0]} = v.{columns[0]}",
                *chain.from_iterable(part),
            )

    def gather(self, statement: str, keys: Sequence[object], *more: object) -> Iterator[Any]:
        """Rows of a statement whose `{keys}` stands for one-column tuples of keys, all keys over; `more` binds the
        marks after it.

        Any: see `run`. The last key is repeated to fill a size, so the statement must be one that
        a repeated key does not harm.
        """
        for start in range(0, len(keys), _SIZES[0]):
            part = list(keys[start : start + _SIZES[0]])
            size = next(size for size in reversed(_SIZES) if size >= len(part))
            part += [part[-1]] * (size - len(part))
            yield from self.run(statement.replace("{keys}", _tuples(size, 1)), *part, *more).fetchall()


def _parts(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    start = 0
    for size in _SIZES:
        while len(rows) - start >= size:
            yield rows[start : start + size]
            start += size


@lru_cache(maxsize=256)
def _tuples(rows: int, columns: int, mark: str = "?") -> str:
    one = f"({', '.join([mark] * columns)})"
    return ", ".join([one] * rows)


@lru_cache(maxsize=512)
def _percent(statement: str) -> str:
    return statement.replace("?", "%s")
