"""Whether replicated tables stand still: nothing queued, nothing behind, nothing unread of their log.

RESTORE looks at its own replica alone, so into one that lags it duplicates rows that another has acknowledged
(https://github.com/ClickHouse/ClickHouse/issues/114266); an EXCHANGE leaves what is queued behind.
"""

from __future__ import annotations

from collections.abc import Sequence

from bot.integrations.clickhouse.client import Row, compose
from bot.integrations.clickhouse.site import ClickHouseSite, number_of


def unsettled_replicas(site: ClickHouseSite, database: str) -> Sequence[str]:
    """A sentence for each replica of a table that lags, is read-only or has stopped reading; none when all stand."""
    rows = site.client.rows(
        compose(
            "SELECT hostName() AS host, table, is_readonly, absolute_delay, queue_size, log_pointer, log_max_index"
            " FROM <replicas> WHERE database = {database:String} ORDER BY table, host",
            replicas=site.everywhere("system.replicas"),
        ),
        {"database": database},
    )
    return [f"{row['table']} on {row['host']} {why}" for row in rows if (why := _trouble(row))]


def shards(site: ClickHouseSite) -> int:
    """How many shards the cluster of the settings has; 1 without one."""
    if not site.where.cluster:
        return 1
    sql = "SELECT uniqExact(shard_num) FROM system.clusters WHERE cluster = {cluster:String}"
    return max(1, int(site.client.value(sql, {"cluster": site.where.cluster}) or 1))


def _trouble(row: Row) -> str:
    if number_of(row["is_readonly"]):
        return "is read-only"
    if number_of(row["absolute_delay"]):
        return f"is {row['absolute_delay']} s behind"
    if number_of(row["queue_size"]):
        return f"has {row['queue_size']} entries in its queue"
    # The pointer is one behind the newest entry that was read.
    if number_of(row["log_max_index"]) > 0 and number_of(row["log_pointer"]) <= number_of(row["log_max_index"]):
        return "has stopped reading its replication log (SYSTEM STOP PULLING REPLICATION LOG?)"
    return ""
