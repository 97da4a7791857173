"""One real engine for all tests of this folder that run on one worker; each test has databases of its own."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

import pytest

from tests.fakes.clickhouse_http import FakeClickHouse
from tests.integrations.clickhouse.ground import Ground

_COUNT = itertools.count(1)


@pytest.fixture(scope="session")
def clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeClickHouse]:
    place = tmp_path_factory.mktemp("clickhouse")
    with FakeClickHouse(place / "data", place / "backups") as server:
        yield server


@pytest.fixture
def ground(clickhouse: FakeClickHouse) -> Iterator[Ground]:
    made = Ground(clickhouse, f"orders{next(_COUNT)}")
    for statement in (
        "CREATE DATABASE DB COMMENT 'the shop'",
        "CREATE TABLE DB.orders (id UInt64, at DateTime64(3, 'UTC'), what String) ENGINE = MergeTree ORDER BY id",
        "CREATE TABLE DB.totals (what String, n UInt64) ENGINE = SummingMergeTree ORDER BY what",
        "CREATE TABLE DB.small (id UInt64) ENGINE = TinyLog",
        "CREATE MATERIALIZED VIEW DB.to_totals TO DB.totals AS SELECT what, 1 AS n FROM DB.orders",
        "CREATE TABLE DB.outside (id UInt64) ENGINE = URL('http://127.0.0.1:1/', 'CSV')",
        "INSERT INTO DB.orders SELECT number, now64(3), toString(number % 7) FROM numbers(1000)",
        "INSERT INTO DB.small SELECT number FROM numbers(7)",
    ):
        made.sql(statement)
    yield made
    clickhouse.unscript()
    for row in clickhouse.sql(
        f"SELECT name FROM system.databases WHERE match(name, '^{re.escape(made.database)}(_|$)')"
    ):
        clickhouse.sql(f"DROP DATABASE IF EXISTS `{row['name']}` SYNC")
