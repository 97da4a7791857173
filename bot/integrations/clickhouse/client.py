"""ClickHouse's HTTP interface: a statement goes in, rows or nothing come out.

The promise: values are bound as parameters (`param_*`), and where the grammar takes none (BACKUP, RESTORE, names in
DDL) they are quoted by `name` and `text` alone. A statement that may have begun without an answer is `OutcomeUnknown`.
Interface: https://clickhouse.com/docs/en/interfaces/http
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta

from pydantic import SecretStr

from bot.core.errors import OutcomeUnknown, Rejected
from bot.integrations.http import HttpApi

#: Exceptions of the server after which the statement may go on, or may have had its effect: TIMEOUT_EXCEEDED,
#: TOO_SLOW, SOCKET_TIMEOUT, NETWORK_ERROR, QUERY_WAS_CANCELLED, UNFINISHED, KEEPER_EXCEPTION.
#: https://github.com/ClickHouse/ClickHouse/blob/master/src/Common/ErrorCodes.cpp
_UNDECIDED = frozenset({"159", "160", "209", "210", "394", "341", "999"})
_NAMED = {
    "192": "no_entry", "193": "no_entry", "194": "no_entry", "497": "no_entry", "516": "no_entry",
}  # fmt: skip

Row = Mapping[str, object]


class ClickHouseClient:
    """One user at one server. Safe to share between threads."""

    def __init__(self, url: str, *, user: str, password: SecretStr | None, timeout: timedelta) -> None:
        self._api = HttpApi(
            url,
            called="ClickHouse",
            token=password,
            user=user if password is not None else None,
            timeout=timeout,
            error_header="X-ClickHouse-Exception-Code",
        )
        # A user without a password cannot be told by basic authentication that leaves no secret behind.
        self._who = () if password is not None else (("user", user),)
        self._seconds = str(max(1, int(timeout.total_seconds())))

    def rows(self, sql: str, values: Mapping[str, object] | None = None, *, database: str = "") -> Sequence[Row]:
        """The rows of a statement that changes nothing. `database`: of tables that it names without one.

        Raises:
            Rejected: with the server's number of the exception, "no_entry", "unreachable" and others as `code`.
        """
        try:
            answer = self._api.get("POST", "/", query=self._query(values or {}, database), body=sql.encode())
        except Rejected as refused:
            raise _named(refused) from None
        return _rows(answer)

    def value(self, sql: str, values: Mapping[str, object] | None = None, *, database: str = "") -> str:
        """The first field of the first row as text; "" without rows."""
        for row in self.rows(sql, values, database=database):
            return next(("" if one is None else str(one) for one in row.values()), "")
        return ""

    def change(self, sql: str) -> Sequence[Row]:
        """Execute a statement that changes something.

        Raises:
            Rejected: refused; nothing was done.
            OutcomeUnknown: it may have had its effect.
        """
        try:
            answer = self._api.send("POST", "/", query=self._query({}, ""), body=sql.encode())
        except Rejected as refused:
            if refused.code in _UNDECIDED:
                message = refused.message.removesuffix("Nothing was done.") + "It is not known whether it took effect."
                raise OutcomeUnknown(message) from None
            raise _named(refused) from None
        return _rows(answer)

    def _query(self, values: Mapping[str, object], database: str) -> list[tuple[str, str]]:
        bound = [(f"param_{key}", _bound(value)) for key, value in values.items()]
        settings = [
            ("wait_end_of_query", "1"),  # so that an exception is never behind a status of 200
            ("max_execution_time", self._seconds),
            ("default_format", "JSON"),
        ]
        return [*settings, *self._who, *([("database", database)] if database else []), *bound]


def name(identifier: str) -> str:
    """An identifier of any characters, quoted: `orders`."""
    return "`" + identifier.replace("\\", "\\\\").replace("`", "\\`") + "`"


def text(value: str) -> str:
    """A text literal of any characters, quoted: 'orders'."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def compose(statement: str, **parts: str) -> str:
    """A statement whose places `<part>` are taken by parts, each made of quoted names and texts."""
    return re.sub(r"<(\w+)>", lambda place: parts[place[1]], statement)


def table_name(database: str, table: str) -> str:
    return f"{name(database)}.{name(table)}"


def _bound(value: object) -> str:
    """A parameter's value in the escaped form of TSV, as the interface reads it; a list as an array's literal."""
    if isinstance(value, list | tuple):
        return "[" + ",".join(text(str(one)) for one in value) + "]"
    return str(value).replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n")


def _rows(answer: object) -> Sequence[Row]:
    data = answer.get("data") if isinstance(answer, Mapping) else []
    if not isinstance(data, list) or not all(isinstance(row, Mapping) for row in data):
        raise Rejected("The answer of ClickHouse has no rows. Nothing was done. Check its address.", code="unreadable")
    return data


def _named(refused: Rejected) -> Rejected:
    if refused.code in _NAMED:
        message = f"{refused.message} Check the user, its password and its grants."
        return Rejected(message, code=_NAMED[refused.code])
    return refused
