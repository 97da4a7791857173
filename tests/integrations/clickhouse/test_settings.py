"""Mistakes in the sections of ClickHouse, clickhouse-backup and Redis are told before the start."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from bot.integrations.clickhouse.settings import ClickHouseSettings
from bot.integrations.clickhouse_backup.settings import ClickHouseBackupSettings
from bot.integrations.redis.settings import RedisSettings
from bot.lib.settings_fields import Section


@pytest.mark.parametrize(
    ("section", "given", "key"),
    [
        (ClickHouseSettings, {}, "disk"),
        (ClickHouseSettings, {"disk": "backups", "folder": "orders"}, "disk"),
        (ClickHouseSettings, {"disk": "backups", "path": "../other/"}, "path"),
        (ClickHouseSettings, {"disk": "backups", "outsider": "default"}, "outsider"),
        (ClickHouseBackupSettings, {"user": "backup"}, "password"),
        (ClickHouseBackupSettings, {"password": "secret"}, "user"),
        (ClickHouseBackupSettings, {"zone": "Moscow"}, "zone"),
        (RedisSettings, {"files": "old/*.rdb"}, "files"),
        (RedisSettings, {"folder": "/backups", "scratch": "/backups/"}, "scratch"),
    ],
)
def test_keys_that_contradict_each_other_are_faults(section: type[Section], given: dict[str, object], key: str) -> None:
    assert [place for place, _ in section.mistakes(given)] == [(key,)]


@pytest.mark.parametrize("url", ["localhost:6379", "http://cache:6379", "redis://", "unix://", "redis://h:port"])
def test_what_is_no_address_of_redis_is_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(ValidationError) as refused:
        RedisSettings.model_validate({"url": url, "folder": "/b", "scratch": "/s"})

    assert "redis://" in str(refused.value) or "no address" in str(refused.value)


def test_a_password_is_in_no_text_of_a_section() -> None:
    section = RedisSettings.model_validate({"url": "redis://:hidden@cache:6379", "folder": "/b", "scratch": "/s"})

    assert "hidden" not in repr(section)
