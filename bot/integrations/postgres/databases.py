"""Databases on a server: which are ours, made, labelled, closed and dropped.

The promise: only what carries the label of a run is changed or dropped, and never the live database, which is known by
the server's system identifier and its oid, whatever both are called. The label is the comment on the database: it goes
along when the database is renamed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Self

from bot.core.backup import DRILL_LABEL, OWNER_LABEL
from bot.core.errors import Rejected
from bot.integrations.postgres.connection import PostgresConnection, PostgresRefused

RESTORING, RESTORED, FAILED = "restoring", "restored", "failed"
#: Names are cut off by the server after 63 bytes.
_LONGEST_NAME = 63


@dataclass(frozen=True, kw_only=True, slots=True)
class DatabaseLabel:
    """What the comment on a copy says. Everything is text, so that any version of the bot can read it."""

    run: str
    store: str
    drill: bool
    state: str = RESTORING
    message: str = ""
    backup: str = ""
    data_at: str = ""
    begun_at: str = ""
    expires_at: str = ""
    note: str = ""  #: the comment that the database had which it has replaced
    cutover: str = ""  #: the run that made it live
    swap: str = ""  #: what was noted at that cutover, as JSON

    def as_comment(self) -> str:
        fields = {name: value for name, value in asdict(self).items() if value and name not in ("run", "drill")}
        return json.dumps({DRILL_LABEL if self.drill else OWNER_LABEL: self.run, **fields}, sort_keys=True)

    @classmethod
    def from_comment(cls, comment: object) -> Self | None:
        """None for a comment of somebody else."""
        try:
            found = json.loads(str(comment or ""))
        except ValueError:
            return None
        if not isinstance(found, dict) or not ({OWNER_LABEL, DRILL_LABEL} & set(found)):
            return None
        drill = DRILL_LABEL in found
        known = {name: str(found[name]) for name in cls.__slots__ if name in found and name not in ("run", "drill")}
        return cls(run=str(found[DRILL_LABEL if drill else OWNER_LABEL]), drill=drill, **{"store": "", **known})

    @property
    def begun(self) -> datetime | None:
        return _moment(self.begun_at)

    @property
    def data(self) -> datetime | None:
        return _moment(self.data_at)


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundDatabase:
    """A database as it stands. `open`: whether anybody can connect to it."""

    name: str
    oid: int
    open: bool
    comment: str = ""
    label: DatabaseLabel | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class LiveIdentity:
    """What the live database is, whatever name or host it has."""

    server: str  #: the system identifier; "" where the user may not read it
    oid: int


def copy_name(database: str, run: str, *, drill: bool) -> str:
    return _named(database, f"_{'drill' if drill else 'restore'}_{run[:8]}")


def old_name(database: str, cutover_run: str) -> str:
    return _named(database, f"_old_{cutover_run[:8]}")


def system_identifier(connection: PostgresConnection) -> str:
    """Of the server; "" where the user may not read it."""
    try:
        return str(connection.value("SELECT system_identifier FROM pg_control_system()"))
    except PostgresRefused as refused:
        if refused.sqlstate != "42501":
            raise
        return ""


def find(connection: PostgresConnection, name: str) -> FoundDatabase | None:
    return next((one for one in list_all(connection) if one.name == name), None)


def list_all(connection: PostgresConnection) -> list[FoundDatabase]:
    rows = connection.rows(
        "SELECT datname, oid::bigint, datallowconn, shobj_description(oid, 'pg_database') FROM pg_database"
        " WHERE NOT datistemplate ORDER BY datname"
    )
    return [
        FoundDatabase(
            name=name, oid=int(oid), open=bool(is_open), comment=str(said or ""), label=DatabaseLabel.from_comment(said)
        )
        for name, oid, is_open, said in rows
    ]


def write_label(connection: PostgresConnection, name: str, label: DatabaseLabel) -> None:
    connection.change("COMMENT ON DATABASE {name} IS {text}", names={"name": name}, texts={"text": label.as_comment()})


def create_copy(
    connection: PostgresConnection, name: str, label: DatabaseLabel, *, like: str, connections: int
) -> None:
    """A new empty database, labelled. One of a drill lets nobody in but its owner and superusers, from its first
    moment: it is made without connections, and gets them when others have lost the right.
    """
    options = _options_like(connection, like)
    _create(connection, name, options)
    write_label(connection, name, label)
    if label.drill:
        connection.change("REVOKE ALL ON DATABASE {name} FROM PUBLIC", names={"name": name})
    _limit(connection, name, connections if label.drill else -1)


@contextmanager
def making(connection: PostgresConnection, name: str) -> Iterator[None]:
    """While it lasts, nobody takes the database, which has no label yet, for one that its maker has left.

    The lock goes with the connection, so a maker that dies holds nobody up.
    """
    connection.rows("SELECT pg_advisory_lock(hashtext('vakhta copy'), hashtext(%s))", [name])
    try:
        yield
    finally:
        connection.rows("SELECT pg_advisory_unlock(hashtext('vakhta copy'), hashtext(%s))", [name])


def try_making(connection: PostgresConnection, name: str) -> bool:
    """Whether nobody is making it. The lock is then held until the connection is closed."""
    return bool(connection.value("SELECT pg_try_advisory_lock(hashtext('vakhta copy'), hashtext(%s))", [name]))


def drop(connection: PostgresConnection, name: str) -> None:
    """Its sessions are ended: what pg_restore left behind may still build an index."""
    if connection.version >= 13:  # noqa: PLR2004 (the first that can)
        connection.change("DROP DATABASE IF EXISTS {name} WITH (FORCE)", names={"name": name})
        return
    connection.change("ALTER DATABASE {name} ALLOW_CONNECTIONS false", names={"name": name})
    end_sessions(connection, name)
    connection.change("DROP DATABASE IF EXISTS {name}", names={"name": name})


def end_sessions(connection: PostgresConnection, name: str) -> int:
    """End all sessions of a database; how many there were. Autovacuum gives way by itself."""
    rows = connection.rows(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()"
        " AND backend_type <> 'autovacuum worker'",
        [name],
    )
    return len(rows)


def guard(found: FoundDatabase, live: LiveIdentity | None, server: str) -> None:
    """Refuse to touch the live database. `server`: the system identifier of the server that `found` is on."""
    if live is None or found.oid != live.oid:
        return
    if live.server == server or not (live.server and server):
        raise Rejected(
            f"Database {found.name} is the live one by its identity (oid {found.oid}). Nothing was done.", code="live"
        )


def _create(connection: PostgresConnection, name: str, options: Sequence[tuple[str, str]]) -> None:
    """Its options are words that the server gave us, each put in as a literal."""
    text = "CREATE DATABASE {name} WITH TEMPLATE template0 CONNECTION LIMIT 0"
    texts: dict[str, str] = {}
    names = {"name": name}
    for key, value in options:
        if key == "TABLESPACE":
            names["tablespace"] = value
            text += " TABLESPACE {tablespace}"
        else:
            texts[key.lower()] = value
            text += f" {key} = {{{key.lower()}}}"
    connection.change(text, names=names, texts=texts)


def _limit(connection: PostgresConnection, name: str, connections: int) -> None:
    """The number is put in as a literal, which this statement takes only without quotes."""
    text = f"ALTER DATABASE {{name}} CONNECTION LIMIT {int(connections)}"
    connection.change(text, names={"name": name})


def _options_like(connection: PostgresConnection, live: str) -> list[tuple[str, str]]:
    """Encoding, locale and tablespace of the live database; nothing where there is none. Columns by their names, since
    each major version has others.
    """
    row = connection.value("SELECT to_jsonb(d) FROM pg_database d WHERE datname = %s", [live])
    if row is None:
        return []
    encoding = connection.value("SELECT pg_encoding_to_char(%s)", [row["encoding"]])
    tablespace = connection.value(
        "SELECT spcname FROM pg_tablespace WHERE oid = %s::bigint::oid", [row["dattablespace"]]
    )
    found = [("ENCODING", encoding), ("LC_COLLATE", row["datcollate"]), ("LC_CTYPE", row["datctype"])]
    name = row.get("datlocale") or row.get("daticulocale")
    provider = {"i": ("icu", "ICU_LOCALE"), "b": ("builtin", "BUILTIN_LOCALE")}.get(row.get("datlocprovider", "c"))
    if provider is not None and name:
        found += [("LOCALE_PROVIDER", provider[0]), (provider[1], name)]
    return [*found, ("TABLESPACE", tablespace)]


def _named(database: str, end: str) -> str:
    begin = database.encode()[: _LONGEST_NAME - len(end)].decode(errors="ignore")
    return begin + end


def _moment(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None
