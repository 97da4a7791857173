"""A row of the bot's own in the live database, that has to come back with a backup: the proof of RPO for an idle one.

It is in a schema of its own, `vakhta`, which a user needs the right to make once: CREATE on the database.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from bot.core.errors import OutcomeUnknown, Rejected
from bot.integrations.postgres.connection import PostgresRefused, PostgresServer, PostgresUnreachable

_KEPT = timedelta(days=90)
_NO_SUCH_TABLE = ("42P01", "3F000")
_FORBIDDEN = "42501"


def write(live: PostgresServer, token: str, now: datetime) -> None:
    """Raises `Rejected`: nothing was written, or it is not known whether it was."""
    try:
        with live.connect(called="vakhta-sentinel") as connection:
            if not connection.value("SELECT to_regclass('vakhta.sentinel')::text"):
                connection.change("CREATE SCHEMA IF NOT EXISTS vakhta")
                connection.change(
                    "CREATE TABLE IF NOT EXISTS vakhta.sentinel"
                    " (token text PRIMARY KEY, written_at timestamptz NOT NULL)"
                )
            connection.change(
                "INSERT INTO vakhta.sentinel VALUES (%s, %s) ON CONFLICT (token) DO NOTHING", [token, now]
            )
            connection.change("DELETE FROM vakhta.sentinel WHERE written_at < %s", [now - _KEPT])
    except PostgresUnreachable:
        raise
    except PostgresRefused as refused:
        hint = "GRANT CREATE ON DATABASE to the bot's user, or set drill.sentinel: false"
        why = f"its user may not ({hint})" if refused.sqlstate == _FORBIDDEN else refused.message
        raise Rejected(f"No sentinel row was written to the live database: {why}.", code="no_sentinel") from None
    except OutcomeUnknown as unknown:
        raise Rejected(f"A sentinel row may not have been written: {unknown.message}", code="no_sentinel") from None


def read(copy: PostgresServer) -> Mapping[str, datetime]:
    """The rows of a copy; none where it has no such table. Raises `Rejected`."""
    with copy.connect(read_only=True) as connection:
        try:
            rows = connection.rows("SELECT token, written_at FROM vakhta.sentinel ORDER BY written_at")
        except PostgresRefused as refused:
            if refused.sqlstate in _NO_SUCH_TABLE:
                return {}
            raise
    return {str(token): written for token, written in rows}
