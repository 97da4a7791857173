"""Taking an RDB file of a running server over its own protocol (`redis-cli --rdb`), without a file of its own."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from urllib.parse import unquote, urlsplit

from bot.core.programs import Program
from bot.integrations.redis.settings import RedisSettings

_DUMPED_WITHIN = timedelta(hours=2)
_PORT = 6379


def dump_program(where: RedisSettings, to: Path, *, key: str) -> Program:
    """The password goes by the environment, where `ps` does not show it."""
    parts = urlsplit(where.url.get_secret_value())
    argv = [where.client_program]
    if parts.scheme == "unix":
        argv += ["-s", parts.path]
    else:
        argv += ["-h", parts.hostname or "", "-p", str(parts.port or _PORT)]
    if parts.scheme == "rediss":
        argv.append("--tls")
    if parts.username:
        argv += ["--user", unquote(parts.username)]
    secrets = {"REDISCLI_AUTH": unquote(parts.password)} if parts.password else {}
    return Program(key=key, argv=[*argv, "--rdb", str(to)], secrets=secrets, time_limit=_DUMPED_WITHIN)
