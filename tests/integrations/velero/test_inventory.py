"""Which backups of Velero are usable. Completed is never enough."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from bot.core.backup import Backup, CopyState, RestorePoint
from bot.core.errors import Rejected
from tests.fakes.kubernetes_velero import HOME
from tests.fakes.ticking import stamped
from tests.integrations.velero.ground import GB, RUN, Ground


def _one(ground: Ground) -> Backup:
    [found] = ground.engine.inventory().backups
    return found


def test_a_whole_backup_is_usable_with_the_time_at_which_it_began(ground: Ground) -> None:
    status = ground.backed_up()["status"]

    found = _one(ground)

    assert found.usable, found.problem
    assert stamped(found.data_at) == status["startTimestamp"]
    assert found.finished_at is not None
    assert stamped(found.finished_at) == status["completionTimestamp"]
    assert (found.size_bytes, found.kind, found.damage) == (6 * GB, "data movement", "")
    assert found.expires_at is not None
    assert found.expires_at > found.data_at + timedelta(days=29)


def test_completed_with_an_empty_volume_is_refused_unless_it_may_be_empty(ground: Ground) -> None:
    ground.network.volumes["shop/logs"] = 0
    ground.backed_up()
    refused = _one(ground)
    ground.said["empty_volumes"] = ["shop/logs"]

    assert refused.problem.startswith("volume shop/logs: Completed with 0 bytes")
    assert _one(ground).usable


def test_completed_without_anything_of_a_volume_is_refused(ground: Ground) -> None:
    """A plug-in that is missing leaves no trace (velero#6693)."""
    ground.velero.skips.add("shop/data")
    ground.backed_up()

    assert _one(ground).problem == (
        "volume shop/data has no data in it: neither a snapshot nor a file-system backup was made of it (a plug-in, or"
        " defaultVolumesToFsBackup)"
    )


def test_a_volume_whose_claim_is_gone_since_is_missed_too(ground: Ground) -> None:
    ground.velero.skips.add("shop/data")
    ground.backed_up()
    ground.fake.remove("PersistentVolumeClaim", "data")

    assert "its claim is in the backup, and nothing of its contents" in _one(ground).problem


def test_hostpath_volumes_block_the_store_and_every_plan(ground_by_files: Ground) -> None:
    ground = ground_by_files
    ground.claim("disk", volume={"hostPath": {"path": "/opt/local-path-provisioner/x"}})
    ground.backed_up()

    inventory = ground.engine.inventory()

    [blocker] = inventory.blockers
    assert blocker.startswith(
        "shop/disk: hostPath volumes (as local-path makes them). Velero's file-system backup skips"
    )
    assert "it is a hostPath volume" in inventory.backups[0].problem
    with pytest.raises(Rejected, match=r"hostPath volumes.*Nothing was done"):
        ground.engine.preview(RestorePoint(), drill=True)


def test_a_volume_of_pods_that_do_not_run_is_missed_with_the_reason(ground_by_files: Ground) -> None:
    ground = ground_by_files
    ground.claim("idle")
    ground.velero.skips.add("shop/idle")
    ground.backed_up()

    assert "no running pod mounts it" in _one(ground).problem


@pytest.mark.parametrize("how", ["annotation of the pod", "label of the claim"])
def test_a_volume_that_is_left_out_on_purpose_is_not_missed(ground_by_files: Ground, how: str) -> None:
    ground = ground_by_files
    ground.velero.skips.add("shop/logs")
    if how == "annotation of the pod":
        notes = {"backup.velero.io/backup-volumes-excludes": "cache, logs"}
        ground.fake.change("Pod", "db-0", {"metadata": {"annotations": notes}})
    else:
        label = {"velero.io/exclude-from-backup": "true"}
        ground.fake.change("PersistentVolumeClaim", "logs", {"metadata": {"labels": label}})
    ground.backed_up()

    assert _one(ground).usable


def test_a_claim_that_is_newer_than_the_backup_is_not_missed(ground: Ground) -> None:
    ground.backed_up()
    ground.fake.later(timedelta(minutes=5))
    ground.claim("new")

    assert _one(ground).usable


@pytest.mark.parametrize(
    ("info", "told"),
    [
        ({"skipped": True, "skippedReason": "not satisfy the criteria for VolumePolicy"}, "was skipped: not satisfy"),
        ({"snapshotDataMoved": True, "snapshotDataMovementInfo": {"Phase": "Canceled"}}, "data movement is Canceled"),
        ({"backupMethod": "PodVolumeBackup", "pvbInfo": {"Phase": "Failed"}}, "file system is Failed, not Completed"),
        ({"backupMethod": "CSISnapshot", "csiSnapshotInfo": {"snapshotHandle": ""}}, "no snapshot to restore from"),
        (
            {"backupMethod": "CSISnapshot", "csiSnapshotInfo": {"snapshotHandle": "s", "ReadyToUse": False}},
            "its snapshot is not ready to use",
        ),
        ({"backupMethod": "NativeSnapshot", "result": "failed", "nativeSnapshotInfo": {}}, "native snapshot failed"),
    ],
)
def test_what_speaks_against_one_volume_speaks_against_the_backup(
    ground: Ground, info: dict[str, Any], told: str
) -> None:
    ground.backed_up()
    good = {"backupMethod": "CSISnapshot", "csiSnapshotInfo": {"snapshotHandle": "s", "size": 1}}
    names = ({"pvcNamespace": "shop", "pvcName": "data", **info}, {"pvcNamespace": "shop", "pvcName": "logs", **good})
    ground.storage.keep("/BackupVolumeInfos/nightly-1", list(names))

    assert told in _one(ground).problem


def test_a_volume_that_a_policy_leaves_out_is_told_and_not_refused(ground: Ground) -> None:
    ground.backed_up()
    good = {"backupMethod": "CSISnapshot", "csiSnapshotInfo": {"snapshotHandle": "s", "size": 1}}
    left = {"skipped": True, "skippedReason": "skipped due to policy in chosen resource policies"}
    names = ({"pvcNamespace": "shop", "pvcName": "data", **good}, {"pvcNamespace": "shop", "pvcName": "logs", **left})
    ground.storage.keep("/BackupVolumeInfos/nightly-1", list(names))

    found = _one(ground)

    assert (found.usable, found.damage) == (True, "left out by a policy: shop/logs")


@pytest.mark.parametrize(
    ("status", "told"),
    [
        ({"phase": "PartiallyFailed", "errors": 1, "warnings": 2}, "PartiallyFailed with 1 error and 2 warnings"),
        ({"phase": "FailedValidation", "validationErrors": ["no such location"]}, "FailedValidation: no such location"),
        ({"phase": "Failed", "failureReason": "found a backup with status"}, "Failed: found a backup with status"),
        ({"phase": "Queued", "queuePosition": 4}, "it is Queued behind 3 backups"),
        ({"phase": "ReadyToStart"}, "it is still being made (ReadyToStart)"),
        ({"phase": "FinalizingPartiallyFailed"}, "it is still being made (FinalizingPartiallyFailed)"),
        ({"phase": "Deleting"}, "it is being deleted"),
        ({"errors": 3}, "it says Completed, with 3 errors"),
        ({"hookStatus": {"hooksAttempted": 2, "hooksFailed": 1}}, "it says Completed, with 1 failed hook"),
        ({"expiration": "2026-11-24T02:00:00Z"}, "it expired at 2026-11-24 02:00 UTC"),
    ],
)
def test_each_phase_is_told_in_words(ground: Ground, status: dict[str, Any], told: str) -> None:
    ground.backed_up()
    ground.velero.running = False
    ground.told("Backup", "nightly-1", **status)

    assert told in _one(ground).problem


def test_warnings_are_shown_with_a_usable_backup(ground: Ground) -> None:
    ground.backed_up()
    ground.told("Backup", "nightly-1", warnings=2)

    found = _one(ground)

    assert (found.usable, found.damage) == (True, "2 warnings")


def test_a_location_that_flaps_takes_its_backups_away_and_gives_them_back(ground: Ground) -> None:
    ground.backed_up()
    engine = ground.engine
    ground.told("BackupStorageLocation", "default", phase="Unavailable", message="dial tcp: i/o timeout")
    [down] = engine.inventory().backups
    ground.told("BackupStorageLocation", "default", phase="Available", message=None)

    [up] = engine.inventory().backups

    assert down.problem == "its storage location default is Unavailable: dial tcp: i/o timeout"
    assert up.usable


def test_a_location_that_nobody_validates_any_more_is_no_location(ground: Ground) -> None:
    ground.backed_up()
    ground.velero.running = False
    ground.fake.later(timedelta(minutes=10))

    assert "was last validated at" in _one(ground).problem


def test_a_repository_that_is_not_ready_is_told(ground: Ground) -> None:
    ground.backed_up()
    ground.told("BackupRepository", "shop-kopia", phase="NotReady", message="wrong password")

    assert _one(ground).problem == "the repository of namespace shop is NotReady: wrong password"


def test_a_backup_without_the_namespace_is_refused(ground: Ground) -> None:
    ground.backed_up(includedNamespaces=["other"])

    assert "it does not have namespace shop" in _one(ground).problem


def test_globs_in_the_namespaces_of_a_backup_are_understood(ground: Ground) -> None:
    ground.backed_up()
    ground.fake.change("Backup", "nightly-1", {"spec": {"includedNamespaces": ["sh*"]}}, namespace=HOME)

    assert _one(ground).usable


def test_an_object_storage_that_the_bot_cannot_reach_leaves_nothing_usable(ground: Ground) -> None:
    ground.backed_up("nightly-1")
    ground.backed_up("nightly-2")
    ground.velero.address = "http://127.0.0.1:9"

    found = ground.engine.inventory().backups

    assert all(
        "The object storage of Velero, as seen from the bot, could not be reached" in one.problem for one in found
    )
    assert sum(one.path.endswith("/downloadrequests") and one.verb == "POST" for one in ground.fake.received) == 1


def test_a_velero_that_answers_no_request_is_told(ground: Ground) -> None:
    ground.backed_up()
    del ground.storage.files["/BackupVolumeInfos/nightly-1"]

    assert "Velero gave no address for its file BackupVolumeInfos of nightly-1 within 45 s" in _one(ground).problem
    assert ground.fake.every("DownloadRequest", HOME) == []


def test_a_file_that_is_cut_off_is_not_believed(ground: Ground) -> None:
    ground.backed_up()
    ground.storage.files["/BackupVolumeInfos/nightly-1"] = ground.storage.files["/BackupVolumeInfos/nightly-1"][:-20]

    assert "cannot be read: it is no JSON in gzip" in _one(ground).problem


def test_what_was_read_once_is_not_fetched_again(ground: Ground) -> None:
    ground.backed_up()
    engine = ground.engine
    engine.inventory()
    before = len(ground.storage.received)

    engine.inventory()

    assert (before, len(ground.storage.received)) == (2, 2)


def test_of_many_backups_the_newest_are_read_first_and_the_rest_at_the_next_looks(ground: Ground) -> None:
    for number in range(8):
        ground.backed_up(f"nightly-{number}")
    engine = ground.engine

    first, second = engine.inventory().backups, engine.inventory().backups

    assert [one.usable for one in first] == [True] * 6 + [False] * 2
    assert first[-1].problem == "its volumes have not been looked at yet; the next look at the store reads on"
    assert [one.id for one in second if one.usable] == [f"nightly-{number}" for number in reversed(range(8))]


def test_the_schedule_tells_the_interval_and_what_stops_it(ground: Ground) -> None:
    daily = ground.engine.inventory()
    ground.fake.change("Schedule", "nightly", {"spec": {"paused": True}}, namespace=HOME)
    paused = ground.engine.inventory().blockers
    ground.fake.remove("Schedule", "nightly", HOME)

    assert (daily.interval, daily.blockers) == (timedelta(days=1), ())
    assert paused[0].startswith("The Schedule nightly is paused")
    assert ground.engine.inventory().blockers[0].startswith("The Schedule nightly does not exist")


def test_a_cluster_that_does_not_answer_is_unknown_and_not_empty(ground: Ground) -> None:
    ground.backed_up()
    ground.fake.answer_next(status=403, path="/backups")

    with pytest.raises(Rejected):
        ground.engine.inventory()


def test_a_backup_now_is_made_once_of_the_schedules_template_and_judged(ground: Ground) -> None:
    engine = ground.engine
    before = engine.look_backup(RUN).state
    engine.begin_backup(RUN)
    engine.begin_backup(RUN)
    ground.until(lambda: ground.engine.look_backup(RUN).state is CopyState.RESTORED)

    [made] = ground.fake.every("Backup", HOME)
    assert before is CopyState.ABSENT
    assert made["spec"]["includedNamespaces"] == ["shop"]
    assert ground.engine.look_backup(RUN).message == f"vakhta-{RUN}"
    assert _one(ground).id == f"vakhta-{RUN}"


def test_a_backup_that_waits_for_an_hour_says_behind_how_many(ground: Ground) -> None:
    ground.velero.running = False
    ground.engine.begin_backup(RUN)
    ground.told("Backup", f"vakhta-{RUN}", phase="Queued", queuePosition=4)
    ground.fake.later(timedelta(hours=1))

    status = ground.engine.look_backup(RUN)

    assert (status.state, status.message) == (CopyState.WAITING, "behind 3 backups in Velero's queue, for 60 min")


def test_a_backup_now_that_misses_a_volume_has_failed(ground: Ground) -> None:
    ground.velero.skips.add("shop/data")
    ground.engine.begin_backup(RUN)
    ground.until(lambda: ground.engine.look_backup(RUN).state not in (CopyState.WAITING, CopyState.RUNNING))

    status = ground.engine.look_backup(RUN)

    assert status.state is CopyState.FAILED
    assert "cannot be restored from: volume shop/data has no data in it" in status.message
