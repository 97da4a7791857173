"""An instance of RDS restored beside the live one, over moto with what moto lacks; time is virtual."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from bot.core.backup import (
    DRILL_LABEL,
    OWNER_LABEL,
    BackupTaker,
    Check,
    CopyState,
    CutoverEngine,
    EngineParts,
    RestorePoint,
    RestorePreview,
    RestoreTask,
)
from bot.core.errors import Conflict, OutcomeUnknown, Rejected
from bot.integrations.aws.rds import RdsEngine
from bot.integrations.aws.rds_inventory import POINT_IN_TIME
from bot.integrations.aws.rds_isolation import _who_is_let_in
from bot.integrations.aws.rds_status import status_of
from bot.integrations.aws.settings import RdsSettings
from tests.fakes.aws import FakeAws, error
from tests.fakes.aws_rds import UnkindRds
from tests.integrations.aws.conftest import REGION, Admin
from tests.integrations.aws.virtual import VirtualClock, at_loopback
from tests.postgres import Postgres

RUN = "5f0e3d7ac1b2498d"
OTHER = "77aa3d7ac1b2498d"
Build = Callable[..., RdsEngine]
LATEST = RestorePoint(backup_id=POINT_IN_TIME, latest=True)


@pytest.fixture
def groups() -> dict[str, str]:
    return {"live": "sg-11111111", "drills": "sg-22222222"}


@pytest.fixture
def real_groups(admin: Admin, groups: dict[str, str]) -> dict[str, str]:
    """In the place of the names alone, which are enough where no rule of theirs is read."""
    made = groups
    vpc = admin.ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    for name in ("live", "drills"):
        made[name] = admin.ec2.create_security_group(GroupName=name, Description=name, VpcId=vpc)["GroupId"]
    outwards = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    admin.ec2.revoke_security_group_egress(GroupId=made["drills"], IpPermissions=outwards)
    return made


@pytest.fixture
def build(aws: FakeAws, rds: UnkindRds, admin: Admin, groups: dict[str, str], clock: VirtualClock) -> Build:
    admin.rds.create_db_parameter_group(
        DBParameterGroupName="tuned", DBParameterGroupFamily="postgres16", Description="d"
    )
    admin.rds.create_db_instance(
        DBInstanceIdentifier="orders", Engine="postgres", EngineVersion="16.3", DBInstanceClass="db.m6g.large",
        AllocatedStorage=100, MasterUsername="app", MasterUserPassword="secret-enough", BackupRetentionPeriod=7,
        DeletionProtection=True, VpcSecurityGroupIds=[groups["live"]], MultiAZ=True, StorageEncrypted=True,
        KmsKeyId="key-1", DBParameterGroupName="tuned", EnableIAMDatabaseAuthentication=True, CopyTagsToSnapshot=True,
        EnableCloudwatchLogsExports=["postgresql"], Port=6432, AutoMinorVersionUpgrade=False,
        Tags=[{"Key": "team", "Value": "shop"}, {"Key": OWNER_LABEL, "Value": "of an earlier cutover"}],
    )  # fmt: skip
    rds.instances["orders"].dbi_resource_id = "db-LIVE"

    def built(**more: Any) -> RdsEngine:
        drills = {"security_groups": (groups["drills"],)}
        where = RdsSettings.model_validate(
            {"instance": "orders", "region": REGION, "endpoint_url": aws.url} | drills | more
        )
        return RdsEngine(where, EngineParts(store="orders", now=clock.now, pause=clock.pause))

    return built


def task_of(preview: RestorePreview, point: RestorePoint, *, drill: bool = False, run: str = RUN) -> RestoreTask:
    return RestoreTask(run=run, store="orders", point=point, drill=drill, facts=preview.facts)


def restored(
    engine: RdsEngine, clock: VirtualClock, point: RestorePoint = LATEST, *, drill: bool = False
) -> RestoreTask:
    task = task_of(engine.preview(point, drill=drill), point, drill=drill)
    engine.begin(task)
    while (found := engine.look(task)).state in (CopyState.WAITING, CopyState.RUNNING):
        clock.pause(timedelta(minutes=1))
    assert found.state is CopyState.RESTORED, found.message
    return task


def test_it_can_do_what_an_engine_of_instances_can(build: Build) -> None:
    assert isinstance(build(), CutoverEngine)
    assert isinstance(build(), BackupTaker)


# -- the inventory --


def test_snapshots_and_the_point_in_time_are_usable(build: Build, rds: UnkindRds, admin: Admin) -> None:
    admin.rds.create_db_snapshot(DBInstanceIdentifier="orders", DBSnapshotIdentifier="by-hand")

    found = build().inventory()

    assert {one.kind: one.problem for one in found.backups} == {
        "automated snapshot": "", "manual snapshot": "", "logs": "",
    }  # fmt: skip
    assert found.window is not None
    assert (found.window.earliest, found.window.latest) == (rds.earliest, rds.latest)
    assert found.continuity is not None
    assert found.continuity.gap == ""
    assert found.blockers == ()
    [automated] = [one for one in found.backups if one.kind == "automated snapshot"]
    assert automated.expires_at == automated.data_at + timedelta(days=7)
    assert automated.size_bytes == 100 * 2**30


def test_the_data_time_of_a_copied_snapshot_is_its_originals(
    build: Build, rds: UnkindRds, admin: Admin, clock: VirtualClock
) -> None:
    admin.rds.create_db_snapshot(DBInstanceIdentifier="orders", DBSnapshotIdentifier="copied")
    rds._world.database_snapshots["copied"].original_snapshot_create_time = clock.at - timedelta(days=3)

    [copied] = [one for one in build().inventory().backups if one.id == "copied"]

    assert copied.data_at == clock.at - timedelta(days=3)


def test_a_disabled_key_makes_everything_that_it_encrypts_unusable(build: Build, rds: UnkindRds, aws: FakeAws) -> None:
    rds.key_state = "PendingDeletion"

    found = build().inventory()

    assert {one.problem for one in found.backups} == {"its KMS key key-1 is PendingDeletion, not Enabled"}
    assert aws.times("kms", "DescribeKey") == 1


def test_a_key_that_may_not_be_looked_at_is_never_taken_for_good(build: Build, aws: FakeAws) -> None:
    aws.deny("kms", "DescribeKey")

    found = build().inventory()

    assert all("Allow the bot kms:DescribeKey" in one.problem for one in found.backups)
    assert not any(one.usable for one in found.backups)


def test_a_version_that_is_no_longer_offered_is_told(build: Build, rds: UnkindRds) -> None:
    rds.offered = False

    problems = {one.kind: one.problem for one in build().inventory().backups}

    assert problems["automated snapshot"] == "postgres 16.3 is no longer offered by RDS"


def test_without_automated_backups_the_store_is_blocked(build: Build, rds: UnkindRds) -> None:
    rds.instances["orders"].backup_retention_period = 0

    found = build().inventory()

    assert "BackupRetentionPeriod is 0" in found.blockers[0]
    assert found.window is None


def test_logs_that_are_not_stored_any_more_are_a_gap(build: Build, rds: UnkindRds, clock: VirtualClock) -> None:
    rds.latest = clock.at - timedelta(minutes=47)
    rds.set_status("orders", "storage-full")

    found = build().inventory()

    assert found.continuity is not None
    assert found.continuity.gap == "no log was stored for 47 min, and orders is storage-full"


def test_what_is_kept_of_a_deleted_database_of_that_name_is_not_the_live_ones(
    build: Build, rds: UnkindRds, clock: VirtualClock
) -> None:
    rds.retained = [("db-BEFORE", clock.at - timedelta(days=40), clock.at - timedelta(days=30))]

    found = build().inventory()

    assert found.window is not None
    assert (found.window.earliest, found.window.latest) == (rds.earliest, rds.latest)


def test_of_a_database_that_is_gone_the_newest_of_what_is_kept_is_restored(
    build: Build, rds: UnkindRds, admin: Admin, aws: FakeAws, clock: VirtualClock
) -> None:
    rds.retained = [
        ("db-BEFORE", clock.at - timedelta(days=40), clock.at - timedelta(days=30)),
        ("db-LIVE", clock.at - timedelta(days=7), clock.at - timedelta(minutes=30)),
    ]
    rds.earliest = rds.latest = None
    admin.rds.modify_db_instance(DBInstanceIdentifier="orders", DeletionProtection=False)
    admin.rds.delete_db_instance(DBInstanceIdentifier="orders", SkipFinalSnapshot=True, DeleteAutomatedBackups=False)
    engine = build(subnet_group="private")
    aws.replace("rds", "RestoreDBInstanceToPointInTime", error("rds", "InvalidRestoreFault", "not made here"))

    with pytest.raises(Rejected, match="not made here"):
        engine.begin(task_of(engine.preview(LATEST, drill=False), LATEST))

    asked = aws.parameters("rds", "RestoreDBInstanceToPointInTime")
    assert asked["SourceDBInstanceAutomatedBackupsArn"].endswith(":auto-backup:db-LIVE")


def test_without_the_right_to_describe_nothing_is_known(build: Build, aws: FakeAws) -> None:
    aws.deny("rds", "DescribeDBInstances")

    with pytest.raises(Rejected, match=r"Allow the bot rds:DescribeDBInstances"):
        build().inventory()


# -- the plan --


def test_the_plan_says_what_comes_back_and_what_does_not(build: Build) -> None:
    found = build().preview(LATEST, drill=False)

    assert found.copy_name == "orders-restore-{run}"
    assert found.needs_bytes == 100 * 2**30
    assert found.free_bytes == 99_000 * 2**30
    assert found.preconditions == {"source": "db-LIVE"}
    assert "restores the instance orders to the latest moment that its logs reach" in found.effect[0]
    assert any("CloudWatch alarms" in one for one in found.not_restored)


def test_a_time_in_the_future_is_refused_with_the_window_and_before_any_write(
    build: Build, aws: FakeAws, clock: VirtualClock
) -> None:
    with pytest.raises(Rejected, match=r"after the newest moment.*The window is .* ask for `latest`"):
        build().preview(RestorePoint(at=clock.at + timedelta(hours=1)), drill=False)
    with pytest.raises(Rejected, match="is before the window"):
        build().preview(RestorePoint(at=clock.at - timedelta(days=8)), drill=False)

    assert aws.times("rds", "RestoreDBInstanceToPointInTime") == 0


def test_a_backup_that_is_not_known_or_not_usable_is_refused(build: Build, rds: UnkindRds) -> None:
    with pytest.raises(Rejected, match="There is no backup 'nothing'"):
        build().preview(RestorePoint(backup_id="nothing"), drill=False)
    rds.key_state = "Disabled"
    with pytest.raises(Rejected, match="its KMS key key-1 is Disabled"):
        build().preview(LATEST, drill=False)


def test_a_used_up_quota_is_refused_in_the_plan(build: Build, rds: UnkindRds) -> None:
    rds.quotas["DBInstances"] = (40, 40)

    with pytest.raises(Rejected, match="has 40 of at most 40 instances"):
        build().preview(LATEST, drill=False)


def test_a_drill_without_a_network_of_its_own_is_refused(build: Build, groups: dict[str, str]) -> None:
    with pytest.raises(Rejected, match="needs security groups of its own"):
        build(security_groups=()).preview(LATEST, drill=True)
    with pytest.raises(Rejected, match="is the live database's own"):
        build(security_groups=(groups["live"],)).preview(LATEST, drill=True)


# -- the restore --


def test_a_restore_copies_what_aws_would_default_and_is_tagged_at_birth(
    build: Build, rds: UnkindRds, aws: FakeAws, groups: dict[str, str], clock: VirtualClock
) -> None:
    engine = build()
    task = task_of(engine.preview(LATEST, drill=False), LATEST)

    engine.begin(task)

    asked = aws.parameters("rds", "RestoreDBInstanceToPointInTime")
    assert asked["TargetDBInstanceIdentifier"] == "orders-restore-5f0e3d7a"
    assert asked["UseLatestRestorableTime"] == "true"
    assert "RestoreTime" not in asked
    assert asked["VpcSecurityGroupIds.VpcSecurityGroupId.1"] == groups["live"]
    assert asked["DBParameterGroupName"] == "tuned"
    assert (asked["MultiAZ"], asked["Port"], asked["DBInstanceClass"]) == ("true", "6432", "db.m6g.large")
    assert (asked["EnableIAMDatabaseAuthentication"], asked["AutoMinorVersionUpgrade"]) == ("true", "false")
    assert (asked["CopyTagsToSnapshot"], asked["BackupRetentionPeriod"]) == ("true", "7")
    assert asked["DeletionProtection"] == "false"
    tags = {one["Key"]: one["Value"] for one in rds.instances["orders-restore-5f0e3d7a"].tags}
    assert tags == {"team": "shop", OWNER_LABEL: RUN, "vakhta.dev/store": "orders"}


def test_a_restore_that_takes_longer_than_a_waiter_would_wait_is_followed_to_its_end(
    build: Build, rds: UnkindRds, clock: VirtualClock
) -> None:
    rds.takes, rds.not_shown = timedelta(hours=5), 1
    engine = build()
    task = task_of(engine.preview(LATEST, drill=True), LATEST, drill=True)
    begun = clock.at
    engine.begin(task)

    said = []
    while (found := engine.look(task)).state is not CopyState.RESTORED:
        said.append(found.phase or found.message)
        clock.pause(timedelta(minutes=20))

    assert clock.at - begun >= timedelta(hours=5)
    assert list(dict.fromkeys(said)) == [
        "AWS does not show it yet", "creating and restoring", "making its first backup", "applying its settings",
    ]  # fmt: skip


def test_a_moment_is_restored_to_exactly_and_a_snapshot_by_its_name(
    build: Build, aws: FakeAws, admin: Admin, clock: VirtualClock
) -> None:
    engine, at = build(), clock.at - timedelta(hours=2)
    point = RestorePoint(backup_id=POINT_IN_TIME, at=at)
    task = restored(engine, clock, point)
    asked = aws.parameters("rds", "RestoreDBInstanceToPointInTime")
    assert asked["RestoreTime"].startswith(f"{at:%Y-%m-%dT%H:%M:%S}")
    assert "UseLatestRestorableTime" not in asked
    assert engine.look(task).data_at == at

    admin.rds.create_db_snapshot(DBInstanceIdentifier="orders", DBSnapshotIdentifier="by-hand")
    point = RestorePoint(backup_id="by-hand")
    engine.begin(task_of(engine.preview(point, drill=False), point, run=OTHER))
    assert aws.parameters("rds", "RestoreDBInstanceFromDBSnapshot")["DBSnapshotIdentifier"] == "by-hand"


def test_a_second_begin_of_a_run_does_nothing_and_another_process_finds_the_copy(
    build: Build, rds: UnkindRds, aws: FakeAws, clock: VirtualClock
) -> None:
    rds.not_shown = 0
    engine = build()
    task = task_of(engine.preview(LATEST, drill=False), LATEST)
    engine.begin(task)

    build().begin(task)

    assert aws.times("rds", "RestoreDBInstanceToPointInTime") == 1
    assert build().look(task).state is CopyState.RUNNING


def test_a_copy_that_is_not_shown_yet_is_not_asked_for_as_another_one(
    build: Build, rds: UnkindRds, aws: FakeAws
) -> None:
    """Describe finds nothing right after the request; the name makes the second request the same one."""
    rds.not_shown = 1
    engine = build()
    task = task_of(engine.preview(LATEST, drill=False), LATEST)
    engine.begin(task)

    build().begin(task)

    assert aws.times("rds", "RestoreDBInstanceToPointInTime") == 2
    assert set(rds.instances) == {"orders", "orders-restore-5f0e3d7a"}


def test_a_request_whose_answer_is_lost_is_unknown_and_found_by_looking(
    build: Build, rds: UnkindRds, aws: FakeAws
) -> None:
    rds.not_shown = 0
    engine = build()
    task = task_of(engine.preview(LATEST, drill=False), LATEST)
    aws.lost.add(("rds", "RestoreDBInstanceToPointInTime"))

    with pytest.raises(OutcomeUnknown):
        engine.begin(task)

    assert aws.times("rds", "RestoreDBInstanceToPointInTime") == 1
    assert build().look(task).state is CopyState.RUNNING


def test_a_request_that_was_never_answered_because_nothing_came_of_it_is_absent(build: Build) -> None:
    engine = build()

    assert engine.look(task_of(engine.preview(LATEST, drill=False), LATEST)).state is CopyState.ABSENT


def test_an_instance_of_that_name_that_is_not_ours_stops_the_restore(build: Build, admin: Admin) -> None:
    engine = build()
    task = task_of(engine.preview(LATEST, drill=False), LATEST)
    admin.rds.create_db_instance(
        DBInstanceIdentifier="orders-restore-5f0e3d7a", Engine="postgres", DBInstanceClass="db.t4g.micro",
        AllocatedStorage=20, MasterUsername="app", MasterUserPassword="secret-enough",
    )  # fmt: skip

    with pytest.raises(Conflict, match="not of this run"):
        engine.begin(task)
    assert engine.look(task).state is CopyState.ABSENT


def test_a_base_that_expired_between_plan_and_run_is_a_conflict(
    build: Build, admin: Admin, rds: UnkindRds, clock: VirtualClock
) -> None:
    admin.rds.create_db_snapshot(DBInstanceIdentifier="orders", DBSnapshotIdentifier="by-hand")
    engine, by_hand = build(), RestorePoint(backup_id="by-hand")
    task = task_of(engine.preview(by_hand, drill=False), by_hand)
    admin.rds.delete_db_snapshot(DBSnapshotIdentifier="by-hand")
    with pytest.raises(Conflict, match="by-hand cannot be restored from any more: it is gone"):
        engine.begin(task)

    moment = RestorePoint(backup_id=POINT_IN_TIME, at=clock.at - timedelta(days=6))
    task = task_of(engine.preview(moment, drill=False), moment)
    rds.earliest = clock.at - timedelta(days=5)
    with pytest.raises(Conflict, match="can no longer be reached"):
        engine.begin(task)


def test_another_database_under_the_name_since_the_plan_is_a_conflict(build: Build, rds: UnkindRds) -> None:
    engine = build()
    task = task_of(engine.preview(LATEST, drill=False), LATEST)
    rds.instances["orders"].dbi_resource_id = "db-NEW"

    with pytest.raises(Conflict, match="another database than the plan has seen"):
        engine.begin(task)


def test_a_subnet_without_addresses_is_a_failure_and_not_waited_for(
    build: Build, rds: UnkindRds, clock: VirtualClock
) -> None:
    rds.ends, rds.not_shown = "incompatible-network", 0
    engine = build()
    task = task_of(engine.preview(LATEST, drill=False), LATEST)
    engine.begin(task)
    clock.pause(timedelta(minutes=30))

    found = engine.look(task)

    assert found.state is CopyState.FAILED
    assert found.message.startswith("orders-restore-5f0e3d7a is incompatible-network: the VPC does not allow it")


@pytest.mark.parametrize(
    "status",
    [
        "incompatible-network", "incompatible-restore", "incompatible-parameters", "incompatible-option-group",
        "incompatible-create", "insufficient-capacity", "restore-error", "storage-full", "failed", "deleting",
        "inaccessible-encryption-credentials", "inaccessible-encryption-credentials-recoverable", "stopped",
    ],
)  # fmt: skip
def test_every_status_that_never_ends_well_is_a_failure_and_says_why(status: str) -> None:
    found = status_of(status, "copy")

    assert found.state is CopyState.FAILED
    assert found.message.startswith(f"copy is {status}: ")


def test_a_status_that_nobody_knows_is_waited_for() -> None:
    assert status_of("polishing", "copy").state is CopyState.RUNNING
    assert status_of("storage-optimization", "copy").state is CopyState.RESTORED


def test_a_refusal_says_what_to_do_and_leaves_nothing(build: Build, aws: FakeAws) -> None:
    engine = build()
    task = task_of(engine.preview(LATEST, drill=False), LATEST)
    for reason, remedy in (
        ("InsufficientDBInstanceCapacity", "Use another instance_class"),
        ("KMSKeyNotAccessibleFault", "Enable the KMS key"),
        ("InstanceQuotaExceeded", "Raise the account's quota"),
    ):
        aws.replace("rds", "RestoreDBInstanceToPointInTime", error("rds", reason, "No."))
        with pytest.raises(Rejected, match=f"{reason}.*Nothing was done. {remedy}"):
            engine.begin(task)

    assert engine.look(task).state is CopyState.ABSENT


def test_a_throttled_write_is_sent_once_and_nothing_was_done(build: Build, aws: FakeAws) -> None:
    engine = build()
    task = task_of(engine.preview(LATEST, drill=False), LATEST)
    aws.replace("rds", "RestoreDBInstanceToPointInTime", error("rds", "Throttling", "Rate exceeded"))

    with pytest.raises(Rejected, match="AWS throttles rds:RestoreDBInstanceToPointInTime"):
        engine.begin(task)

    assert aws.times("rds", "RestoreDBInstanceToPointInTime") == 1


def test_where_the_live_one_is_gone_a_copy_is_made_with_the_network_of_the_settings(
    build: Build, admin: Admin, aws: FakeAws, groups: dict[str, str]
) -> None:
    admin.rds.create_db_snapshot(DBInstanceIdentifier="orders", DBSnapshotIdentifier="by-hand")
    admin.rds.modify_db_instance(DBInstanceIdentifier="orders", DeletionProtection=False)
    admin.rds.delete_db_instance(DBInstanceIdentifier="orders", SkipFinalSnapshot=True, DeleteAutomatedBackups=False)
    assert "is not there" in build().inventory().blockers[0]

    admin.rds.create_db_subnet_group(
        DBSubnetGroupName="private", DBSubnetGroupDescription="d",
        SubnetIds=[one["SubnetId"] for one in admin.ec2.describe_subnets()["Subnets"]],
    )  # fmt: skip
    engine = build(subnet_group="private")
    assert engine.inventory().blockers == ()
    point = RestorePoint(backup_id="by-hand")
    engine.begin(task_of(engine.preview(point, drill=False), point))

    asked = aws.parameters("rds", "RestoreDBInstanceFromDBSnapshot")
    assert asked["VpcSecurityGroupIds.VpcSecurityGroupId.1"] == groups["drills"]
    assert (asked["DBSubnetGroupName"], asked["PubliclyAccessible"]) == ("private", "false")


# -- drills --


def test_a_drill_is_isolated_before_it_has_data_and_costs_little(
    build: Build, rds: UnkindRds, aws: FakeAws, groups: dict[str, str], clock: VirtualClock
) -> None:
    engine = build(instance_class="db.t4g.small")
    restored(engine, clock, drill=True)

    asked = aws.parameters("rds", "RestoreDBInstanceToPointInTime")
    assert asked["VpcSecurityGroupIds.VpcSecurityGroupId.1"] == groups["drills"]
    assert "VpcSecurityGroupIds.VpcSecurityGroupId.2" not in asked
    assert (asked["PubliclyAccessible"], asked["MultiAZ"], asked["BackupRetentionPeriod"]) == ("false", "false", "0")
    assert asked["DBInstanceClass"] == "db.t4g.small"
    tags = {one["Key"]: one["Value"] for one in rds.instances["orders-drill-5f0e3d7a"].tags}
    assert tags == {DRILL_LABEL: RUN, "vakhta.dev/store": "orders"}


def test_a_way_out_or_in_is_a_leak(
    real_groups: dict[str, str], build: Build, admin: Admin, rds: UnkindRds, clock: VirtualClock
) -> None:
    groups = real_groups
    engine = build()
    task = restored(engine, clock, drill=True)
    drills = groups["drills"]
    world = [{"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    production = [
        {"IpProtocol": "tcp", "FromPort": 6432, "ToPort": 6432, "UserIdGroupPairs": [{"GroupId": groups["live"]}]}
    ]

    admin.ec2.authorize_security_group_egress(GroupId=drills, IpPermissions=world)
    assert "connect outwards; remove its egress rules" in engine.isolation_leak(task)
    admin.ec2.revoke_security_group_egress(GroupId=drills, IpPermissions=world)
    assert engine.isolation_leak(task) == ""

    admin.ec2.authorize_security_group_ingress(GroupId=drills, IpPermissions=production)
    assert "lets the live database's own group, and so production, in at port 6432" in engine.isolation_leak(task)
    admin.ec2.revoke_security_group_ingress(GroupId=drills, IpPermissions=production)

    rds.instances["orders-drill-5f0e3d7a"].publicly_accessible = True
    assert engine.isolation_leak(task) == "orders-drill-5f0e3d7a has a public address"


@pytest.mark.parametrize(
    ("told", "who"),
    [
        ({"IpRanges": [{"CidrIp": "0.0.0.0/0"}]}, "everybody"),
        ({"IpRanges": [{"CidrIp": "0.0.0.0/1"}]}, "all of 0.0.0.0/1"),
        ({"IpRanges": [{"CidrIp": "10.0.7.4/32"}, {"CidrIp": "10.0.0.0/16"}]}, "all of 10.0.0.0/16"),
        ({"Ipv6Ranges": [{"CidrIpv6": "2a05:d018::/56"}]}, "all of 2a05:d018::/56"),
        ({"PrefixListIds": [{"PrefixListId": "pl-1"}]}, "the prefix list pl-1, whatever is in it,"),
        ({"UserIdGroupPairs": [{"GroupId": "sg-live"}]}, "the live database's own group, and so production,"),
        ({"UserIdGroupPairs": [{"GroupId": "sg-bot"}], "IpRanges": [{"CidrIp": "10.0.7.0/24"}]}, ""),
    ],
)
def test_a_rule_that_lets_in_more_than_the_bot_is_a_leak(told: dict[str, Any], who: str) -> None:
    assert _who_is_let_in({"IpProtocol": "tcp", "FromPort": 5432} | told, {"sg-live"}) == who


def test_a_connection_that_nobody_should_get_is_a_leak(
    real_groups: dict[str, str], build: Build, aws: FakeAws, clock: VirtualClock, postgres: Postgres
) -> None:
    engine = build()
    task = restored(engine, clock, drill=True)
    port = postgres.url("leak").rpartition(":")[2].partition("/")[0]
    aws.amend(
        "rds", "DescribeDBInstances", lambda body: at_loopback(body).replace(b"<Port>6432", f"<Port>{port}".encode())
    )

    assert f"127.0.0.1:{port} accepts a connection from here" in engine.isolation_leak(task)


def test_a_drills_copy_that_nobody_can_read_does_not_pass(build: Build, clock: VirtualClock) -> None:
    engine = build()
    task = restored(engine, clock, drill=True)

    found = engine.verify(task, [Check(name="rows", query="SELECT 1", expect="1")], lambda _: None)

    assert {one.name: one.ok for one in found} == {
        "status": True, "resource id": True, "engine version": True, "every row can be read": False, "rows": False,
    }  # fmt: skip
    assert found[-1].got == "not read: the store has no url"


def test_a_copy_is_read_row_by_row_and_checked_against_the_live_one(
    real_groups: dict[str, str], build: Build, aws: FakeAws, clock: VirtualClock, postgres: Postgres
) -> None:
    url = postgres.url("checked").replace("+psycopg", "")
    with psycopg.connect(url, autocommit=True) as database:
        database.execute("CREATE TABLE orders AS SELECT generate_series(1, 100) AS id")
    aws.amend("rds", "DescribeDBInstances", at_loopback)
    engine = build(url=url.replace("127.0.0.1", "{host}"))
    task = restored(engine, clock, drill=True)
    checks = [
        Check(name="answers", query="SELECT 41 + 1", expect="42"),
        Check(name="like live", query="SELECT count(*) FROM pg_class", like_live=True),
    ]

    found = {one.name: one for one in engine.verify(task, checks, lambda _: None)}

    assert found["every row can be read"].ok
    assert found["answers"].ok
    assert found["like live"].ok
    assert found["isolation"].ok
    assert "not tried by a connection, because the bot itself is let in" in found["isolation"].got


# -- removing --


def test_a_copy_is_removed_with_everything_that_it_has(
    build: Build, rds: UnkindRds, aws: FakeAws, clock: VirtualClock
) -> None:
    engine = build()
    restored(engine, clock, drill=True)
    rds.instances["orders-drill-5f0e3d7a"].deletion_protection = True
    [copy] = engine.copies()
    assert (copy.run, copy.name, copy.drill) == (RUN, "orders-drill-5f0e3d7a", True)

    engine.remove(copy)
    engine.remove(copy)

    asked = aws.parameters("rds", "DeleteDBInstance")
    assert (asked["SkipFinalSnapshot"], asked["DeleteAutomatedBackups"]) == ("true", "true")
    assert set(rds.instances) == {"orders"}
    assert engine.copies() == []


def test_nothing_is_removed_that_is_not_that_runs_or_is_live(build: Build, rds: UnkindRds, clock: VirtualClock) -> None:
    engine = build()
    restored(engine, clock, drill=True)
    [copy] = engine.copies()

    for other in (
        replace(copy, run=OTHER),
        replace(copy, drill=False),
        replace(copy, name="orders"),
        replace(copy, created_at=clock.at - timedelta(days=9)),
    ):
        with pytest.raises(Rejected, match="Nothing was removed"):
            engine.remove(other)

    assert set(rds.instances) == {"orders", "orders-drill-5f0e3d7a"}


# -- snapshots --


def test_a_snapshot_that_is_not_found_is_never_taken_for_one_that_is_made(
    build: Build, rds: UnkindRds, admin: Admin, clock: VirtualClock
) -> None:
    engine = build()
    engine.begin_backup(RUN)
    states = []
    while (found := engine.look_backup(RUN)).state is not CopyState.RESTORED:
        states.append(found.state)
        clock.pause(timedelta(minutes=1))
    assert set(states) == {CopyState.WAITING, CopyState.RUNNING}
    assert found.message == "orders-backup-5f0e3d7a"

    admin.rds.delete_db_snapshot(DBSnapshotIdentifier="orders-backup-5f0e3d7a")
    assert engine.look_backup(RUN).state is CopyState.ABSENT
    assert build().look_backup(OTHER).state is CopyState.ABSENT


def test_a_snapshot_that_fails_is_told(build: Build, rds: UnkindRds, clock: VirtualClock) -> None:
    rds.snapshot_ends, rds.not_shown = "failed", 0
    engine = build()
    engine.begin_backup(RUN)
    clock.pause(timedelta(hours=1))

    assert engine.look_backup(RUN).message == "orders-backup-5f0e3d7a cannot be restored from: its status is failed"


# -- the role --


def test_a_role_is_assumed_under_the_stores_name(build: Build, aws: FakeAws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", aws.url)

    build(role="arn:aws:iam::123456789012:role/restorer").inventory()

    asked = aws.parameters("sts", "AssumeRole")
    assert (asked["RoleArn"], asked["RoleSessionName"]) == ("arn:aws:iam::123456789012:role/restorer", "vakhta-orders")


def test_a_role_is_assumed_in_the_region_of_the_settings(
    build: Build, aws: FakeAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = build(role="arn:aws:iam::123456789012:role/restorer")
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", aws.url)
    monkeypatch.delenv("AWS_DEFAULT_REGION")

    assert engine.inventory().window is not None

    assert aws.times("sts", "AssumeRole") >= 1
