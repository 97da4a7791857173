"""The live primary, asked what the repository cannot know: whether its WAL reaches the archive, and who it is.

The trap: an archive_command that fails stops nothing. PostgreSQL keeps the segments, tells its log alone, and the
newest moment that can be restored stays where it was.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.core.errors import Rejected
from bot.integrations.postgres.connection import PostgresServer

_LIMIT = timedelta(seconds=10)
_FACTS = """
SELECT current_setting('server_version_num')::int / 10000,
       (SELECT system_identifier::text FROM pg_control_system()),
       current_setting('archive_mode'),
       coalesce(nullif(current_setting('archive_command'), '(disabled)'), ''),
       coalesce(current_setting('archive_library', true), ''),
       pg_size_bytes(current_setting('wal_segment_size')),
       pg_is_in_recovery(),
       a.last_archived_wal, a.last_archived_time, a.failed_count, a.last_failed_wal, a.last_failed_time,
       (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()),
       pg_postmaster_start_time()
FROM pg_stat_archiver AS a
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class PrimaryFacts:
    """What the live server says of itself now."""

    version: int  #: the major one
    system_identifier: str
    archive_mode: str
    archives: bool  #: it has a command or a library for it
    segment_size: int
    standby: bool
    archived_wal: str
    archived_at: datetime | None
    failures: int
    failed_wal: str
    failed_at: datetime | None
    clients: int
    data_directory: str  #: "" when its user may not see it
    started_at: datetime

    @property
    def failing(self) -> bool:
        """Whether the last try to archive a segment failed."""
        return self.failed_at is not None and (self.archived_at is None or self.failed_at > self.archived_at)


def ask_if_known(server: PostgresServer | None) -> PrimaryFacts | None:
    """None: not in the settings, or it does not answer. What the repository has can be restored all the same."""
    if server is None:
        return None
    try:
        return ask(server)
    except Rejected:
        return None


def ask(server: PostgresServer) -> PrimaryFacts:
    """Raises `Rejected`: it does not answer, or refuses."""
    with server.connect(limit=_LIMIT, read_only=True) as connection:
        [row] = connection.rows(_FACTS)
        directory = connection.rows("SELECT setting FROM pg_settings WHERE name = 'data_directory'")
    return PrimaryFacts(
        version=row[0],
        system_identifier=row[1],
        archive_mode=row[2],
        archives=bool(row[3] or row[4]),
        segment_size=row[5],
        standby=row[6],
        archived_wal=row[7] or "",
        archived_at=row[8],
        failures=row[9],
        failed_wal=row[10] or "",
        failed_at=row[11],
        clients=row[12],
        data_directory=directory[0][0] if directory else "",
        started_at=row[13],
    )
