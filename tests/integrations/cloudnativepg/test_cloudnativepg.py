"""CloudNativePG as an engine: the window of the ObjectStore, copies as new clusters, and what stands against both."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from bot.core.backup import Check, CopyState, RestorePoint
from bot.core.errors import Conflict, OutcomeUnknown, Rejected
from tests.fakes.kubernetes_cnpg import BACKUP
from tests.fakes.ticking import stamped
from tests.integrations.cloudnativepg.conftest import COPY, DB, RUN, CnpgGround


def _in_the_window(ground: CnpgGround) -> datetime:
    """With an hour of WAL after the backup."""
    ground.backed_up()
    ground.fake.later(timedelta(hours=1))
    window = ground.engine.inventory().window
    assert window is not None
    return window.earliest + timedelta(minutes=30)


def test_the_window_is_read_from_the_object_store_and_not_from_the_cluster(ground: CnpgGround) -> None:
    old = {"firstRecoverabilityPoint": "2020-01-01T00:00:00Z", "lastSuccessfulBackup": "2020-01-02T00:00:00Z"}
    ground.fake.change("Cluster", "orders", {"status": old}, sub="status")
    ground.backed_up()
    ground.fake.later(timedelta(hours=1))

    inventory = ground.engine.inventory()

    [backup] = inventory.backups
    assert backup.usable, backup.problem
    assert inventory.window is not None
    assert stamped(inventory.window.earliest) == stamped(backup.data_at)
    assert timedelta(minutes=2) <= ground.clock.at - inventory.window.latest < timedelta(minutes=3)
    assert (inventory.interval, inventory.blockers) == (timedelta(days=1), ())
    assert inventory.continuity is not None
    assert inventory.continuity.gap == ""


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (
            {"phase": "invalid backup definition", "error": "Unknown cluster"},
            "'invalid backup definition': Unknown cluster",
        ),
        ({"phase": "walArchivingFailing"}, "the archiving of WAL fails, without which it cannot be restored"),
        ({"phase": "finalizing"}, "its snapshots are not ready to use yet"),
        ({"phase": "running"}, "it is still being made"),
        ({"phase": "failed", "error": "no space"}, "'failed': no space"),
        ({"backupId": None}, "it has no id in the object storage"),
        (
            {"stoppedAt": "2026-11-01T00:00:00Z"},
            "it is from before the first moment that ObjectStore minio can recover",
        ),
        ({"method": "volumeSnapshot"}, "it names no snapshot of the data"),
        (
            {"method": "volumeSnapshot", "snapshotBackupStatus": {"elements": [{"name": "s1", "type": "PG_DATA"}]}},
            "its snapshot s1 is gone",
        ),
    ],
)
def test_each_reason_against_a_backup_is_told(ground: CnpgGround, status: dict[str, Any], told: str) -> None:
    ground.backed_up()
    ground.operator.running = False
    ground.fake.change(BACKUP, "daily-1", {"status": status}, sub="status")

    assert told in ground.engine.inventory().backups[0].problem


def test_wal_that_is_not_archived_is_a_gap_since_then(ground: CnpgGround) -> None:
    ground.backed_up()
    ground.operator.archiving = False
    ground.engine.inventory()
    since = ground.clock.at
    ground.fake.later(timedelta(hours=2))

    inventory = ground.engine.inventory()

    assert inventory.continuity is not None
    assert "unexpected failure invoking barman-cloud-wal-archive" in inventory.continuity.gap
    assert inventory.window is not None
    assert inventory.window.latest <= since


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ({"plugins": []}, "does not archive WAL by the plug-in barman-cloud.cloudnative-pg.io"),
        (
            {"plugins": [{"name": "barman-cloud.cloudnative-pg.io", "parameters": {"barmanObjectName": "gone"}}]},
            "ObjectStore gone does not exist",
        ),
    ],
)
def test_a_cluster_that_could_not_be_restored_blocks_its_store(
    ground: CnpgGround, spec: dict[str, Any], told: str
) -> None:
    ground.backed_up()
    ground.fake.change("Cluster", "orders", {"spec": spec})

    assert told in ground.engine.inventory().blockers[0]
    with pytest.raises(Rejected, match="Nothing was done"):
        ground.engine.preview(RestorePoint(), drill=True)


def test_a_store_without_any_backup_is_blocked(ground: CnpgGround) -> None:
    assert "has no recovery window for server orders" in ground.engine.inventory().blockers[0]


def test_a_cluster_that_is_not_there_is_unknown(ground: CnpgGround) -> None:
    ground.fake.remove("Cluster", "orders")

    with pytest.raises(Rejected, match="has no PostgreSQL cluster shop/orders"):
        ground.engine.inventory()


def test_a_copy_is_a_new_cluster_that_archives_nothing_and_keeps_the_servers_settings(ground: CnpgGround) -> None:
    ground.backed_up()
    task = ground.task()
    before = ground.engine.look(task).state
    ground.engine.begin(task)

    status = ground.ended(task)

    spec = ground.fake.now("Cluster", COPY)["spec"]
    assert (before, status.state) == (CopyState.ABSENT, CopyState.RESTORED)
    assert spec["instances"] == 1
    assert not {"plugins", "backup", "managed", "superuserSecret"} & spec.keys()
    assert spec["postgresql"]["parameters"]["max_connections"] == "300"
    assert spec["bootstrap"]["recovery"] == {
        "source": "origin",
        "recoveryTarget": {"backupID": ground.fake.now(BACKUP, "daily-1")["status"]["backupId"]},
    }
    assert spec["externalClusters"][0]["plugin"]["parameters"] == {"barmanObjectName": "minio", "serverName": "orders"}


def test_a_moment_is_written_with_its_offset_and_begins_at_the_backup_before_it(ground: CnpgGround) -> None:
    at = _in_the_window(ground)
    task = ground.task(point=RestorePoint(at=at))
    ground.engine.begin(task)

    target = ground.fake.now("Cluster", COPY)["spec"]["bootstrap"]["recovery"]["recoveryTarget"]
    assert target["targetTime"] == at.isoformat()
    assert target["targetTime"].endswith("+00:00")
    assert ground.ended(task).state is CopyState.RESTORED


def test_a_backup_alone_ends_as_soon_as_it_is_consistent(ground: CnpgGround) -> None:
    ground.backed_up()
    task = ground.task(point=RestorePoint(backup_id="daily-1"))
    ground.engine.begin(task)

    assert (
        ground.fake.now("Cluster", COPY)["spec"]["bootstrap"]["recovery"]["recoveryTarget"]["targetImmediate"] is True
    )


@pytest.mark.parametrize("by", [timedelta(hours=-2), timedelta(hours=3)])
def test_a_moment_outside_of_the_window_is_refused_with_the_window(ground: CnpgGround, by: timedelta) -> None:
    at = _in_the_window(ground) + by

    with pytest.raises(Rejected, match=r"is outside of what can be restored: .* to .* UTC\. Nothing was done"):
        ground.engine.preview(RestorePoint(at=at), drill=True)


def test_a_moment_after_the_last_commit_fails_and_says_to_take_the_latest(ground: CnpgGround) -> None:
    at = _in_the_window(ground)
    ground.operator.last_commit = at - timedelta(minutes=5)
    task = ground.task(point=RestorePoint(at=at))
    ground.engine.begin(task)

    status = ground.ended(task)

    assert status.state is CopyState.FAILED
    assert "PostgreSQL cannot stop there: say latest" in status.message


def test_an_instance_that_is_ready_is_not_restored_before_the_phase_says_so(ground: CnpgGround) -> None:
    ground.backed_up()
    task = ground.task()
    ground.engine.begin(task)
    ground.until(lambda: ground.fake.now("Cluster", COPY).get("status", {}).get("readyInstances") == 1)
    ground.operator.running = False

    assert ground.engine.look(task).state is CopyState.RUNNING


def test_a_second_begin_makes_nothing_and_a_lost_answer_is_gone_on_from(ground: CnpgGround) -> None:
    ground.backed_up()
    task = ground.task()
    ground.fake.answer_next(reset=True, after_effect=True, path="/clusters")
    with pytest.raises(OutcomeUnknown):
        ground.engine.begin(task)

    ground.engine.begin(task)

    assert [one["metadata"]["name"] for one in ground.fake.every("Cluster")] == ["orders", COPY]
    assert sum(one.verb == "POST" and one.path.endswith("/clusters") for one in ground.fake.received) == 1


def test_a_drill_tries_its_isolation_before_there_is_a_copy(ground: CnpgGround) -> None:
    ground.backed_up()
    ground.network.enforces = False
    task = ground.task()

    with pytest.raises(Rejected, match=f"can connect to the live database at {DB}"):
        ground.engine.begin(task)

    assert [one["metadata"]["name"] for one in ground.fake.every("Cluster")] == ["orders"]
    assert ground.fake.every("NetworkPolicy") == []


def test_a_database_that_does_not_answer_anybody_proves_no_isolation(ground: CnpgGround) -> None:
    ground.backed_up()
    ground.network.answers.clear()

    with pytest.raises(Rejected, match="does not answer a pod"):
        ground.engine.begin(ground.task())


def test_a_copy_may_connect_to_no_other_database(ground: CnpgGround) -> None:
    ground.backed_up()
    drill, restore = ground.task(), replace(ground.task(drill=False), run="a" * 32)
    ground.engine.begin(drill)
    ground.engine.begin(restore)

    rules = {one["metadata"]["name"]: one["spec"] for one in ground.fake.every("NetworkPolicy")}
    assert rules[COPY]["podSelector"] == {"matchLabels": {"cnpg.io/cluster": COPY}}
    assert {one["port"] for one in rules[COPY]["egress"][0]["ports"]} == {53, 443, 6443}
    assert rules[COPY]["policyTypes"] == ["Egress", "Ingress"]
    assert rules["orders-restore-aaaaaaaa"]["policyTypes"] == ["Egress"]
    assert ground.engine.isolation_leak(drill) == ""


def test_another_live_cluster_than_was_planned_stops_it(ground: CnpgGround) -> None:
    ground.backed_up()
    task = ground.task()

    with pytest.raises(Conflict, match="the live cluster is another one than was planned"):
        ground.engine.begin(replace(task, facts={**task.facts, "live_uid": "other"}))


def test_a_backup_that_is_gone_since_stops_it(ground: CnpgGround) -> None:
    ground.backed_up()
    task = ground.task()
    ground.fake.remove(BACKUP, "daily-1")

    with pytest.raises(Conflict, match="backup daily-1 is gone"):
        ground.engine.begin(task)


def test_a_volume_that_stays_pending_is_told(ground: CnpgGround) -> None:
    ground.backed_up()
    ground.operator.unbound = True
    task = ground.task()
    ground.engine.begin(task)
    ground.until(lambda: ground.fake.now("Cluster", COPY).get("status"))

    assert ground.engine.look(task).message == f"volume {COPY}-1 is Pending"


def test_without_a_url_nothing_of_the_data_is_called_checked(ground: CnpgGround) -> None:
    ground.said["url"] = None
    ground.backed_up()
    with pytest.raises(Rejected, match="would prove nothing"):
        ground.task()
    task = ground.task(drill=False)
    ground.engine.begin(task)
    ground.ended(task)

    results = {one.name: one for one in ground.engine.verify(task, [], lambda _: None)}

    assert results["system identifier, by the operator"].ok
    assert not results["every row can be read"].ok


def test_a_copy_that_cannot_be_reached_fails_its_checks(ground: CnpgGround) -> None:
    ground.backed_up()
    task = ground.task()
    ground.engine.begin(task)
    ground.ended(task)

    results = ground.engine.verify(task, [Check(name="rows", query="SELECT 1", expect="1")], lambda _: None)

    assert not results[-1].ok
    assert "did not let the bot into database app" in results[-1].got
    assert "secret" not in results[-1].got


def test_removing_takes_the_copy_and_what_kept_it_apart_and_nothing_else(ground: CnpgGround) -> None:
    ground.backed_up()
    task = ground.task()
    ground.engine.begin(task)
    ground.ended(task)
    [copy] = ground.engine.copies()

    ground.engine.remove(copy)
    ground.engine.remove(copy)
    with ground.fake._lock:
        ground.fake.step()

    assert (copy.run, copy.drill) == (RUN, True)
    assert [one["metadata"]["name"] for one in ground.fake.every("Cluster")] == ["orders"]
    assert (ground.fake.every("NetworkPolicy"), ground.fake.every("PersistentVolumeClaim")) == ([], [])


def test_the_live_cluster_is_never_removed_whatever_label_it_has(ground: CnpgGround) -> None:
    notes = {"vakhta.dev/store": "orders"}
    ground.fake.change("Cluster", "orders", {"metadata": {"labels": {"vakhta.dev/restore": RUN}, "annotations": notes}})
    [copy] = ground.engine.copies()

    with pytest.raises(Rejected, match="is the live one"):
        ground.engine.remove(copy)


def test_a_backup_now_is_made_once_as_the_schedule_would(ground: CnpgGround) -> None:
    ground.engine.begin_backup(RUN)
    ground.engine.begin_backup(RUN)
    ground.until(lambda: ground.engine.look_backup(RUN).state is CopyState.RESTORED)

    [made] = ground.fake.every(BACKUP)
    assert made["spec"] == {"cluster": {"name": "orders"}, "method": "plugin"}
    assert ground.engine.look_backup(RUN).message == f"vakhta-{RUN}"


def test_a_backup_now_waits_while_wal_is_not_archived_and_says_why(ground: CnpgGround) -> None:
    ground.operator.archiving = False
    ground.engine.begin_backup(RUN)
    ground.until(lambda: ground.engine.look_backup(RUN).phase == "walArchivingFailing")

    status = ground.engine.look_backup(RUN)

    assert status.state is CopyState.WAITING
    assert status.message == (
        "the archiving of WAL fails, so the operator does not begin: barman-cloud-wal-archive failed"
    )


def test_the_plan_says_what_does_not_come_back(ground: CnpgGround) -> None:
    ground.backed_up()

    shown = ground.engine.preview(RestorePoint(), drill=False)

    assert shown.copy_name == "PostgreSQL cluster shop/orders-restore-{run}"
    assert shown.data_at is None
    assert any(one.startswith("Secrets: the passwords") for one in shown.not_restored)
    assert any("it archives no WAL" in one for one in shown.not_restored)


def test_a_missing_right_refuses_the_plan_by_name(ground: CnpgGround) -> None:
    ground.backed_up()
    ground.fake.rights.denied["vakhta"] = {("create", "clusters")}

    with pytest.raises(Rejected, match=r"no right in cluster main to create clusters\.postgresql\.cnpg\.io in shop"):
        ground.engine.preview(RestorePoint(), drill=True)
