"""One archiving PostgreSQL for all tests of this folder that need one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import pytest

from tests.integrations.pgbackrest.cluster import Cluster, why_not


@dataclass(frozen=True, kw_only=True, slots=True)
class Made:
    """A full and an incremental backup, both made while rows were written, and a moment between two commits."""

    cluster: Cluster
    full: str
    incremental: str
    moment: datetime  #: after 300 rows, before 700 more
    segment: str  #: that has the 300 rows


@pytest.fixture(scope="session")
def made() -> Iterator[Made]:
    reason = why_not()
    if reason:
        pytest.skip(reason)
    with Cluster() as cluster:
        cluster.execute("CREATE TABLE orders (id int PRIMARY KEY, at timestamptz DEFAULT clock_timestamp())")
        cluster.execute("INSERT INTO orders SELECT generate_series(1, 100)")
        cluster.execute("ALTER SYSTEM SET log_connections = on")  # what a copy must not inherit
        cluster.execute(f"ALTER SYSTEM SET archive_cleanup_command = 'touch {cluster.reached}'")
        cluster.execute(f"ALTER SYSTEM SET recovery_end_command = 'touch {cluster.reached}'")
        cluster.execute(
            f"CREATE TABLESPACE fast LOCATION '{cluster.tablespace}'",
            "CREATE TABLE indexed TABLESPACE fast AS SELECT generate_series(1, 50) AS id",
        )
        full = cluster.backup("full")
        cluster.execute("INSERT INTO orders SELECT generate_series(101, 200)")
        incremental = cluster.backup("incr")
        cluster.execute("INSERT INTO orders SELECT generate_series(201, 300)")
        [(moment,)] = cluster.execute("SELECT clock_timestamp()")
        assert isinstance(moment, datetime)
        segment = cluster.archived()
        cluster.execute("INSERT INTO orders SELECT generate_series(301, 1000)")
        cluster.archived()
        yield Made(cluster=cluster, full=full, incremental=incremental, moment=moment, segment=segment)
