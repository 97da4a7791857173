"""The real engine of the tests of ClickHouse's own backups, which run on the same worker."""

from __future__ import annotations

from tests.integrations.clickhouse.conftest import clickhouse, ground

__all__ = ["clickhouse", "ground"]
