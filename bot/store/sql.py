"""Statements on one connection, in either dialect, many rows at a time.

The driver's own cursor, not SQLAlchemy's: at one webhook a commit, that is half of the time. One statement carries
many rows, because each call into SQLite gives up Python's lock and each call to PostgreSQL is a round trip. SQLite
takes them as values, in a few sizes so that it meets the same few texts again and keeps them prepared; PostgreSQL
takes them as one array a column, so that its text is always the same.
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
_ITS_NAMES = {"BLOB": "bytea"}  #: of types that PostgreSQL calls by another name than the standard


class Cursor(Protocol):
    """What both drivers' cursors have in common, as far as it is used here. Any: what they bind."""

    @property
    def rowcount(self) -> int: ...
    def execute(self, statement: str, values: Any, /) -> object: ...
    def fetchone(self) -> Row | None: ...
    def fetchall(self) -> Sequence[Row]: ...


class Postgres(Protocol):
    """What of PostgreSQL's connection is used here. Any: types of the driver's own, private ones among them."""

    def wait(self, generator: Any, /) -> Any: ...
    def pipeline(self) -> AbstractContextManager[Any]: ...


class Query(NamedTuple):
    """A statement with `?` marks, and what is bound to them."""

    statement: str
    values: Sequence[object]


class Insertion(NamedTuple):
    """What an insertion's text is made of."""

    table: str
    columns: tuple[str, ...]
    fixed: Fixed
    tail: str

    @property
    def head(self) -> str:
        return f"INSERT INTO {self.table} ({', '.join([*self.columns, *(name for name, _ in self.fixed)])})"


class Sql:
    """One cursor, spoken to in statements with `?` marks. As a context manager: for as long as it is used."""

    def __init__(self, cursor: Callable[[], Cursor], *, postgres: Postgres | None = None) -> None:
        """`cursor` makes one; `postgres`: the cursors' connection, where that is PostgreSQL's; None for SQLite."""
        self.postgres = postgres is not None
        self._new_cursor = cursor
        self._cursor = cursor()
        self._connection = postgres
        self._flow = ExitStack()
        self._flowing: Any = None  #: the driver's pipeline, while there is one
        self._kept: list[Query] = []  #: insertions of a flow, which go as one

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._flow.__exit__(kind, error, tb)

    def start_pipeline(self) -> None:
        """From here to the end of the transaction statements are sent on without waiting for what they change.

        On PostgreSQL only rows that are asked for are waited for; all that is written and the commit share a round
        trip. What a statement breaks is raised by a later one or by the commit, and `run` cannot say how many rows.
        Insertions that follow each other are one statement, in which none of them sees what another inserts.

        The trap: until PostgreSQL is sent a Sync, it waits for us without a limit, holding the turn of all replicas.
        So nothing is sent without one: what the driver would send at once is kept until then.
        """
        if self._connection and not self._flowing:
            self._flowing = self._flow.enter_context(self._connection.pipeline())
            self._flowing._communicate_gen = partial(sent_with_sync, self._flowing)  # noqa: SLF001

    def commit_pipeline(self) -> bool:
        """Commit in the round trip that ends a flow. False: nothing flows, and the connection has to commit."""
        self.flush_inserts()
        if not self._flowing:
            return False
        closing: Any = self._new_cursor()
        closing.execute("COMMIT", ())
        self._flow.close()
        self._flowing = None
        if closing.statusmessage != "COMMIT":  # what PostgreSQL says of a transaction that had failed before
            raise psycopg.OperationalError("the transaction had failed and was rolled back")
        return True

    def send_pipeline(self) -> None:
        """Have PostgreSQL begin with what a flow has kept, while the caller goes on."""
        self.flush_inserts()
        if self._connection and self._flowing:
            # The driver sends a Sync of its own accord only where it then waits for all answers.
            self._flowing._enqueue_sync()  # noqa: SLF001
            self._connection.wait(self._flowing._communicate_gen())  # noqa: SLF001

    def flush_inserts(self) -> None:
        """Send on the insertions that were kept."""
        kept, self._kept = self._kept, []
        if kept:
            values = [value for one in kept for value in one.values]
            self._cursor.execute(_numbered(_as_one(tuple(one.statement for one in kept))), values)

    def run_queries(self, queries: Sequence[Query]) -> list[Sequence[Row]]:
        """The rows that each of them answers, on PostgreSQL in one round trip."""
        if self._connection is None:
            return [self.rows(statement, *values) for statement, values in queries]
        self.flush_inserts()
        cursors = [self._new_cursor() for _ in queries]
        with nullcontext() if self._flowing else self._connection.pipeline():
            for cursor, one in zip(cursors, queries, strict=True):
                cursor.execute(_numbered(one.statement), one.values)
            if self._flowing:
                self._flowing.sync()
            return [cursor.fetchall() for cursor in cursors]

    def run(self, statement: str, *values: object) -> int:
        """Returns how many rows it changed."""
        return self._execute(statement, values).rowcount

    def rows(self, statement: str, *values: object) -> Sequence[Row]:
        """All rows of the answer."""
        if self._flowing:  # on a cursor of its own: an early answer to an older statement would be taken for this one's
            return self.run_queries([Query(statement, values)])[0]
        return self._execute(statement, values).fetchall()

    def row(self, statement: str, *values: object) -> Row | None:
        """The first row of the answer, None when there is none."""
        if self._flowing:
            return next(iter(self.rows(statement, *values)), None)
        return self._execute(statement, values).fetchone()

    def scalar(self, statement: str, *values: object) -> Any:
        """The first column of the first row, None when there is no row. Any: the table's type."""
        row = self.row(statement, *values)
        return None if row is None else row[0]

    def insert(
        self, table: str, columns: Sequence[str], rows: Sequence[Row], tail: str = "", fixed: Fixed = ()
    ) -> None:
        """`tail`: what follows the values, such as ON CONFLICT; `fixed`: more columns, the same in every row."""
        into = Insertion(table, tuple(columns), fixed, tail)
        if self.postgres and rows:
            arrays = list(map(pg_array, zip(*rows, strict=True)))
            self._kept.append(Query(_insertion_of_arrays(into), arrays))
            if not self._flowing:
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
    """What asks a statement whose `{keys}` stands for a one-column table of the keys; in parts, all keys over.

    `more` binds the marks after it. A key may be repeated to fill a size, so the statement must be one that
    a repeated key does not harm.
    """
    if postgres:
        kind = "bigint" if isinstance(keys[0], int) else "text"
        return [Query(statement.replace("{keys}", f"SELECT unnest(?::{kind}[])"), (pg_array(keys), *more))]
    asked = []
    for start in range(0, len(keys), _SIZES[0]):
        part = list(keys[start : start + _SIZES[0]])
        size = next(size for size in reversed(_SIZES) if size >= len(part))
        part += [part[-1]] * (size - len(part))
        asked.append(Query(statement.replace("{keys}", f"VALUES {_tuples(size, 1)}"), (*part, *more)))
    return asked


def pg_array(values: Sequence[object]) -> str:
    """These as PostgreSQL writes an array. The driver can do it too, value by value in Python: that was half of what a
    commit of many alerts cost.

    Raises:
        ValueError: a text holds the character that PostgreSQL's texts cannot.
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
    """The tables by name, of which PostgreSQL is told the columns' types. SQLite needs none, and loads none.

    Any: they are SQLAlchemy's, and SQLModel gives them no types of its own.
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
    """With PostgreSQL's own marks, which the driver does not have to look for in each statement."""
    first, *others = statement.split("?")
    return first + "".join(f"${place}{text}" for place, text in enumerate(others, 1))
