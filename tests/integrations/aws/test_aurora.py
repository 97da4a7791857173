"""A cluster of Aurora restored beside: in full, and with the instance without which nobody can read it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from bot.core.backup import OWNER_LABEL, CopyState, CutoverState, EngineParts, RestorePoint, RestoreTask
from bot.core.errors import Rejected
from bot.integrations.aws.rds import RdsEngine
from bot.integrations.aws.rds_inventory import POINT_IN_TIME
from bot.integrations.aws.settings import RdsSettings
from tests.fakes.aws import FakeAws
from tests.fakes.aws_rds import UnkindRds
from tests.integrations.aws.conftest import REGION, Admin
from tests.integrations.aws.virtual import VirtualClock

pytestmark = pytest.mark.slow  # each test makes several databases, call by call

RUN, SWAP = "5f0e3d7ac1b2498d", "c0ffee00c1b2498d"
COPY = "shop-restore-5f0e3d7a"
Build = Callable[..., RdsEngine]
LATEST = RestorePoint(backup_id=POINT_IN_TIME, latest=True)


@pytest.fixture
def build(aws: FakeAws, rds: UnkindRds, admin: Admin, clock: VirtualClock) -> Build:
    admin.rds.create_db_cluster(
        DBClusterIdentifier="shop", Engine="aurora-postgresql", MasterUsername="app",
        MasterUserPassword="secret-enough", BackupRetentionPeriod=7, Port=6432, VpcSecurityGroupIds=["sg-11111111"],
        ServerlessV2ScalingConfiguration={"MinCapacity": 0.5, "MaxCapacity": 4},
    )  # fmt: skip
    for name in ("shop-writer", "shop-reader"):
        admin.rds.create_db_instance(
            DBInstanceIdentifier=name,
            DBClusterIdentifier="shop",
            Engine="aurora-postgresql",
            DBInstanceClass="db.serverless",
        )
    rds.set_status("shop", "available")

    def built(**more: Any) -> RdsEngine:
        drills = {"security_groups": ("sg-22222222",)}
        where = RdsSettings.model_validate(
            {"cluster": "shop", "region": REGION, "endpoint_url": aws.url} | drills | more
        )
        return RdsEngine(where, EngineParts(store="shop", now=clock.now, pause=clock.pause))

    return built


def begun(engine: RdsEngine, point: RestorePoint = LATEST, *, drill: bool = False) -> RestoreTask:
    facts = engine.preview(point, drill=drill).facts
    task = RestoreTask(run=RUN, store="shop", point=point, drill=drill, facts=facts)
    engine.begin(task)
    return task


def wait(engine: RdsEngine, task: RestoreTask, clock: VirtualClock) -> list[str]:
    said = []
    while (found := engine.look(task)).state in (CopyState.WAITING, CopyState.RUNNING):
        said.append(found.phase or found.message)
        clock.pause(timedelta(minutes=2))
    assert found.state is CopyState.RESTORED, found.message
    return said


def test_it_is_a_full_copy_with_the_scaling_and_one_instance(
    build: Build, rds: UnkindRds, aws: FakeAws, clock: VirtualClock
) -> None:
    engine = build()
    assert any("shop-writer, shop-reader" in one for one in engine.preview(LATEST, drill=False).not_restored)
    task = begun(engine)

    said = wait(engine, task, clock)

    asked = aws.parameters("rds", "RestoreDBClusterToPointInTime")
    assert asked["RestoreType"] == "full-copy"
    assert asked["ServerlessV2ScalingConfiguration.MaxCapacity"] in ("4", "4.0")
    assert asked["VpcSecurityGroupIds.VpcSecurityGroupId.1"] == "sg-11111111"
    assert said[-1] == "waiting for an instance"
    assert set(rds.instances) == {"shop-writer", "shop-reader", f"{COPY}-1"}
    made = aws.parameters("rds", "CreateDBInstance")
    assert (made["DBInstanceIdentifier"], made["DBInstanceClass"]) == (f"{COPY}-1", "db.serverless")
    assert {one["Key"]: one["Value"] for one in rds.instances[f"{COPY}-1"].tags}[OWNER_LABEL] == RUN


def test_a_crash_before_the_instance_was_asked_for_is_made_good_by_whoever_looks(
    build: Build, rds: UnkindRds, aws: FakeAws, clock: VirtualClock
) -> None:
    rds.not_shown = 0
    task = begun(build())
    clock.pause(timedelta(hours=1))

    wait(build(), task, clock)

    assert aws.times("rds", "RestoreDBClusterToPointInTime") == 1
    assert aws.times("rds", "CreateDBInstance") == 1


def test_a_snapshot_of_a_cluster_is_restored_with_its_engine(
    build: Build, aws: FakeAws, admin: Admin, clock: VirtualClock
) -> None:
    admin.rds.create_db_cluster_snapshot(DBClusterIdentifier="shop", DBClusterSnapshotIdentifier="by-hand")
    engine = build()

    wait(engine, begun(engine, RestorePoint(backup_id="by-hand"), drill=True), clock)

    asked = aws.parameters("rds", "RestoreDBClusterFromSnapshot")
    assert (asked["SnapshotIdentifier"], asked["Engine"]) == ("by-hand", "aurora-postgresql")
    assert asked["VpcSecurityGroupIds.VpcSecurityGroupId.1"] == "sg-22222222"
    assert aws.parameters("rds", "CreateDBInstance")["PubliclyAccessible"] == "false"


def test_an_instance_that_cannot_be_had_fails_the_copy(build: Build, rds: UnkindRds, clock: VirtualClock) -> None:
    rds.not_shown = 0
    engine = build()
    task = begun(engine)
    clock.pause(timedelta(hours=1))
    engine.look(task)
    rds.set_status(f"{COPY}-1", "insufficient-capacity")

    found = engine.look(task)
    assert found.state is CopyState.FAILED
    assert found.message.startswith(
        f"The instance of {COPY} cannot be read: {COPY}-1 is insufficient-capacity: AWS has no capacity"
    )


def test_a_live_cluster_without_an_instance_is_refused_in_the_plan_and_not_after_hours(
    build: Build, admin: Admin
) -> None:
    """As one that is stopped for cost, or was made by a restore that nobody ended."""
    for name in ("shop-writer", "shop-reader"):
        admin.rds.delete_db_instance(DBInstanceIdentifier=name, SkipFinalSnapshot=True)

    with pytest.raises(Rejected, match=r"shop has no instance now.* Nothing was done"):
        build().preview(LATEST, drill=False)
    assert build(instance_class="db.t4g.medium").preview(LATEST, drill=True).effect


def test_an_account_that_may_have_no_more_instances_has_no_room_for_a_cluster(build: Build, rds: UnkindRds) -> None:
    rds.quotas["DBInstances"] = (40, 40)

    with pytest.raises(Rejected, match="has 40 of at most 40 instances"):
        build().preview(LATEST, drill=False)


def test_an_instance_of_that_name_in_another_cluster_is_not_the_copys(
    build: Build, rds: UnkindRds, admin: Admin, clock: VirtualClock
) -> None:
    rds.not_shown = 0
    engine = build()
    task = begun(engine)
    admin.rds.create_db_instance(
        DBInstanceIdentifier=f"{COPY}-1", DBClusterIdentifier="shop", Engine="aurora-postgresql",
        DBInstanceClass="db.serverless",
    )  # fmt: skip
    clock.pause(timedelta(hours=1))

    found = engine.look(task)

    assert found.message == f"{COPY} has no instance, and {COPY}-1 is one of another database."


def test_a_copy_goes_with_its_instance(build: Build, rds: UnkindRds, clock: VirtualClock) -> None:
    engine = build()
    wait(engine, begun(engine), clock)
    [copy] = engine.copies()

    engine.remove(copy)

    assert set(rds.clusters) == {"shop"}
    assert set(rds.instances) == {"shop-writer", "shop-reader"}


def test_clusters_are_swapped_by_renaming_too(build: Build, rds: UnkindRds, clock: VirtualClock) -> None:
    engine = build()
    task = begun(engine)
    wait(engine, task, clock)
    old = rds.clusters["shop"].db_cluster_resource_id

    engine.cut_over(task, SWAP, lambda _: None)
    assert rds.clusters["shop-old-c0ffee00"].db_cluster_resource_id == old
    assert engine.look_cutover(task, SWAP).state is CutoverState.NEW
    clock.pause(timedelta(hours=1))
    assert engine.look(task).state is CopyState.RESTORED
    assert set(rds.instances) == {"shop-writer", "shop-reader", f"{COPY}-1"}, "no instance is added to what is live"

    engine.undo_cutover(task, SWAP, lambda _: None)
    assert rds.clusters["shop"].db_cluster_resource_id == old
