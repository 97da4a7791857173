"""ClickHouse with replicas, which the engine of the tests cannot have: the answers of a cluster are scripted.

What is shown is what the bot does with such answers, and the statements that it sends; no replica takes part.
"""

from __future__ import annotations

import pytest

from bot.core.backup import CopyState, RestorePoint, RestoreTask
from bot.core.errors import Rejected
from bot.integrations.clickhouse.backups import ClickHouseEngine
from tests.fakes.clickhouse_http import ClickHouseRefusal
from tests.integrations.clickhouse.ground import Ground

pytestmark = [pytest.mark.waits, pytest.mark.xdist_group("clickhouse")]

_SETTLED = {
    "host": "two",
    "table": "orders",
    "is_readonly": 0,
    "absolute_delay": "0",
    "queue_size": 0,
    "log_pointer": "8",
    "log_max_index": "7",
    "total_replicas": 2,
}


@pytest.fixture
def engine(ground: Ground) -> ClickHouseEngine:
    """Of a cluster of two replicas, each settled; what is read of all of them is answered by this one server."""
    ground.back_up("one")
    server = ground.server
    for table in ("backups", "backup_log", "processes"):
        server.script_rewrite(rf"clusterAllReplicas\('main', (system\.{table})\)", r"\1")
    server.script(r"clusterAllReplicas\('main', system\.replicas\)", [_SETTLED])
    server.script(r"clusterAllReplicas\('main', system\.tables\)", [])
    server.script("FROM system.clusters", [{"shards": 3}])
    server.script_rewrite(r" ON CLUSTER `main`", "")
    return ground.engine(cluster="main")


def _task(ground: Ground, engine: ClickHouseEngine) -> RestoreTask:
    plan = engine.preview(RestorePoint(backup_id="one"), drill=False)
    return RestoreTask(run=ground.run, store="s", point=RestorePoint(backup_id="one"), facts=plan.facts)


def test_a_copy_that_has_a_table_on_another_replica_is_not_restored_into(
    ground: Ground, engine: ClickHouseEngine
) -> None:
    task = _task(ground, engine)
    ground.server.script(r"clusterAllReplicas\('main', system\.tables\)", [{"host": "two", "n": 1}])

    with pytest.raises(Rejected, match=r"tables already on two.*duplicate rows.*Nothing was done"):
        engine.begin(task)

    assert not any(one.startswith(("RESTORE", "CREATE DATABASE `orders")) for one in ground.server.statements)


@pytest.mark.parametrize(
    ("column", "value", "why"),
    [
        ("is_readonly", 1, "is read-only"),
        ("absolute_delay", "7", "is 7 s behind"),
        ("queue_size", 3, "has 3 entries in its queue"),
        ("log_pointer", "5", "has stopped reading its replication log"),
    ],
)
def test_a_replica_that_is_not_settled_is_refused(
    ground: Ground, engine: ClickHouseEngine, column: str, value: object, why: str
) -> None:
    ground.server.script(r"clusterAllReplicas\('main', system\.replicas\)", [{**_SETTLED, column: value}])

    with pytest.raises(Rejected, match=f"orders on two {why}.*Nothing was done"):
        engine.preview(RestorePoint(), drill=False)


def test_everything_that_is_changed_is_changed_on_the_cluster(ground: Ground, engine: ClickHouseEngine) -> None:
    task = _task(ground, engine)
    plan = engine.preview(RestorePoint(), drill=False)
    engine.begin(task)
    status = engine.look(task)

    changes = [one for one in ground.server.statements if one.startswith(("CREATE DATABASE `orders", "RESTORE"))]
    assert len(changes) == 2
    assert all("ON CLUSTER `main`" in one for one in changes)
    assert "This is 1 of 3 shards; the others are not restored." in plan.effect
    assert status.state in (CopyState.RUNNING, CopyState.RESTORED)


def test_a_restore_that_is_refused_leaves_no_database_behind(ground: Ground, engine: ClickHouseEngine) -> None:
    task = _task(ground, engine)
    ground.server.script("^RESTORE", ClickHouseRefusal(599, "Backup not found. (BACKUP_NOT_FOUND)"))

    with pytest.raises(Rejected, match="not found"):
        engine.begin(task)

    assert engine.copies() == []  # the empty database is gone with the refusal


def test_tables_with_replicas_are_exchanged_on_all_of_them_or_not_at_all(ground: Ground) -> None:
    ground.back_up("one")
    task = ground.restored(ground.run)
    ground.server.script("FROM system.replicas", [_SETTLED])

    with pytest.raises(Rejected, match=r"orders has 2 replicas.*Set `cluster`"):
        ground.engine().preview_cutover(task)
