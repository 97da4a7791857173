"""The settings' section about clickhouse-backup's REST API and the server that it stands beside."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from zoneinfo import available_timezones

from pydantic import Field

from bot.lib.settings_fields import Address, Mistake, Seconds, Secret, Section, text_of


class ClickHouseBackupSettings(Section):
    """One database, backed up by clickhouse-backup, which runs beside one ClickHouse server."""

    url: Address = Field(description="Address of clickhouse-backup's API, such as http://clickhouse:7171.")
    user: str | None = Field(None, min_length=1, description="User of the API (api.username there).")
    password: Secret | None = Field(None, description="Password of that user (api.password there).")
    server: Address = Field(description="Address of the same server's HTTP interface, such as http://clickhouse:8123.")
    server_user: str = Field("default", min_length=1, description="User of the server that may CREATE and read.")
    server_password: Secret | None = Field(None, description="Password of that user.")
    database: str = Field(
        pattern=r"^[A-Za-z0-9_-]+$",
        description="The database that is backed up and restored; letters, digits, _ and -.",
    )
    zone: str = Field(
        "UTC", description="Time zone of the process of clickhouse-backup, which tells times without one."
    )
    broken_parts: float = Field(
        0,
        ge=0,
        le=1,
        description="Its clickhouse.max_broken_part_ratio; above 0, backups may lack parts and say nothing.",
    )
    shards: int = Field(1, ge=1, description="How many shards there are; a store is one of them.")
    outsider: str | None = Field(
        None, min_length=1, description="User of production that must not be able to read the copy of a drill."
    )
    outsider_password: Secret | None = Field(None, description="Password of that user.")
    timeout: Seconds = Field(
        timedelta(seconds=30), description="Seconds to wait for an answer.", json_schema_extra={"default": 30}
    )

    @classmethod
    def mistakes(cls, given: Mapping[str, object]) -> Iterator[Mistake]:
        if text_of(given, "user") and not text_of(given, "password"):
            yield ("password",), "is missing: with user, it is that user's password"
        if text_of(given, "password") and not text_of(given, "user"):
            yield ("user",), "is missing: with password, it is the user whose password that is"
        if (zone := text_of(given, "zone")) and zone not in available_timezones():
            yield ("zone",), "names no time zone; write one such as UTC or Europe/Berlin"
