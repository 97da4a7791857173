"""Recovery points of AWS Backup restored beside, and its own restore testing validated, in virtual time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from bot.core.backup import Check, CopyState, DrillResult, EngineParts, RestorePoint, Restorer, RestoreTask
from bot.core.errors import OutcomeUnknown, Rejected
from bot.integrations.aws.aws_backup import AwsBackupEngine
from bot.integrations.aws.restore_testing import RestoreTestingValidator
from bot.integrations.aws.settings import AwsBackupSettings
from tests.fakes.aws import FakeAws, error
from tests.fakes.aws_backup import UnkindBackup
from tests.fakes.aws_rds import UnkindRds
from tests.integrations.aws.conftest import REGION, Admin
from tests.integrations.aws.virtual import VirtualClock, at_loopback
from tests.postgres import Postgres

RUN = "5f0e3d7ac1b2498d5f0e3d7ac1b2498d"
LIVE = "arn:aws:rds:eu-west-1:123456789012:db:orders"
PLAN = "arn:aws:backup:eu-west-1:123456789012:restore-testing-plan:weekly"
Settings = Callable[..., AwsBackupSettings]


@pytest.fixture
def backup(aws: FakeAws, rds: UnkindRds, admin: Admin, clock: VirtualClock) -> UnkindBackup:
    def make(metadata: Mapping[str, str]) -> None:
        _instance(admin, metadata["DBInstanceIdentifier"])
        rds.instances[metadata["DBInstanceIdentifier"]].dbi_resource_id = "db-COPY"

    _instance(admin, "orders")
    rds.instances["orders"].dbi_resource_id = "db-LIVE"
    made = UnkindBackup(aws, clock.now, make)
    made.metadata = {"DBInstanceIdentifier": "orders", "DBInstanceClass": "db.m6g.large", "DeletionProtection": "true"}
    return made


def _instance(admin: Admin, name: str) -> None:
    admin.rds.create_db_instance(
        DBInstanceIdentifier=name, Engine="postgres", EngineVersion="16.3", DBInstanceClass="db.m6g.large",
        AllocatedStorage=100, MasterUsername="app", MasterUserPassword="secret-enough", BackupRetentionPeriod=0,
    )  # fmt: skip


@pytest.fixture
def settings(aws: FakeAws) -> Settings:
    def made(**more: Any) -> AwsBackupSettings:
        given = {
            "vault": "main", "resource": LIVE, "restore_role": "arn:aws:iam::123456789012:role/restore",
            "security_groups": ["sg-22222222"], "region": REGION, "endpoint_url": aws.url, "testing_plan": PLAN,
        }  # fmt: skip
        return AwsBackupSettings.model_validate(given | more)

    return made


@pytest.fixture
def parts(clock: VirtualClock) -> EngineParts:
    return EngineParts(store="orders", now=clock.now, pause=clock.pause)


def begun(engine: AwsBackupEngine, *, drill: bool = False) -> RestoreTask:
    point = RestorePoint(backup_id="p1")
    task = RestoreTask(
        run=RUN, store="orders", point=point, drill=drill, facts=engine.preview(point, drill=drill).facts
    )
    engine.begin(task)
    return task


def test_it_is_an_engine(settings: Settings, parts: EngineParts) -> None:
    assert isinstance(AwsBackupEngine(settings(), parts), Restorer)


def test_each_point_is_judged_with_its_parts(
    settings: Settings, parts: EngineParts, backup: UnkindBackup, clock: VirtualClock
) -> None:
    hours = timedelta(hours=1)
    backup.add_point("good", LIVE, clock.at - hours)
    backup.add_point("partial", LIVE, clock.at - 2 * hours, Status="PARTIAL", StatusMessage="one disk was left out")
    backup.add_point("expired", LIVE, clock.at - 3 * hours, Status="EXPIRED")
    backup.add_point("ended", LIVE, clock.at - 4 * hours, CalculatedLifecycle={"DeleteAt": clock.at.timestamp() - 1})
    backup.add_point("infected", LIVE, clock.at - 5 * hours, AggregatedScanResult={"Findings": ["MALWARE"]})
    whole = backup.add_point("whole", LIVE, clock.at - 6 * hours, IsParent=True)
    half = backup.add_point("half", LIVE, clock.at - 7 * hours, IsParent=True)
    backup.add_point("part-1", LIVE, clock.at, ParentRecoveryPointArn=whole)
    backup.add_point("part-2", LIVE, clock.at, ParentRecoveryPointArn=half)
    backup.add_point("part-3", LIVE, clock.at, ParentRecoveryPointArn=half, Status="STOPPED")
    backup.add_point("unscanned", LIVE, clock.at - 8 * hours, AggregatedScanResult={"FailedScan": True})
    backup.add_point("of-another", LIVE.replace("orders", "users"), clock.at)

    found = AwsBackupEngine(settings(), parts).inventory().backups

    assert {one.id: one.problem for one in found} == {
        "good": "",
        "partial": "its status is PARTIAL: one disk was left out",
        "expired": "its status is EXPIRED",
        "ended": "its lifecycle has ended",
        "infected": "malware was found in it",
        "whole": "",
        "half": "its part part-3 is STOPPED",
        "unscanned": "",
    }
    assert found[0].id == "good"
    assert found[-1].damage == "its scan for malware failed"


def test_a_run_has_one_job_whose_copy_has_its_name_and_its_network(
    settings: Settings, parts: EngineParts, backup: UnkindBackup, aws: FakeAws, clock: VirtualClock
) -> None:
    made_at = clock.at - timedelta(hours=1)
    backup.add_point("p1", LIVE, made_at)
    engine = AwsBackupEngine(settings(), parts)
    task = begun(engine, drill=True)
    engine.begin(task)
    AwsBackupEngine(settings(), parts).begin(task)

    assert len(backup.jobs) == 1
    assert engine.look(task).state is CopyState.WAITING
    clock.pause(timedelta(minutes=6))
    while (found := engine.look(task)).state is not CopyState.RESTORED:
        clock.pause(timedelta(minutes=1))
    assert found.data_at == made_at
    asked = aws.parameters("backup", "PUT /restore-jobs")
    assert asked["IdempotencyToken"] == RUN
    metadata = asked["Metadata"]
    assert metadata["DBInstanceIdentifier"] == f"orders-drill-{RUN}"
    assert metadata["VpcSecurityGroupIds"] == '["sg-22222222"]'
    assert (metadata["PubliclyAccessible"], metadata["DeletionProtection"]) == ("false", "false")
    assert metadata["DBInstanceClass"] == "db.m6g.large"


def test_a_job_that_fails_or_is_lost_is_told(
    settings: Settings, parts: EngineParts, backup: UnkindBackup, aws: FakeAws, clock: VirtualClock
) -> None:
    backup.add_point("p1", LIVE, clock.at - timedelta(hours=1))
    backup.fails = "The specified subnet has no free address"
    engine = AwsBackupEngine(settings(), parts)
    aws.lost.add(("backup", "PUT /restore-jobs"))
    with pytest.raises(OutcomeUnknown):
        begun(engine)
    point = RestorePoint(backup_id="p1")
    task = RestoreTask(run=RUN, store="orders", point=point, facts=engine.preview(point, drill=False).facts)
    assert engine.look(task).state is CopyState.WAITING

    clock.pause(timedelta(minutes=6))

    assert engine.look(task).message == "the restore job is FAILED: The specified subnet has no free address"
    assert len(backup.jobs) == 1


def test_a_job_that_failed_before_is_not_taken_for_this_runs(
    settings: Settings, parts: EngineParts, backup: UnkindBackup, clock: VirtualClock
) -> None:
    """Of the same recovery point, an hour ago; and the list does not show the new job yet."""
    arn = backup.add_point("p1", LIVE, clock.at - timedelta(hours=3))
    backup.jobs["old"] = {
        "RestoreJobId": "old", "RecoveryPointArn": arn, "Status": "FAILED", "StatusMessage": "no capacity",
        "CreationDate": clock.at.timestamp() - 3600, "SourceResourceArn": LIVE,
    }  # fmt: skip
    engine = AwsBackupEngine(settings(), parts)
    task = begun(engine)
    [new] = [one for one in backup.jobs if one != "old"]
    hidden = backup.jobs.pop(new)

    assert engine.look(task).state is CopyState.WAITING
    assert AwsBackupEngine(settings(), parts).look(task).state is CopyState.ABSENT
    backup.jobs[new] = hidden
    assert AwsBackupEngine(settings(), parts).look(task).state is CopyState.WAITING


def test_a_copy_is_removed_only_if_a_job_made_it(
    settings: Settings, parts: EngineParts, backup: UnkindBackup, admin: Admin, rds: UnkindRds
) -> None:
    backup.add_point("p1", LIVE, parts.now() - timedelta(hours=1))
    engine = AwsBackupEngine(settings(), parts)
    begun(engine)
    parts.pause(timedelta(minutes=6))
    [copy] = engine.copies()
    assert (copy.run, copy.drill) == (RUN, False)
    other = f"orders-restore-{'0' * 32}"
    _instance(admin, other)
    with pytest.raises(Rejected, match="Nothing was removed"):
        engine.remove(replace(copy, name=other, run="0" * 32, created_at=None))
    with pytest.raises(Rejected, match="Nothing was removed"):
        engine.remove(replace(copy, name="orders"))

    engine.remove(copy)

    assert set(rds.instances) == {"orders", other}


def test_a_right_that_is_missing_is_named(settings: Settings, parts: EngineParts, aws: FakeAws) -> None:
    denied = error(
        "backup", "AccessDeniedException", "User is not authorized to perform: backup:ListRecoveryPoints", status=403
    )
    aws.serve("backup", lambda *_: denied)

    with pytest.raises(Rejected, match="Allow the bot backup:ListRecoveryPoints"):
        AwsBackupEngine(settings(), parts).inventory()


# -- restore testing --


@pytest.fixture
def validator(
    settings: Settings, parts: EngineParts, backup: UnkindBackup, aws: FakeAws, postgres: Postgres
) -> RestoreTestingValidator:
    url = postgres.url("tested").replace("+psycopg", "")
    with psycopg.connect(url, autocommit=True) as database:
        database.execute("CREATE TABLE orders AS SELECT generate_series(1, 100) AS id")
    aws.amend("rds", "DescribeDBInstances", at_loopback)
    checks = (Check(name="orders", query="SELECT count(*) FROM orders", expect="100"),)
    return RestoreTestingValidator(settings(url=url.replace("127.0.0.1", "{host}")), parts, checks)


def test_a_restore_of_aws_is_checked_and_told_to_aws_once(
    validator: RestoreTestingValidator, backup: UnkindBackup, admin: Admin, aws: FakeAws
) -> None:
    _instance(admin, "awstest-1")
    backup.add_tested("j1", LIVE, "arn:aws:rds:eu-west-1:123456789012:db:awstest-1")

    [drill] = validator.tick()

    assert (drill.run, drill.result, drill.rpo) == ("aws-j1", DrillResult.PASSED, timedelta(hours=1))
    assert [one.name for one in drill.phases] == ["restore", "verify"]
    assert next(one for one in drill.checks if one.name == "orders").ok
    assert backup.jobs["j1"]["ValidationStatus"] == "SUCCESSFUL"
    assert validator.tick() == []
    assert aws.times("backup", "PUT /restore-jobs/j1/validations") == 1
    assert aws.times("rds", "DeleteDBInstance") == 0


def test_a_wrong_count_is_told_to_aws_as_failed(
    validator: RestoreTestingValidator, backup: UnkindBackup, admin: Admin
) -> None:
    _instance(admin, "awstest-1")
    backup.add_tested("j1", LIVE, "arn:aws:rds:eu-west-1:123456789012:db:awstest-1")
    validator._checks = (Check(name="orders", query="SELECT count(*) FROM orders", expect="5000"),)

    [drill] = validator.tick()

    assert drill.result is DrillResult.DAMAGED
    assert backup.jobs["j1"]["ValidationStatus"] == "FAILED"
    assert backup.jobs["j1"]["ValidationStatusMessage"] == "orders: 100"


def test_a_validation_that_comes_too_late_is_a_drill_that_was_missed(
    validator: RestoreTestingValidator, backup: UnkindBackup, clock: VirtualClock
) -> None:
    backup.add_tested("j1", LIVE, "arn:aws:rds:eu-west-1:123456789012:db:awstest-1")
    clock.pause(timedelta(hours=2))

    [drill] = validator.tick()

    assert (drill.result, drill.message) == (DrillResult.MISSED, "AWS got no result within the validation window")
    assert drill.rto is None


def test_a_restore_of_aws_that_fails_is_a_failed_drill_and_one_that_runs_is_none_yet(
    validator: RestoreTestingValidator, backup: UnkindBackup
) -> None:
    job = backup.add_tested("j1", LIVE, "", Status="RUNNING", ValidationStatus=None)
    backup.add_tested("j2", LIVE.replace("orders", "users"), "")
    assert validator.tick() == []

    job |= {"Status": "FAILED", "StatusMessage": "no capacity"}
    [drill] = validator.tick()

    assert (drill.result, drill.message) == (DrillResult.FAILED, "the restore job is FAILED: no capacity")


def test_a_result_that_aws_did_not_take_is_told_again_at_the_next_tick(
    validator: RestoreTestingValidator, backup: UnkindBackup, admin: Admin, aws: FakeAws
) -> None:
    _instance(admin, "awstest-1")
    backup.add_tested("j1", LIVE, "arn:aws:rds:eu-west-1:123456789012:db:awstest-1")
    aws.replace("backup", "PUT /restore-jobs/j1/validations", error("backup", "ThrottlingException", "", status=429))
    read = aws.times("rds", "DescribeDBInstances")
    said: list[str] = []
    assert validator.tick(said.append) == []
    assert "was not validated" in said[-1]
    once = aws.times("rds", "DescribeDBInstances") - read

    aws.forget("backup", "PUT /restore-jobs/j1/validations")
    assert [one.result for one in validator.tick()] == [DrillResult.PASSED]
    assert aws.times("rds", "DescribeDBInstances") - read == once, "all of it is read once, whatever AWS answers"


def test_a_copy_that_aws_removed_before_it_was_checked_is_a_drill_that_was_missed_and_not_damage(
    validator: RestoreTestingValidator, backup: UnkindBackup
) -> None:
    """As after a night in which the bot was down, of a plan without a validation window."""
    arn = "arn:aws:rds:eu-west-1:123456789012:db:awstest-1"
    backup.add_tested("j1", LIVE, arn, ValidationStatus=None, DeletionStatus="SUCCESSFUL")

    [drill] = validator.tick()

    assert (drill.result, drill.message) == (DrillResult.MISSED, "AWS has removed the copy before it was checked")
    assert drill.rto is None


def test_the_engine_validates_what_its_testing_plan_restored_and_nothing_without_one(
    settings: Settings, backup: UnkindBackup, parts: EngineParts
) -> None:
    backup.add_tested("j1", LIVE, "", Status="FAILED", ValidationStatus=None, StatusMessage="no capacity")

    assert AwsBackupEngine(settings(testing_plan=None), parts).validate_drills(()) == ()
    engine = AwsBackupEngine(settings(testing_plan=PLAN), parts)
    assert [one.result for one in engine.validate_drills(())] == [DrillResult.FAILED]
    assert list(engine.validate_drills(())) == [], "told once"
