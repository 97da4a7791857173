"""A row of the bot's own, carried through the WAL: written, pushed into the archive, and looked for in the copy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from bot.core.errors import Rejected
from bot.integrations.pgbackrest.wal import WalArchive
from bot.integrations.postgres.connection import PostgresConnection, PostgresServer

_ARCHIVED_WITHIN = timedelta(minutes=2)
_LOOK_EVERY = timedelta(seconds=1)
_LIMIT = timedelta(seconds=30)


def write(
    server: PostgresServer, token: str, *, now: Callable[[], datetime], pause: Callable[[timedelta], None]
) -> None:
    """Commit the row, end its segment, and wait until that is archived.

    Raises:
        Rejected: it is not in the archive; the text says how far it came.
        OutcomeUnknown: whether it was written is unknown.
    """
    with server.connect(limit=_LIMIT, called="vakhta sentinel") as connection:
        if connection.value("SELECT pg_is_in_recovery()"):
            raise Rejected(
                "The address of the live primary leads to a standby; no sentinel was written. Set where.url."
            )
        connection.change("CREATE SCHEMA IF NOT EXISTS vakhta")
        connection.change(
            "CREATE TABLE IF NOT EXISTS vakhta.sentinels"
            " (token text PRIMARY KEY, written_at timestamptz NOT NULL DEFAULT clock_timestamp())"
        )
        connection.change("DELETE FROM vakhta.sentinels WHERE written_at < now() - interval '90 days'")
        connection.change("INSERT INTO vakhta.sentinels (token) VALUES (%s) ON CONFLICT DO NOTHING", [token])
        segment = _ended_segment(connection)
        until = now() + _ARCHIVED_WITHIN
        while not connection.value(
            "SELECT coalesce(last_archived_wal, '') ~ '^[0-9A-F]{24}$' AND last_archived_wal >= %s"
            " FROM pg_stat_archiver",
            [segment],
        ):
            if now() >= until:
                raise Rejected(
                    f"The sentinel was written, and its WAL segment {segment} did not reach the archive within 2 min."
                    " See archive_command in the live server's log.",
                    code="not_archived",
                )
            pause(_LOOK_EVERY)


def _ended_segment(connection: PostgresConnection) -> str:
    """End the segment that is written; the name of the last one that has ended.

    The trap: where nothing was written since the last switch, pg_switch_wal does nothing and returns the start of a
    segment that will not be archived for a long time.
    """
    [(lsn, timeline, size)] = connection.rows(
        "SELECT pg_switch_wal()::text, substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8),"
        " pg_size_bytes(current_setting('wal_segment_size'))"
    )
    high, _, low = str(lsn).partition("/")
    place = (int(high, 16) << 32) + int(low, 16)
    return WalArchive(size=int(size)).name(int(str(timeline), 16), (place - 1) // int(size))


def read(server: PostgresServer) -> Mapping[str, datetime]:
    """All tokens of a copy. Raises `Rejected`."""
    with server.connect(limit=_LIMIT, read_only=True) as connection:
        if connection.value("SELECT to_regclass('vakhta.sentinels')") is None:
            return {}
        return {str(token): at for token, at in connection.rows("SELECT token, written_at FROM vakhta.sentinels")}
