"""Connections to the PostgreSQL servers that are backed up and restored; the only file of integrations with psycopg.

The promise: every statement has a time limit on the server, and another one here for a server that went silent; nothing
from outside is put into SQL but by the driver's composition; no error shows a password.
The trap: a statement that broke off may have been done, so a change whose answer is missing is `OutcomeUnknown`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from http import HTTPStatus
from typing import Any, LiteralString

import psycopg
from psycopg import errors, pq, sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from bot.core.errors import OutcomeUnknown, Rejected
from bot.integrations.postgres.settings import NO_PHRASE
from bot.lib.redact import redact, shown

_CONNECT_S = 10
_ANSWER = timedelta(seconds=30)
#: The server ends a statement itself; we wait so much longer before we think it silent.
_MARGIN_S = 10.0
_MAX_SHOWN = 400
#: How libpq marks a parameter that is a secret. https://www.postgresql.org/docs/current/libpq-connect.html
_SECRET = b"*"
#: Not a secret for libpq, and it may carry one: it goes by the environment too.
_OPTIONS, _OPTIONS_VARIABLE = "options", "PGOPTIONS"


class PostgresRefused(Rejected):
    """The server refused a statement; nothing of it was done. `sqlstate`: PostgreSQL's code, "" when it is unknown."""

    def __init__(self, message: str, *, sqlstate: str) -> None:
        super().__init__(message, code="refused", status=HTTPStatus.BAD_GATEWAY)
        self.sqlstate = sqlstate


class PostgresUnreachable(PostgresRefused):
    """No connection was made. `answered`: the server runs, and did not let this user into that database."""

    def __init__(self, message: str, *, answered: bool) -> None:
        super().__init__(message, sqlstate="")
        self.code = "unreachable"
        self.answered = answered


@dataclass(frozen=True, kw_only=True, slots=True)
class ProgramAccess:
    """How a program reaches a server. `address`: a connection string, for its arguments; the rest is environment."""

    address: str
    secrets: Mapping[str, str]
    environment: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """How one server is reached. `url`: postgresql://USER:PASSWORD@HOST:PORT/DATABASE, or a connection string.

    Raises:
        Rejected: it is neither.
    """

    url: str

    def __post_init__(self) -> None:
        self._parameters()

    def __repr__(self) -> str:
        return f"PostgresServer({self.name})"

    @property
    def name(self) -> str:
        """For people: host and port."""
        parts = self._parameters()
        host = parts.get("host") or parts.get("hostaddr") or "the local socket"
        return f"{host}:{parts.get('port') or 5432}"

    @property
    def user(self) -> str:
        return self._parameters().get("user") or ""

    @property
    def database(self) -> str:
        return self._parameters().get("dbname") or "postgres"

    def for_programs(self, database: str) -> ProgramAccess:
        """How PostgreSQL's own programs reach it, with nothing secret in their arguments.

        Raises:
            Rejected: there is a secret that libpq takes from nowhere else.
        """
        parts = self._parameters() | {"dbname": database, "connect_timeout": str(_CONNECT_S)}
        secrets = {}
        for name, variable in _secret_parameters().items():
            secret = parts.pop(name, "")
            if secret and not variable:
                raise Rejected(
                    f"The address of PostgreSQL at {self.name} has {name}, which reaches pg_dump and pg_restore by"
                    " their arguments alone, where everybody on the machine can read it. Nothing was done."
                    f" {NO_PHRASE}",
                    code="secret",
                )
            if secret:
                secrets[variable] = secret
        options = parts.pop(_OPTIONS, "")
        return ProgramAccess(
            address=make_conninfo(**parts),
            secrets=secrets,
            environment={_OPTIONS_VARIABLE: options} if options else {},
        )

    @contextmanager
    def connect(
        self, database: str = "", *, limit: timedelta = _ANSWER, read_only: bool = False, called: str = "vakhta"
    ) -> Iterator[PostgresConnection]:
        """A connection in autocommit. `limit`: of each statement. Raises `Rejected` when nobody answers."""
        parts = self._parameters() | {"dbname": database or self.database, "application_name": called}
        milliseconds = int(limit / timedelta(milliseconds=1))
        options = f"-c statement_timeout={milliseconds} -c idle_in_transaction_session_timeout=0"
        if read_only:
            options += " -c default_transaction_read_only=on"
        parts["options"] = f"{parts.get('options') or ''} {options}".strip()
        try:
            opened = _Timed.connect(make_conninfo(**parts), connect_timeout=_CONNECT_S, autocommit=True)
        except psycopg.Error as error:
            raise self._unreachable(parts["dbname"], error) from None
        opened.answer_s = limit.total_seconds() + _MARGIN_S
        try:
            yield PostgresConnection(opened, self.name, self._secrets())
        finally:
            opened.close()

    def to(self, database: str) -> PostgresServer:
        """The same server, with that database as the usual one."""
        return replace(self, url=make_conninfo(**(self._parameters() | {"dbname": database})))

    def _unreachable(self, database: str, error: psycopg.Error) -> PostgresUnreachable:
        said = _first_line(error, self._secrets())
        asked = make_conninfo(**(self._parameters() | {"connect_timeout": str(_CONNECT_S)}))
        return PostgresUnreachable(
            f"PostgreSQL at {self.name} did not let the bot into database {database}: {said}. Nothing was done. Check "
            "that it runs, and the user's rights.",
            answered=pq.PGconn.ping(asked.encode()) == pq.Ping.OK,
        )

    def _secrets(self) -> Sequence[str]:
        parts = self._parameters()
        return [parts[name] for name in _secret_parameters() if parts.get(name)]

    def _parameters(self) -> dict[str, str]:
        text = self.url.replace("postgresql+psycopg://", "postgresql://", 1)
        try:
            return {name: str(value) for name, value in conninfo_to_dict(text).items()}
        except psycopg.ProgrammingError:
            raise Rejected("The address of PostgreSQL is neither a URL nor a connection string.") from None


class PostgresConnection:
    """One connection. `names` are put in as quoted identifiers for {name}, `texts` as quoted literals."""

    def __init__(self, opened: _Timed, server: str, secrets: Sequence[str]) -> None:
        self._opened = opened
        self._server = server
        self._secrets = secrets

    def rows(
        self,
        query: LiteralString,
        parameters: Sequence[object] | None = None,
        *,
        names: Mapping[str, str] | None = None,
        texts: Mapping[str, str] | None = None,
    ) -> list[tuple[Any, ...]]:
        """All rows of a question. Raises `Rejected`; `PostgresRefused` when the server refused it."""
        composed = _composed(query, names, texts)
        try:
            return self._opened.execute(composed, parameters).fetchall()
        except psycopg.Error as error:
            raise self._refused(error) from None

    def value(
        self,
        query: LiteralString,
        parameters: Sequence[object] | None = None,
        *,
        names: Mapping[str, str] | None = None,
    ) -> Any:
        """The first column of the first row; None when there is none."""
        rows = self.rows(query, parameters, names=names)
        return rows[0][0] if rows else None

    def answer_to(self, query: str) -> str:
        """The only value that a query of the settings gives, as text. It runs in a transaction that may only read.

        Raises:
            Rejected: it was refused, or has not one row with one column.
        """
        try:
            with self._opened.transaction(), self._opened.cursor() as cursor:
                cursor.execute("SET TRANSACTION READ ONLY")
                cursor.execute(query.encode())  # The operator's own text, from the settings.
                rows = cursor.fetchmany(2) if cursor.description else []
        except psycopg.Error as error:
            raise self._refused(error) from None
        if len(rows) != 1 or len(rows[0]) != 1:
            raise Rejected("The query must give one row with one column.", code="no_answer")
        return _as_text(rows[0][0])

    def change(
        self,
        statement: LiteralString,
        parameters: Sequence[object] | None = None,
        *,
        names: Mapping[str, str] | None = None,
        texts: Mapping[str, str] | None = None,
    ) -> None:
        """One statement that changes something.

        Raises:
            PostgresRefused: the server refused it, and nothing was done.
            OutcomeUnknown: no answer came.
        """
        composed = _composed(statement, names, texts)
        try:
            self._opened.execute(composed, parameters)
        except psycopg.Error as error:
            refused = self._refused(error)
            if isinstance(refused, PostgresRefused) and not self._opened.closed:
                raise refused from None
            raise OutcomeUnknown(f"PostgreSQL at {self._server} broke off: {refused.message}") from None

    @contextmanager
    def rolled_back(self) -> Iterator[None]:
        """A transaction of which nothing stays."""
        try:
            with self._opened.transaction(force_rollback=True):
                yield
        except psycopg.Error as error:
            raise self._refused(error) from None

    @property
    def backend(self) -> int:
        return self._opened.info.backend_pid

    @property
    def version(self) -> int:
        """The server's major version."""
        return self._opened.info.server_version // 10_000

    def _refused(self, error: psycopg.Error) -> PostgresRefused:
        said = _first_line(error, self._secrets)
        state = error.sqlstate or ""
        if isinstance(error, errors.QueryCanceled):
            said = "the statement did not end within its time limit"
        return PostgresRefused(f"PostgreSQL at {self._server} refused: {said}.", sqlstate=state)


class _Timed(psycopg.Connection[tuple[Any, ...]]):
    """A connection that is cut when no answer comes."""

    answer_s = float(_CONNECT_S)

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """Overrides the driver's method, which all its blocking calls use. Any: types of the driver."""
        try:
            return super().wait(gen, interval, timeout or self.answer_s)
        except errors._WaitTimeout:  # noqa: SLF001 (the driver has no public name for its own time-out)
            self.close()
            raise psycopg.OperationalError(f"no answer within {self.answer_s:g} s") from None


#: Opens a connection to one database.
Connect = Callable[[], AbstractContextManager[PostgresConnection]]


def _composed(
    text: LiteralString, names: Mapping[str, str] | None, texts: Mapping[str, str] | None
) -> sql.Composed | sql.SQL:
    if not names and not texts:
        return sql.SQL(text)
    parts: dict[str, sql.Composable] = {key: sql.Identifier(value) for key, value in (names or {}).items()}
    parts |= {key: sql.Literal(value) for key, value in (texts or {}).items()}
    return sql.SQL(text).format(**parts)


def _as_text(value: object) -> str:
    if value is None:
        return ""
    isoformat = getattr(value, "isoformat", None)
    return str(isoformat()) if isoformat else str(value)


def _secret_parameters() -> Mapping[str, str]:
    """Each parameter of a connection that is a secret -> its environment variable, "" for one that has none."""
    known = pq.Conninfo.get_defaults()
    return {one.keyword.decode(): (one.envvar or b"").decode() for one in known if one.dispchar == _SECRET}


def _first_line(error: psycopg.Error, secrets: Sequence[str]) -> str:
    """The server's own message; of a failure to connect, the driver's, which may be about several hosts."""
    text = error.diag.message_primary or " ".join(str(error).split()) or type(error).__name__
    for secret in secrets:
        text = text.replace(secret, "[redacted]")
    return shown(redact(text), _MAX_SHOWN).rstrip(".")
