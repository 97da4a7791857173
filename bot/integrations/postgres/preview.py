"""What a restore would do, found out by reading alone: the archive, the server that it goes to, the live database."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from bot.core.backup import Backup, RestorePreview
from bot.core.errors import Rejected
from bot.integrations.postgres import databases
from bot.integrations.postgres.archive_header import ArchiveHeader
from bot.integrations.postgres.archive_schema import ArchiveNeeds, needs_of
from bot.integrations.postgres.archive_sources import Archive
from bot.integrations.postgres.archives import Archives
from bot.integrations.postgres.client_programs import ClientPrograms, major_of
from bot.integrations.postgres.connection import PostgresConnection, PostgresServer
from bot.integrations.postgres.writes import WriteRates

#: From this version on pg_restore sets a parameter that servers before it do not know, and ends at that error.
#: https://www.postgresql.org/docs/17/runtime-config-client.html#GUC-TRANSACTION-TIMEOUT
_STRICT = 17
#: Of a compressed archive, where the live database's own size cannot be read: how much larger it may become.
_EXPANDS = 6
_LOOPBACK = ("127.0.0.1", "localhost", "::1", "the local socket")
#: As long as the short id of a run.
_PLACE = "00000000"
OWNERS, NO_TABLESPACES = "owners", "no_tablespaces"
_USUAL_LOSSES = (
    "roles and their passwords, which no archive of one database has (pg_dumpall --globals-only saves them)",
    "settings of the server: ALTER SYSTEM, postgresql.conf, pg_hba.conf",
    "replicas, replication slots and subscriptions",
    "planner statistics: they are collected again before a cutover",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class PreviewParts:
    """What a preview is made from. `live` and `target` are the same server where no other is set."""

    database: str
    live: PostgresServer
    target: PostgresServer
    archives: Archives
    client: ClientPrograms
    rates: WriteRates


def preview_restore(parts: PreviewParts, archive: Archive, backup: Backup, *, drill: bool) -> RestorePreview:
    """Raises `Rejected`: with what is wrong, what was not done, what to do."""
    header = parts.archives.header(archive)
    needs = needs_of(parts.client.schema(parts.archives.source.fetch(archive)))
    with parts.target.connect(read_only=True) as target:
        refuse_versions(parts.client.restore_major(), header, target.version)
        identifier = databases.system_identifier(target)
        missing = _missing(target, needs)
        size = _live_size(target, parts.database)
        free = _free(target, parts.target, parts.database)
    live = _Live.read(parts, backup.data_at)
    name = databases.copy_name(parts.database, _PLACE, drill=drill).removesuffix(_PLACE) + "{run}"
    owners = not drill and not missing.roles
    needed = size or live.size or (backup.size_bytes or 0) * _EXPANDS
    facts = {
        "archive": archive.identity,
        "size": str(needed),
        OWNERS: "yes" if owners else "",
        NO_TABLESPACES: "yes" if drill or missing.tablespaces else "",
    }
    return RestorePreview(
        backup_id=backup.id,
        data_at=backup.data_at,
        copy_name=f"database {name} on {parts.target.name}",
        effect=tuple(_effect(header, owners=owners)),
        preconditions={"archive": archive.identity, "server": identifier, "owners": str(owners)},
        not_restored=(*_losses(needs, missing, owners=owners, drill=drill), *_USUAL_LOSSES),
        moving=live.said,
        size_bytes=backup.size_bytes,
        needs_bytes=needed,
        free_bytes=free,
        facts=facts,
    )


def refuse_versions(client: int, header: ArchiveHeader, server: int) -> None:
    """Raises `Rejected` where these three cannot work together."""
    dumped = major_of(header.server_version)
    if client < server:
        why = f"pg_restore {client} is older than the server, PostgreSQL {server}: install pg_restore {server}"
    elif client >= _STRICT > server:
        why = (
            f"pg_restore {client} fails on servers before {_STRICT}, and this is {server}: install pg_restore {server}"
        )
    elif dumped > server:
        why = f"the archive is of PostgreSQL {dumped}, and the server is {server}: set copy_url to a newer server"
    else:
        return
    raise Rejected(f"It cannot be restored here: {why}. Nothing was done.", code="version")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Missing:
    roles: Sequence[str]
    tablespaces: Sequence[str]


def _missing(target: PostgresConnection, needs: ArchiveNeeds) -> _Missing:
    """What the server lacks. Raises `Rejected` for extensions, without which the restore would end half-way."""
    extensions = {name for (name,) in target.rows("SELECT name FROM pg_available_extensions")}
    lacking = sorted(needs.extensions - extensions)
    if lacking:
        raise Rejected(
            f"The server has not installed: extension {', '.join(lacking)}, which the archive needs. Nothing was done. "
            "Install it on the server."
        )
    roles = {name for (name,) in target.rows("SELECT rolname FROM pg_roles")}
    spaces = {name for (name,) in target.rows("SELECT spcname FROM pg_tablespace")}
    return _Missing(roles=sorted(needs.roles - roles), tablespaces=sorted(needs.tablespaces - spaces))


def _effect(header: ArchiveHeader, *, owners: bool) -> Iterator[str]:
    kept = "has its owners and rights" if owners else "is owned by the bot's user, without the rights of others"
    yield f"The copy {kept}"
    yield f"The archive was made by pg_dump {header.dump_version.partition(' ')[0]} ({header.format})"


def _losses(needs: ArchiveNeeds, missing: _Missing, *, owners: bool, drill: bool) -> Iterator[str]:
    if not owners and not drill:
        yield f"owners and rights, since roles are missing on the server: {', '.join(missing.roles)}"
    if missing.tablespaces:
        yield f"tablespaces, since they are missing on the server: {', '.join(missing.tablespaces)}"
    if needs.subscriptions:
        yield "its subscriptions, so that the copy takes nothing from another server"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Live:
    """What is true of the live database now."""

    size: int | None
    said: tuple[str, ...]

    @classmethod
    def read(cls, parts: PreviewParts, data_at: datetime) -> _Live:
        """A live one that does not answer is told, and restored from its backup all the same."""
        try:
            with parts.live.connect(read_only=True) as connection:
                size = _live_size(connection, parts.database)
                if size is None:
                    return cls(size=None, said=(f"there is no live database {parts.database}",))
                writers = tuple(_writers(connection, parts.database))
        except Rejected as refused:
            return cls(size=None, said=(f"the live one could not be read: {refused.message}",))
        return cls(size=size, said=(*writers, parts.rates.lost_since(data_at)))


def _live_size(connection: PostgresConnection, database: str) -> int | None:
    rows = connection.rows(
        "SELECT CASE WHEN has_database_privilege(oid, 'CONNECT') OR pg_has_role('pg_read_all_stats', 'USAGE')"
        " THEN pg_database_size(oid) END FROM pg_database WHERE datname = %s",
        [database],
    )
    return int(rows[0][0]) if rows and rows[0][0] is not None else None


def _writers(connection: PostgresConnection, database: str) -> Iterator[str]:
    rows = connection.rows(
        "SELECT coalesce(usename, 'nobody'), coalesce(nullif(application_name, ''), 'unnamed'), count(*)"
        " FROM pg_stat_activity WHERE datname = %s AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
        " AND application_name NOT LIKE 'vakhta%%' GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2 LIMIT 5",
        [database],
    )
    if not rows:
        yield "nobody is connected to the live one"
    for user, application, count in rows:
        yield f"connected to the live one: {user} ({application}), {count} connections"


def _free(target: PostgresConnection, server: PostgresServer, live: str) -> int | None:
    """Of the disk of the copy, where that is on this machine and may be read; no SQL tells it."""
    if server.name.rpartition(":")[0] not in _LOOPBACK:
        return None
    place = target.value("SELECT pg_tablespace_location(dattablespace) FROM pg_database WHERE datname = %s", [live])
    place = place or target.value("SELECT setting FROM pg_settings WHERE name = 'data_directory'")
    try:
        return shutil.disk_usage(Path(place)).free if place else None
    except OSError:
        return None


def size_in(facts: Mapping[str, str]) -> int | None:
    """The size that the copy will have, by what was noted before the start."""
    size = facts.get("size", "")
    return int(size) if size.isdecimal() and int(size) else None
