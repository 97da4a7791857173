"""A restore by Velero: beside the live namespace, kept to itself, once for a run, and complete only with its data."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.core.backup import Check, CopyState, RestorePoint
from bot.core.errors import Conflict, OutcomeUnknown, Rejected
from tests.fakes.kubernetes_velero import HOME
from tests.integrations.velero.ground import COPY, DB, GB, RUN, Ground


def _posts(ground: Ground, plural: str) -> int:
    return sum(one.verb == "POST" and one.path.endswith(f"/{plural}") for one in ground.fake.received)


def _results(ground: Ground, *checks: Check) -> dict[str, tuple[str, bool]]:
    task = ground.task()
    ground.engine.begin(task)
    ground.ended(task)
    return {one.name: (one.got, one.ok) for one in ground.engine.verify(task, checks, lambda _: None)}


def test_a_drill_restores_every_volume_into_a_namespace_beside_the_live_one(ground: Ground) -> None:
    ground.backed_up()
    task = ground.task()

    ground.engine.begin(task)
    status = ground.ended(task)

    assert (status.state, status.bytes_done, status.bytes_total) == (CopyState.RESTORED, 6 * GB, 6 * GB)
    assert {one["metadata"]["name"] for one in ground.fake.every("PersistentVolumeClaim", COPY)} == {"data", "logs"}
    assert ground.fake.now("Deployment", "api")["spec"]["replicas"] == 3


def test_in_the_copy_nothing_runs_and_nothing_gets_traffic(ground: Ground) -> None:
    ground.backed_up()
    task = ground.task()
    ground.engine.begin(task)
    ground.ended(task)

    fake = ground.fake
    service = fake.now("Service", "db", COPY)["spec"]
    assert fake.now("Deployment", "api", COPY)["spec"]["replicas"] == 0
    assert fake.now("CronJob", "mail", COPY)["spec"]["suspend"] is True
    assert (service["type"], service.get("externalIPs")) == ("ClusterIP", None)
    assert fake.every("Pod", COPY) == []
    assert [one["metadata"]["name"] for one in fake.every("NetworkPolicy", COPY)] == ["vakhta-isolation"]
    assert fake.now("Deployment", "api", COPY)["metadata"]["labels"]["vakhta.dev/restore"] == RUN


def test_a_second_begin_of_the_same_run_makes_nothing(ground: Ground) -> None:
    ground.backed_up()
    task = ground.task()
    ground.engine.begin(task)

    ground.engine.begin(task)

    assert (_posts(ground, "restores"), _posts(ground, "namespaces")) == (1, 1)


@pytest.mark.parametrize("lost", ["/namespaces", "/networkpolicies", "/configmaps", "/restores"])
def test_after_a_lost_answer_at_any_step_a_second_begin_goes_on_and_makes_one_copy(ground: Ground, lost: str) -> None:
    ground.backed_up()
    task = ground.task()
    ground.fake.answer_next(reset=True, after_effect=True, path=lost)

    with pytest.raises(OutcomeUnknown):
        ground.engine.begin(task)
    ground.engine.begin(task)

    assert ground.ended(task).state is CopyState.RESTORED
    assert len(ground.fake.every("Restore", HOME)) == 1
    assert [one.run for one in ground.engine.copies()] == [RUN]


def test_the_isolation_is_tried_before_velero_is_asked(ground: Ground) -> None:
    ground.backed_up()
    ground.network.enforces = False
    task = ground.task()

    with pytest.raises(Rejected, match=f"can connect to {DB} though a NetworkPolicy denies it") as refused:
        ground.engine.begin(task)

    assert refused.value.code == "not_isolated"
    assert ground.fake.every("Restore", HOME) == []
    assert ground.engine.copies() == []


def test_an_address_that_never_answers_proves_no_isolation(ground: Ground) -> None:
    ground.backed_up()
    ground.network.answers.clear()
    task = ground.task()

    with pytest.raises(Rejected, match=r"does not answer a pod in namespace .* even without a NetworkPolicy"):
        ground.engine.begin(task)

    assert ground.engine.copies() == []


def test_a_probe_whose_image_cannot_be_pulled_proves_nothing(ground: Ground) -> None:
    ground.backed_up()
    ground.fake.broken_images.add("busybox:1.37")

    with pytest.raises(Rejected, match=r"cannot be pulled.*not known"):
        ground.engine.begin(ground.task())


def test_a_leak_that_opens_later_is_found_again(ground: Ground) -> None:
    ground.backed_up()
    task = ground.task()
    ground.engine.begin(task)

    closed = ground.engine.isolation_leak(task)
    ground.network.enforces = False

    assert closed == ""
    assert "does not enforce NetworkPolicies" in ground.engine.isolation_leak(task)


def test_a_persons_restore_is_kept_to_itself_as_well(ground: Ground) -> None:
    ground.backed_up()
    task = ground.task(drill=False)

    ground.engine.begin(task)

    assert ground.ended(task).state is CopyState.RESTORED
    assert len(ground.fake.every("NetworkPolicy", COPY)) == 1
    assert ground.engine.copies()[0].drill is False


def test_a_persons_restore_whose_pods_run_is_refused_where_they_could_get_out(ground_by_files: Ground) -> None:
    ground = ground_by_files
    ground.backed_up()
    ground.network.enforces = False

    with pytest.raises(Rejected, match="does not enforce NetworkPolicies"):
        ground.engine.begin(ground.task(drill=False))

    assert ground.engine.copies() == []


def test_a_persons_restore_goes_on_where_nothing_of_the_live_ones_answers(ground_by_files: Ground) -> None:
    ground = ground_by_files
    ground.backed_up()
    ground.network.answers.clear()
    task = ground.task(drill=False)

    ground.engine.begin(task)

    assert ground.ended(task).state is CopyState.RESTORED


def test_a_namespace_of_that_name_that_is_somebody_elses_is_left_alone(ground: Ground) -> None:
    ground.backed_up()
    task = ground.task()
    ground.fake.put("Namespace", COPY)

    with pytest.raises(Rejected, match="is not of this run"):
        ground.engine.begin(task)

    assert ground.fake.now("Namespace", COPY)["metadata"].get("deletionTimestamp") is None


def test_completed_with_0_bytes_moved_is_a_failed_restore(ground: Ground) -> None:
    ground.backed_up()
    ground.velero.next.moved["shop/data"] = 0
    task = ground.task()
    ground.engine.begin(task)

    status = ground.ended(task)

    assert ground.status("Restore", f"vakhta-{RUN}")["phase"] == "Completed"
    assert status.state is CopyState.FAILED
    assert status.message == f"Velero says Completed, but volume {COPY}/data received 0 bytes"


def test_fewer_bytes_than_the_backup_has_are_found_by_the_checks(ground: Ground) -> None:
    ground.backed_up()
    ground.velero.next.moved["shop/data"] = 2 * GB

    assert _results(ground)["bytes of volumes"] == (str(3 * GB), False)


def test_a_failed_restore_hook_counts_though_velero_says_completed(ground: Ground) -> None:
    ground.backed_up()
    ground.velero.next.hooks_failed = 1
    task = ground.task()
    ground.engine.begin(task)

    assert "restore hooks failed: 1" in ground.ended(task).message


def test_failed_item_operations_count_though_velero_says_completed(ground: Ground) -> None:
    ground.backed_up()
    ground.velero.next.operations_failed = 2
    task = ground.task()
    ground.engine.begin(task)

    assert "item operations failed: 2" in ground.ended(task).message


def test_warnings_fail_the_checks_with_their_texts(ground: Ground) -> None:
    ground.backed_up()
    ground.velero.next.warnings = 1

    assert _results(ground)["warnings"] == ("1: could not restore, Service:db already exists", False)


def test_a_partial_failure_names_the_volume_that_failed(ground: Ground) -> None:
    ground.backed_up()
    ground.velero.next.ends = "PartiallyFailed"
    task = ground.task()
    ground.engine.begin(task)

    status = ground.ended(task)

    assert status.state is CopyState.FAILED
    assert f"volume {COPY}/data is Failed: data path failed: no space left on device" in status.message


def test_a_restart_of_velero_ends_a_restore_and_says_to_make_a_new_one(ground: Ground) -> None:
    ground.backed_up()
    ground.velero.next.stops_in = "InProgress"
    task = ground.task()
    ground.engine.begin(task)
    ground.until(lambda: ground.status("Restore", f"vakhta-{RUN}").get("phase") == "InProgress")

    with ground.fake._lock:
        ground.velero.restart(ground.fake)

    status = ground.engine.look(task)
    assert status.state is CopyState.FAILED
    assert status.message == (
        "Velero was restarted while it restored, and cannot go on with it. Remove the copy, and restore again"
    )


def test_a_restore_behind_others_waits_and_says_behind_how_many(ground: Ground) -> None:
    ground.backed_up()
    ground.velero.next.stops_in = "InProgress"
    task = ground.task()
    for name in ("a", "b"):
        spec = {"backupName": "nightly-1", "includedResources": [], "namespaceMapping": {}}
        ground.fake.put("Restore", name, HOME, spec=spec)
    ground.until(lambda: ground.status("Restore", "a").get("phase") == "InProgress")
    ground.engine.begin(task)
    ground.fake.later(timedelta(hours=1))

    status = ground.engine.look(task)

    assert status.state is CopyState.WAITING
    assert status.message == "behind 2 restores; Velero does one at a time"


def test_a_velero_that_does_not_run_is_told_as_such(ground: Ground) -> None:
    ground.backed_up()
    task = ground.task()
    ground.velero.running = False
    ground.engine.begin(task)
    early = ground.engine.look(task).message
    ground.fake.later(timedelta(minutes=30))

    assert early == "Velero has not begun it"
    assert "and has nothing else to do: check that its Deployment runs" in ground.engine.look(task).message


def test_a_claim_that_stays_pending_is_not_restored_and_says_why(ground: Ground) -> None:
    ground.backed_up()
    ground.velero.next.unbound.add("logs")
    task = ground.task()
    ground.engine.begin(task)
    ground.until(lambda: ground.status("Restore", f"vakhta-{RUN}").get("phase") == "Completed")

    status = ground.engine.look(task)

    assert status.state is CopyState.RUNNING
    assert status.message == "volume shop/logs is Pending: no volume plugin matched"


def test_a_location_that_goes_away_at_the_last_moment_is_told_by_velero(ground: Ground) -> None:
    ground.backed_up()
    task = ground.task()
    ground.velero.running = False
    ground.engine.begin(task)
    ground.told("BackupStorageLocation", "default", phase="Unavailable")
    ground.velero.running = True

    assert ground.ended(task).message.startswith("Velero refused it: The BSL default is unavailable")


@pytest.mark.parametrize(
    ("status", "told"),
    [
        ({"phase": "Deleting"}, "it is being deleted"),
        ({"expiration": "2026-11-24T03:30:00Z"}, "it expires at 2026-11-24 03:30 UTC"),
    ],
)
def test_what_has_changed_about_the_backup_since_the_plan_stops_it(
    ground: Ground, status: dict[str, str], told: str
) -> None:
    ground.backed_up()
    task = ground.task()
    ground.told("Backup", "nightly-1", **status)

    with pytest.raises(Conflict, match=told):
        ground.engine.begin(task)

    assert ground.engine.copies() == []


def test_a_backup_of_the_same_name_that_is_another_one_stops_it(ground: Ground) -> None:
    ground.backed_up()
    task = ground.task()
    ground.fake.remove("Backup", "nightly-1", HOME)
    ground.backed_up()

    with pytest.raises(Conflict, match="is another one than was planned"):
        ground.engine.begin(task)


def test_pods_run_where_volumes_are_filled_through_them_and_the_plan_says_so(ground_by_files: Ground) -> None:
    ground = ground_by_files
    ground.backed_up()
    shown = ground.engine.preview(RestorePoint(), drill=True)
    task = ground.task()
    ground.engine.begin(task)

    assert ground.ended(task).state is CopyState.RESTORED
    assert any("Pods of the copy run, because their volumes are filled through them" in one for one in shown.effect)
    assert [one["metadata"]["name"] for one in ground.fake.every("Pod", COPY)] == ["db-0"]
    assert ground.fake.now("CronJob", "mail", COPY)["spec"]["suspend"] is True


def test_pods_run_where_a_class_waits_for_its_first_consumer(ground: Ground) -> None:
    ground.claim("late", storage_class="local")
    ground.backed_up()

    assert ground.engine.preview(RestorePoint(), drill=True).facts["pods"] == "needed"


def test_every_volume_of_a_good_copy_is_read_and_counts_are_compared(ground: Ground) -> None:
    ground.backed_up()

    results = _results(
        ground,
        Check(name="deployments", query="count deployments", like_live=True),
        Check(name="claims", query="count persistentvolumeclaims", expect="3"),
        Check(name="nonsense", query="SELECT 1", expect="1"),
    )

    assert {name for name, (_, ok) in results.items() if not ok} == {"claims", "nonsense"}
    assert results["read volume shop/data"] == ("a file with contents", True)
    assert results["claims"] == ("2", False)
    assert "write `count KIND`" in results["nonsense"][0]
    assert ground.fake.every("Job", COPY) == []


def test_a_snapshot_that_came_back_empty_is_found_by_reading_it(ground: Ground) -> None:
    """No bytes are counted there: only reading tells."""
    ground.velero.how = "CSI snapshot"
    ground.backed_up()
    ground.velero.next.moved["shop/data"] = 0

    results = _results(ground)

    assert results["Velero's Restore"] == ("Completed", True)
    assert results["read volume shop/data"] == ("no file with contents", False)


def test_removing_takes_away_what_the_run_made_and_nothing_else(ground: Ground) -> None:
    ground.backed_up()
    ground.velero.next.kept = "Retain"
    task = ground.task()
    ground.engine.begin(task)
    ground.ended(task)
    ground.fake.put("Namespace", "other", metadata={"labels": {"vakhta.dev/restore": "other"}})
    [copy] = ground.engine.copies()

    ground.engine.remove(copy)
    ground.engine.remove(copy)

    fake = ground.fake
    assert ground.engine.copies() == []
    assert {one["metadata"]["name"] for one in fake.every("Namespace", "")} == {"shop", HOME, "other"}
    assert (fake.every("Restore", HOME), fake.every("ConfigMap", HOME)) == ([], [])
    kept = [one for one in fake.every("PersistentVolume", "") if "claimRef" in one["spec"]]
    assert {one["spec"]["persistentVolumeReclaimPolicy"] for one in kept} == {"Delete"}


def test_a_live_namespace_with_our_label_is_never_removed(ground: Ground) -> None:
    ground.backed_up()
    notes = {"vakhta.dev/store": "shop"}
    ground.fake.change("Namespace", "shop", {"metadata": {"labels": {"vakhta.dev/restore": RUN}, "annotations": notes}})
    [copy] = ground.engine.copies()

    with pytest.raises(Rejected, match="is a live one"):
        ground.engine.remove(copy)

    assert ground.fake.now("Namespace", "shop")["metadata"].get("deletionTimestamp") is None


def test_copies_of_another_store_are_not_shown(ground: Ground) -> None:
    ground.backed_up()
    task = ground.task()
    ground.engine.begin(replace(task, store="other"))

    assert ground.engine.copies() == []


def test_without_its_restore_a_copy_is_not_called_complete(ground: Ground) -> None:
    ground.backed_up()
    task = ground.task()
    before = ground.engine.look(task).state
    ground.engine.begin(task)
    ground.ended(task)
    ground.fake.remove("Restore", f"vakhta-{RUN}", HOME)

    status = ground.engine.look(task)

    assert (before, status.state) == (CopyState.ABSENT, CopyState.FAILED)
    assert "whether the copy was complete is not known" in status.message


def test_progress_is_the_sum_of_what_was_moved(ground: Ground) -> None:
    ground.backed_up()
    task = ground.task()
    ground.engine.begin(task)
    seen = []

    def moving() -> bool:
        status = ground.engine.look(task)
        seen.append((status.phase, status.bytes_done))
        return status.state is CopyState.RESTORED

    ground.until(moving)

    assert ("copying volumes", 3 * GB) in seen


def test_the_plan_says_whose_power_it_is_and_what_does_not_come_back(ground: Ground) -> None:
    ground.backed_up()

    shown = ground.engine.preview(RestorePoint(), drill=False)

    assert shown.copy_name == "namespace shop-restore-{run} of cluster main"
    assert "That is an administrator's right" in shown.effect[-1]
    assert any("Velero has no cutover" in one for one in shown.not_restored)
    assert shown.size_bytes == 6 * GB


def test_a_missing_right_refuses_the_plan_by_name(ground: Ground) -> None:
    ground.backed_up()
    ground.fake.rights.denied["vakhta"] = {("create", "restores")}

    with pytest.raises(Rejected, match=r"no right in cluster main to create restores\.velero\.io in velero"):
        ground.engine.preview(RestorePoint(), drill=True)


def test_a_backup_is_chosen_by_name_by_time_or_as_the_newest(ground: Ground) -> None:
    first = ground.backed_up("nightly-1")
    ground.fake.later(timedelta(hours=1))
    ground.backed_up("nightly-2")
    engine = ground.engine
    between = ground.clock.at - timedelta(minutes=30)

    newest = engine.preview(RestorePoint(), drill=True).backup_id
    named = engine.preview(RestorePoint(backup_id="nightly-1"), drill=True)
    by_time = engine.preview(RestorePoint(at=between), drill=True)

    assert (newest, named.backup_id, by_time.backup_id) == ("nightly-2", "nightly-1", "nightly-1")
    assert by_time.data_at is not None
    assert by_time.data_at.isoformat() == first["status"]["startTimestamp"].replace("Z", "+00:00")
    with pytest.raises(Rejected, match="has no backup nightly-9"):
        engine.preview(RestorePoint(backup_id="nightly-9"), drill=True)
    with pytest.raises(Rejected, match="no usable backup from before 2026-11-01"):
        engine.preview(RestorePoint(at=ground.clock.at - timedelta(days=23)), drill=True)


def test_other_storage_classes_are_given_to_the_copy(ground: Ground) -> None:
    ground.said["storage_classes"] = {"fast": "cheap"}
    ground.fake.put("StorageClass", "cheap", volumeBindingMode="Immediate")
    ground.backed_up()
    task = ground.task()
    ground.engine.begin(task)
    ground.ended(task)

    assert ground.fake.now("PersistentVolumeClaim", "data", COPY)["spec"]["storageClassName"] == "cheap"
    assert ground.fake.now("PersistentVolumeClaim", "data")["spec"]["storageClassName"] == "fast"
