"""Runs statements on one connection, in either dialect, many rows at a time.

It uses the driver's cursor and not SQLAlchemy's: with one webhook per commit this halves the time. One statement
carries many rows, because each call into SQLite releases Python's lock and each call to PostgreSQL is a round trip.
SQLite gets the rows as values, in a few sizes, so that the same few statements stay prepared; PostgreSQL gets them as
one array per column, so that its statement is always the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from functools import lru_cache, partial
from importlib import import_module
from itertools import chain
from types import TracebackType
from typing import Any, NamedTuple, Protocol, Self

import psycopg

from bot.store.timeouts import sent_with_sync

Row = Sequence[Any]  #: a row as a driver gives or takes it; its types are the tables'

Fixed = tuple[tuple[str, str], ...]  #: columns and their SQL literals

_SIZES = (256, 128, 64, 32, 16, 8, 4, 2, 1)
_ITS_NAMES = {"BLOB": "bytea"}  #: types for which PostgreSQL has another name than the standard


class Cursor(Protocol):
    """The part of both drivers' cursors that is used here. Any: the values that they bind."""

    @property
    def rowcount(self) -> int: ...
    def execute(self, statement: str, values: Any, /) -> object: ...
    def fetchone(self) -> Row | None: ...
    def fetchall(self) -> Sequence[Row]: ...


class Postgres(Protocol):
    """The part of PostgreSQL's connection that is used here. Any: types of the driver, some of them private."""

    def wait(self, generator: Any, /) -> Any: ...
    def pipeline(self) -> AbstractContextManager[Any]: ...


class Query(NamedTuple):
    """A statement with `?` marks, and the values that are bound to them."""

    statement: str
    values: Sequence[object]


class Insertion(NamedTuple):
    """The parts of an INSERT statement."""

    table: str
    columns: tuple[str, ...]
    fixed: Fixed
    tail: str

    @property
    def head(self) -> str:
        return f"INSERT INTO {self.table} ({', '.join([*self.columns, *(name for name, _ in self.fixed)])})"


class Sql:
    """One cursor for statements with `?` marks. It is a context manager: a pipeline ends with it."""

    def __init__(self, cursor: Callable[[], Cursor], *, postgres: Postgres | None = None) -> None:
        """`cursor` makes a cursor; `postgres`: the connection, where it is PostgreSQL's; None for SQLite."""
        self.postgres = postgres is not None
        self._new_cursor = cursor
        self._cursor = cursor()
        self._connection = postgres
        self._pipeline_exit = ExitStack()
        self._pipeline: Any = None  #: the driver's pipeline, while there is one
        self._kept: list[Query] = []  #: insertions of a pipeline, which are sent as one statement

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._pipeline_exit.__exit__(kind, error, tb)

    def start_pipeline(self) -> None:
        """From here to the end of the transaction, statements that write are sent without waiting for their result.

        On PostgreSQL only queries wait for their rows; all writes and the commit share one round trip. The error of a
        statement is raised by a later one or by the commit, and `run` does not return the number of rows. Successive
        insertions become one statement, in which none of them sees the rows of another.

        The trap: until PostgreSQL gets a Sync, it waits for us without a limit and holds the lock that all replicas
        need. So nothing is sent without one: statements that the driver would send at once are kept until then.
        """
        if self._connection and not self._pipeline:
            self._pipeline = self._pipeline_exit.enter_context(self._connection.pipeline())
            self._pipeline._communicate_gen = partial(sent_with_sync, self._pipeline)  # noqa: SLF001

    def commit_pipeline(self) -> bool:
        """Commit in the round trip that ends a pipeline. False: there is none, and the connection has to commit."""
        self.flush_inserts()
        if not self._pipeline:
            return False
        closing: Any = self._new_cursor()
        closing.execute("COMMIT", ())
        self._pipeline_exit.close()
        self._pipeline = None
        if closing.statusmessage != "COMMIT":  # PostgreSQL answers ROLLBACK where the transaction had failed before
            raise psycopg.OperationalError("the transaction had failed and was rolled back")
        return True

    def send_pipeline(self) -> None:
        """Send the statements that the pipeline has kept, so that PostgreSQL runs them while the caller goes on."""
        self.flush_inserts()
        if self._connection and self._pipeline:
            # The driver itself sends a Sync only where it then waits for all answers.
            self._pipeline._enqueue_sync()  # noqa: SLF001
            self._connection.wait(self._pipeline._communicate_gen())  # noqa: SLF001

    def flush_inserts(self) -> None:
        """Run the insertions that were kept."""
        kept, self._kept = self._kept, []
        if kept:
            values = [value for one in kept for value in one.values]
            self._cursor.execute(_numbered(_as_one(tuple(one.statement for one in kept))), values)

    def run_queries(self, queries: Sequence[Query]) -> list[Sequence[Row]]:
        """The rows of each query; on PostgreSQL in one round trip."""
        if self._connection is None:
            return [self.rows(statement, *values) for statement, values in queries]
        self.flush_inserts()
        cursors = [self._new_cursor() for _ in queries]
        with nullcontext() if self._pipeline else self._connection.pipeline():
            for cursor, one in zip(cursors, queries, strict=True):
                cursor.execute(_numbered(one.statement), one.values)
            if self._pipeline:
                self._pipeline.sync()
            return [cursor.fetchall() for cursor in cursors]

    def run(self, statement: str, *values: object) -> int:
        """Returns how many rows it changed."""
        return self._execute(statement, values).rowcount

    def rows(self, statement: str, *values: object) -> Sequence[Row]:
        """All rows of the result."""
        if (
            self._pipeline
        ):  # on a cursor of its own: an early answer to an older statement would be taken for this one's
            return self.run_queries([Query(statement, values)])[0]
        return self._execute(statement, values).fetchall()

    def row(self, statement: str, *values: object) -> Row | None:
        """The first row of the answer, None when there is none."""
        if self._pipeline:
            return next(iter(self.rows(statement, *values)), None)
        return self._execute(statement, values).fetchone()

    def scalar(self, statement: str, *values: object) -> Any:
        """The first column of the first row, None when there is no row. Any: the table's type."""
        row = self.row(statement, *values)
        return None if row is None else row[0]

    def insert(
        self, table: str, columns: Sequence[str], rows: Sequence[Row], tail: str = "", fixed: Fixed = ()
    ) -> None:
        """`tail`: the end of the statement, such as ON CONFLICT; `fixed`: more columns, the same in every row."""
        into = Insertion(table, tuple(columns), fixed, tail)
        if self.postgres and rows:
            arrays = list(map(pg_array, zip(*rows, strict=True)))
            self._kept.append(Query(_insertion_of_arrays(into), arrays))
            if not self._pipeline:
                self.flush_inserts()
            return
        for part in _parts(rows):
            self.run(_insertion(into, len(part)), *chain.from_iterable(part))

    def update(self, table: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
        """Set `columns[1:]` of the rows whose `columns[0]` matches; all columns are whole numbers."""
        if self.postgres and rows:
            arrays = f"SELECT * FROM unnest({', '.join(['?::bigint[]'] * len(columns))})"
            self._execute(_updating(table, tuple(columns), arrays), list(map(pg_array, zip(*rows, strict=True))))
            return
        for part in _parts(rows):
            values = f"VALUES {_tuples(len(part), len(columns))}"
            self.run(_updating(table, tuple(columns), values), *chain.from_iterable(part))

    def _execute(self, statement: str, values: Sequence[object]) -> Cursor:
        self.flush_inserts()
        self._cursor.execute(_numbered(statement) if self.postgres else statement, values)
        return self._cursor


def queries_for_keys(statement: str, keys: Sequence[object], *more: object, postgres: bool) -> list[Query]:
    """The queries that run `statement` for all keys. Its `{keys}` is a table of one column; `more` binds later marks.

    The trap: a key may be repeated to fill a size, so a repeated key must not change the statement's result.
    """
    if postgres:
        kind = "bigint" if isinstance(keys[0], int) else "text"
        return [Query(statement.replace("{keys}", f"SELECT unnest(?::{kind}[])"), (pg_array(keys), *more))]
    queries = []
    for start in range(0, len(keys), _SIZES[0]):
        part = list(keys[start : start + _SIZES[0]])
        size = next(size for size in reversed(_SIZES) if size >= len(part))
        part += [part[-1]] * (size - len(part))
        queries.append(Query(statement.replace("{keys}", f"VALUES {_tuples(size, 1)}"), (*part, *more)))
    return queries


def pg_array(values: Sequence[object]) -> str:
    """The values as PostgreSQL writes an array.

    The driver can do this too, but value by value in Python: that took half of the time of a commit of many alerts.

    Raises:
        ValueError: a text has the character U+0000, which PostgreSQL cannot store.
    """
    if len(values) == 1:
        return "{" + _element(values[0]) + "}"
    kinds = set(map(type, values))
    if kinds == {int}:
        return "{" + ",".join(map(str, values)) + "}"
    if kinds == {str}:
        texts = "\x00".join(values)  # type: ignore[arg-type]  # all of them are texts
        if texts.count("\x00") >= len(values):
            raise ValueError("a text holds the character U+0000")
        return '{"' + _escaped(texts).replace("\x00", '","') + '"}'
    return "{" + ",".join(map(_element, values)) + "}"


def _element(value: object) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bytes):
        return f'"\\\\x{value.hex()}"'
    if not isinstance(value, str):
        return str(value)
    if "\x00" in value:
        raise ValueError("a text holds the character U+0000")
    return f'"{_escaped(value)}"'


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _parts(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    start = 0
    for size in _SIZES:
        while len(rows) - start >= size:
            yield rows[start : start + size]
            start += size


@lru_cache(maxsize=256)
def _insertion(into: Insertion, rows: int) -> str:
    one = ", ".join([*["?"] * len(into.columns), *(literal for _, literal in into.fixed)])
    return f"{into.head} VALUES {', '.join([f'({one})'] * rows)} {into.tail}"


@lru_cache(maxsize=1)
def load_types() -> Mapping[str, Any]:
    """The tables by name: PostgreSQL needs the columns' types. With SQLite they are not loaded.

    Any: the tables are SQLAlchemy's, and SQLModel does not type them.
    """
    import_module("bot.store.tables")
    tables: Mapping[str, Any] = import_module("sqlmodel").SQLModel.metadata.tables
    return tables


@lru_cache(maxsize=64)
def _insertion_of_arrays(into: Insertion) -> str:
    columns = load_types()[into.table].c
    kinds = [str(columns[name.strip('"')].type) for name in into.columns]
    arrays = ", ".join(f"?::{_ITS_NAMES.get(kind, kind)}[]" for kind in kinds)
    chosen = ", ".join(["u.*", *(literal for _, literal in into.fixed)])
    return f"{into.head} SELECT {chosen} FROM unnest({arrays}) AS u {into.tail}"


@lru_cache(maxsize=64)
def _as_one(insertions: tuple[str, ...]) -> str:
    *others, last = insertions
    named = ", ".join(f"part{place} AS ({one})" for place, one in enumerate(others))
    return f"WITH {named} {last}" if named else last


@lru_cache(maxsize=64)
def _updating(table: str, columns: tuple[str, ...], given: str) -> str:
    sets = ", ".join(f"{name} = v.{name}" for name in columns[1:])
    these = f"WITH v({', '.join(columns)}) AS ({given}) SELECT * FROM v"
    return f"UPDATE {table} SET {sets} FROM ({these}) AS v WHERE {table}.{columns[0]} = v.{columns[0]}"


@lru_cache(maxsize=256)
def _tuples(rows: int, columns: int) -> str:
    one = f"({', '.join(['?'] * columns)})"
    return ", ".join([one] * rows)


@lru_cache(maxsize=512)
def _numbered(statement: str) -> str:
    """With PostgreSQL's own marks ($1), so that the driver does not parse each statement."""
    first, *others = statement.split("?")
    return first + "".join(f"${place}{text}" for place, text in enumerate(others, 1))
