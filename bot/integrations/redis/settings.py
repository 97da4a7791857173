"""The settings' section about a Redis server and the folder of its RDB files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr

from bot.lib.settings_fields import FILE, PROGRAM, Mistake, Seconds, Section, text_of


def _redis_address(url: SecretStr) -> SecretStr:
    try:
        parts = urlsplit(url.get_secret_value())
        _ = parts.port
    except ValueError:
        raise ValueError("is no address of Redis") from None
    named = parts.path if parts.scheme == "unix" else parts.hostname
    if parts.scheme not in {"redis", "rediss", "unix"} or not named:
        raise ValueError("must be redis://[USER:PASSWORD@]HOST:PORT, rediss:// for TLS, or unix://[...]/SOCKET")
    return url


RedisAddress = Annotated[SecretStr, AfterValidator(_redis_address)]


class RedisSettings(Section):
    """One Redis or Valkey server, whose RDB files lie in a folder that the bot reads."""

    url: RedisAddress = Field(description="Address of the live server, with its user and password.")
    folder: Annotated[str, FILE] = Field(min_length=1, description="Folder of the RDB files, as the bot sees it.")
    files: str = Field("*.rdb", min_length=1, description="Which files of that folder are backups.")
    scratch: Annotated[str, FILE] = Field(
        min_length=1, description="Folder for copies; each has a server of its own there. Not the live server's own."
    )
    reached_as: str | None = Field(
        None,
        min_length=1,
        description="Host of the bot as the live server reaches it. Without it a copy cannot be cut over.",
    )
    server_program: Annotated[str, PROGRAM] = Field("redis-server", min_length=1, description="The server's program.")
    check_program: Annotated[str, PROGRAM] = Field("redis-check-rdb", min_length=1, description="The check's program.")
    client_program: Annotated[str, PROGRAM] = Field("redis-cli", min_length=1, description="The client's program.")
    timeout: Seconds = Field(
        timedelta(seconds=10), description="Seconds to wait for an answer.", json_schema_extra={"default": 10}
    )

    @classmethod
    def mistakes(cls, given: Mapping[str, object]) -> Iterator[Mistake]:
        if "/" in text_of(given, "files"):
            yield ("files",), "must name files of the folder, such as *.rdb, without /"
        if text_of(given, "scratch") and text_of(given, "scratch").rstrip("/") == text_of(given, "folder").rstrip("/"):
            yield ("scratch",), "must be another folder than the backups'"
