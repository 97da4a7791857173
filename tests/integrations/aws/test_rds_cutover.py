"""A restored instance takes the place of the live one by two renames, over moto with what moto lacks."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from bot.core.backup import CopyState, CutoverState, EngineParts, RestorePoint, RestoreTask
from bot.core.errors import Conflict, OutcomeUnknown, Rejected
from bot.integrations.aws.rds import RdsEngine
from bot.integrations.aws.rds_inventory import POINT_IN_TIME
from bot.integrations.aws.settings import RdsSettings
from tests.fakes.aws import FakeAws, error
from tests.fakes.aws_rds import UnkindRds
from tests.integrations.aws.conftest import REGION, Admin
from tests.integrations.aws.virtual import VirtualClock, at_loopback
from tests.postgres import Postgres

pytestmark = pytest.mark.slow  # each test makes several databases, call by call

RUN, SWAP = "5f0e3d7ac1b2498d", "c0ffee00c1b2498d"
COPY, OLD = "orders-restore-5f0e3d7a", "orders-old-c0ffee00"


def quiet(_: str) -> None:
    """No progress."""


class Place:
    """The live instance, its restored copy, and engines of as many processes as a test wants."""

    def __init__(self, aws: FakeAws, clock: VirtualClock) -> None:
        self._url, self._clock = aws.url, clock
        self.task = RestoreTask(run=RUN, store="orders", point=RestorePoint())

    def engine(self, **more: Any) -> RdsEngine:
        where = RdsSettings.model_validate({"instance": "orders", "region": REGION, "endpoint_url": self._url} | more)
        return RdsEngine(where, EngineParts(store="orders", now=self._clock.now, pause=self._clock.pause))

    def restore(self) -> None:
        engine, point = self.engine(), RestorePoint(backup_id=POINT_IN_TIME, latest=True)
        facts = engine.preview(point, drill=False).facts
        self.task = RestoreTask(run=RUN, store="orders", point=point, facts=facts)
        engine.begin(self.task)
        while engine.look(self.task).state is not CopyState.RESTORED:
            self._clock.pause(timedelta(minutes=2))


@pytest.fixture
def place(aws: FakeAws, rds: UnkindRds, admin: Admin, clock: VirtualClock) -> Place:
    admin.rds.create_db_instance(
        DBInstanceIdentifier="orders", Engine="postgres", EngineVersion="16.3", DBInstanceClass="db.m6g.large",
        AllocatedStorage=100, MasterUsername="app", MasterUserPassword="secret-enough", BackupRetentionPeriod=7,
        DeletionProtection=True,
    )  # fmt: skip
    rds.instances["orders"].dbi_resource_id = "db-LIVE"
    made = Place(aws, clock)
    made.restore()
    return made


def ids(rds: UnkindRds) -> dict[str, str]:
    """Name -> "old" or "new"."""
    return {name: "old" if one.dbi_resource_id == "db-LIVE" else "new" for name, one in rds.instances.items()}


def test_both_are_renamed_after_a_snapshot_that_was_waited_for(
    place: Place, rds: UnkindRds, aws: FakeAws, clock: VirtualClock
) -> None:
    engine, begun = place.engine(), clock.at
    seen = engine.preview_cutover(place.task)
    assert (seen.live, seen.old_name) == ("orders", "orders-old-{run}")
    assert engine.look_cutover(place.task, SWAP).state is CutoverState.OLD

    engine.cut_over(place.task, SWAP, quiet)

    assert ids(rds) == {"orders": "new", OLD: "old"}
    assert clock.at - begun >= rds.snapshots_take
    assert aws.parameters("rds", "CreateDBSnapshot")["DBSnapshotIdentifier"] == "orders-before-c0ffee00"
    assert rds.instances["orders"].deletion_protection
    assert engine.look_cutover(place.task, SWAP).state is CutoverState.NEW
    assert engine.look(place.task).state is CopyState.RESTORED
    assert engine.copies() == []
    with pytest.raises(Rejected, match="is the live orders already"):
        engine.preview_cutover(place.task)


def test_the_old_one_of_a_long_name_gets_one_that_aws_takes(aws: FakeAws, clock: VirtualClock) -> None:
    name = f"orders{'-of-the-whole-company' * 2}-and-all-lands"
    where = RdsSettings.model_validate({"instance": name, "region": REGION, "endpoint_url": aws.url})
    engine = RdsEngine(where, EngineParts(store="orders", now=clock.now, pause=clock.pause))

    old = engine._cutover.old_name(SWAP)

    assert len(name) == 62
    assert old == "orders-of-the-whole-company-of-the-whole-company-a-old-c0ffee00"
    assert len(old) == 63


def test_it_goes_on_where_a_crash_has_stopped_it(
    place: Place, rds: UnkindRds, aws: FakeAws, clock: VirtualClock
) -> None:
    """At each pause of the first process: another one ends it, with one safety snapshot and two renames in all."""

    class Died(Exception):
        pass

    left, states = 0, set()

    def die(much: timedelta) -> None:
        nonlocal left
        clock.pause(much)
        left -= 1
        if left <= 0:
            raise Died

    for left_before in (1, 9, 40, 13, *[3] * 12):
        left = left_before
        first = place.engine()
        parts = EngineParts(store="orders", now=clock.now, pause=die)
        first._cutover._parts = parts
        with suppress(Died):
            first.cut_over(place.task, SWAP, quiet)
        state = place.engine().look_cutover(place.task, SWAP).state
        live = ids(rds).get("orders")
        assert (live, state) != ("new", CutoverState.OLD)
        assert live != "old" or state is not CutoverState.NEW
        states.add(state)

    assert states == {CutoverState.OLD, CutoverState.PARTIAL, CutoverState.NEW}
    assert ids(rds) == {"orders": "new", OLD: "old"}
    assert [one for one in rds.snapshots if one.startswith("orders-before")] == ["orders-before-c0ffee00"]
    renames = [told for _, one, told in aws.asked if one == "ModifyDBInstance" and "NewDBInstanceIdentifier" in told]
    assert len(renames) == 2


def test_a_second_rename_that_is_refused_is_told_as_half_done_and_can_be_ended(
    place: Place, rds: UnkindRds, aws: FakeAws
) -> None:
    aws.replace(
        "rds",
        "ModifyDBInstance",
        lambda told: error("rds", "InvalidDBInstanceState", "busy") if told["DBInstanceIdentifier"] == COPY else None,
    )
    engine = place.engine()

    with pytest.raises(OutcomeUnknown, match=f"Stopped half-way: orders is called {OLD} now"):
        engine.cut_over(place.task, SWAP, quiet)
    found = engine.look_cutover(place.task, SWAP)
    assert found.state is CutoverState.PARTIAL
    assert "clients find no database under orders" in found.message

    aws.replace("rds", "ModifyDBInstance", lambda _: None)
    engine.cut_over(place.task, SWAP, quiet)
    assert ids(rds) == {"orders": "new", OLD: "old"}


def test_half_a_cutover_can_be_undone(place: Place, rds: UnkindRds, aws: FakeAws) -> None:
    aws.replace(
        "rds",
        "ModifyDBInstance",
        lambda told: error("rds", "InvalidDBInstanceState", "busy") if told["DBInstanceIdentifier"] == COPY else None,
    )
    with pytest.raises(OutcomeUnknown):
        place.engine().cut_over(place.task, SWAP, quiet)

    place.engine().undo_cutover(place.task, SWAP, quiet)

    assert ids(rds) == {"orders": "old", COPY: "new"}


def test_without_a_safety_snapshot_nothing_is_renamed(place: Place, rds: UnkindRds, aws: FakeAws) -> None:
    rds.snapshot_ends = "failed"

    with pytest.raises(Rejected, match=r"orders-before-c0ffee00 is failed\. Nothing was renamed"):
        place.engine().cut_over(place.task, SWAP, quiet)

    assert ids(rds) == {"orders": "old", COPY: "new"}


def test_a_safety_snapshot_that_is_never_shown_is_not_taken_for_one(place: Place, rds: UnkindRds) -> None:
    rds.not_shown = 10_000

    with pytest.raises(Rejected, match="was asked for and is not there"):
        place.engine().cut_over(place.task, SWAP, quiet)

    assert ids(rds) == {"orders": "old", COPY: "new"}


def test_undo_brings_the_old_one_back_and_says_when_it_cannot(place: Place, rds: UnkindRds, admin: Admin) -> None:
    engine = place.engine()
    engine.cut_over(place.task, SWAP, quiet)
    rds.set_status(OLD, "stopped")
    assert "is stopped" in engine.undo_refusal(place.task, SWAP)
    rds.set_status(OLD, "available")
    assert engine.undo_refusal(place.task, SWAP) == ""

    engine.undo_cutover(place.task, SWAP, quiet)
    engine.undo_cutover(place.task, SWAP, quiet)

    assert ids(rds) == {"orders": "old", COPY: "new"}
    assert engine.look_cutover(place.task, SWAP).state is CutoverState.OLD


def test_the_old_one_is_removed_with_a_last_snapshot_and_only_it(place: Place, rds: UnkindRds, aws: FakeAws) -> None:
    engine = place.engine()
    with pytest.raises(Rejected, match="Nothing was removed"):
        engine.remove_old(place.task, SWAP)
    engine.cut_over(place.task, SWAP, quiet)

    engine.remove_old(place.task, SWAP)
    engine.remove_old(place.task, SWAP)

    assert ids(rds) == {"orders": "new"}
    asked = aws.parameters("rds", "DeleteDBInstance")
    assert (asked["SkipFinalSnapshot"], asked["FinalDBSnapshotIdentifier"]) == ("false", "orders-final-c0ffee00")
    assert asked["DeleteAutomatedBackups"] == "false"
    assert "is gone, or" in engine.undo_refusal(place.task, SWAP)


def test_who_still_writes_stops_the_cutover(place: Place, rds: UnkindRds, aws: FakeAws, postgres: Postgres) -> None:
    url = postgres.url("written").replace("+psycopg", "")
    aws.amend("rds", "DescribeDBInstances", at_loopback)
    engine = place.engine(url=url.replace("127.0.0.1", "{host}"))
    with psycopg.connect(url):
        assert any("sessions are connected to orders" in one for one in engine.preview_cutover(place.task).moving)
        with pytest.raises(Conflict, match=r"sessions are connected to orders.*Nothing was renamed"):
            engine.cut_over(place.task, SWAP, quiet)

    assert ids(rds) == {"orders": "old", COPY: "new"}


def test_another_database_under_the_live_name_is_never_renamed(place: Place, rds: UnkindRds) -> None:
    rds.instances["orders"].dbi_resource_id = "db-OTHER"

    with pytest.raises(Conflict):
        place.engine().preview_cutover(place.task)
    with pytest.raises(Conflict, match="Nothing was renamed"):
        place.engine().cut_over(place.task, SWAP, quiet)
