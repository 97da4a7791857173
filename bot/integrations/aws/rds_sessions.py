"""Who is connected to a database of RDS. Only PostgreSQL is asked, by the store's address with that host."""

from __future__ import annotations

from pydantic import SecretStr

from bot.integrations.postgres.connection import PostgresServer

_SESSIONS = """
SELECT count(*) FROM pg_stat_activity
WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND usename <> 'rdsadmin'
"""


def server_at(url: SecretStr, host: str) -> PostgresServer:
    return PostgresServer(url.get_secret_value().replace("{host}", host))


def sessions_of(url: SecretStr | None, host: str) -> int | None:
    """How many sessions of others there are; None where nobody can tell. Raises `Rejected` when it does not answer."""
    if url is None or not host:
        return None
    with server_at(url, host).connect(read_only=True) as connection:
        return int(connection.value(_SESSIONS))
