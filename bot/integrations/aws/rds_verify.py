"""The data of a restored database of RDS, read. Only PostgreSQL's is; for any other engine that is a failed check.

Reading every row is also what brings the blocks of a new volume from S3: until then the first reads are slow.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta

from pydantic import SecretStr

from bot.core.backup import Check, CheckResult, Report
from bot.integrations.aws.rds_database import RdsDatabase
from bot.integrations.aws.rds_sessions import server_at
from bot.integrations.postgres.checks import verify_postgres
from bot.integrations.postgres.connection import PostgresConnection

#: Of one statement: a first read of a large table comes from S3.
_READ_WITHIN = timedelta(hours=6)


def verify_database(
    url: SecretStr | None,
    copy: RdsDatabase,
    live: RdsDatabase | None,
    checks: Sequence[Check],
    report: Report,
    *,
    data_at: datetime | None,
) -> list[CheckResult]:
    """The checks that read data. Those that cannot be made are not ok, and say why."""
    if url is None or "postgres" not in copy.engine:
        why = "the store has no url" if "postgres" in copy.engine else f"the bot cannot read {copy.engine}"
        return [
            CheckResult(name=name, expected="read by the bot", got=f"not read: {why}", ok=False)
            for name in ("every row can be read", *(one.name for one in checks))
        ]
    if not copy.host:
        return [CheckResult(name="endpoint", expected="an address", got="AWS tells none", ok=False)]
    server = server_at(url, copy.host)

    def connect() -> AbstractContextManager[PostgresConnection]:
        return server.connect(limit=_READ_WITHIN)

    known = server_at(url, live.host) if live is not None and live.host and live.name != copy.name else None
    return verify_postgres(connect, checks, report, live=known.connect if known else None, data_at=data_at)
