"""What Velero and its cluster do to a restore that nobody plans for."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bot.core.backup import CopyState
from bot.core.errors import Rejected
from tests.fakes.kubernetes_velero import HOME
from tests.integrations.velero.ground import COPY, GB, RUN, Ground

_RESTORE = f"vakhta-{RUN}"


def _begun(ground: Ground, phase: str) -> None:
    """The Restore stays in that phase."""
    ground.until(lambda: ground.status("Restore", _RESTORE).get("phase") == phase)


def test_a_refused_restore_leaves_nothing_behind(ground: Ground) -> None:
    """As by an admission webhook, after the namespaces and the policies are made."""
    ground.backed_up()
    task = ground.task()
    ground.fake.answer_next(status=403, path="/restores", body=b'{"kind":"Status","message":"denied the request"}')

    with pytest.raises(Rejected):
        ground.engine.begin(task)

    ground.until(lambda: not ground.engine.copies())
    assert [one["metadata"]["name"] for one in ground.fake.every("ConfigMap", HOME)] == []


def test_a_phase_that_only_a_newer_velero_knows_is_no_end(ground: Ground) -> None:
    ground.backed_up()
    task = ground.task()
    ground.velero.running = False
    ground.engine.begin(task)
    ground.told("Restore", _RESTORE, phase="Rehearsing")

    status = ground.engine.look(task)

    assert (status.state, status.phase) == (CopyState.RUNNING, "Velero says Rehearsing")


def test_a_copy_whose_namespace_is_terminating_is_not_restored(ground: Ground) -> None:
    """A finalizer holds it: what is in it goes away, whatever Velero says."""
    ground.backed_up()
    task = ground.task()
    ground.engine.begin(task)
    _begun(ground, "Completed")
    ground.fake.change("Namespace", COPY, {"metadata": {"finalizers": ["example.com/hold"]}})
    ground.fake.remove("Namespace", COPY)

    status = ground.engine.look(task)

    assert status.state is CopyState.FAILED
    assert status.message.endswith(f"namespace {COPY} is being deleted (Terminating)")


def test_a_restore_that_is_being_deleted_is_neither_restored_nor_gone_on_with(ground: Ground) -> None:
    """Velero's finalizer holds it while its storage location does not answer; so it goes with a deleted backup."""
    ground.backed_up()
    task = ground.task()
    ground.engine.begin(task)
    _begun(ground, "Completed")
    held = {"finalizers": ["restores.velero.io/external-resources-finalizer"]}
    ground.fake.change("Restore", _RESTORE, {"metadata": held}, namespace=HOME)
    ground.fake.remove("Restore", _RESTORE, HOME)

    assert ground.engine.look(task).state is CopyState.FAILED
    with pytest.raises(Rejected, match=r"is being deleted\. Nothing was done"):
        ground.engine.begin(task)


def test_a_volume_that_may_be_empty_does_not_fail_a_restore(ground: Ground) -> None:
    ground.claim("spool", 0)
    ground.said["empty_volumes"] = ["shop/spool"]
    ground.backed_up()
    task = ground.task()
    ground.engine.begin(task)

    status = ground.ended(task)

    assert (status.state, status.bytes_done) == (CopyState.RESTORED, 6 * GB)


def test_a_volume_that_must_have_data_fails_beside_one_that_may_be_empty(ground: Ground) -> None:
    ground.claim("spool", 0)
    ground.said["empty_volumes"] = ["shop/spool"]
    ground.backed_up()
    ground.velero.next.moved["shop/data"] = 0
    task = ground.task()
    ground.engine.begin(task)

    assert f"volume {COPY}/data received 0 bytes" in ground.ended(task).message


def test_a_movement_that_nobody_takes_is_told_in_minutes(ground: Ground) -> None:
    """node-agent does not run: Velero alone would say so after hours."""
    ground.backed_up()
    ground.velero.next.stops_in = "WaitingForPluginOperations"
    task = ground.task()
    ground.engine.begin(task)
    _begun(ground, "WaitingForPluginOperations")
    early = ground.engine.look(task).message
    ground.fake.later(timedelta(minutes=15))

    assert "node-agent" not in early
    assert "check that Velero's DaemonSet node-agent runs" in ground.engine.look(task).message


def test_a_backup_now_that_velero_does_not_begin_is_told_in_minutes(ground: Ground) -> None:
    ground.velero.running = False
    ground.engine.begin_backup(RUN)
    ground.fake.later(timedelta(minutes=15))

    assert ground.engine.look_backup(RUN).message == (
        "Velero has not begun it, for 15 min: check that its Deployment runs"
    )


def test_a_location_that_flaps_during_the_run_ends_no_restore(ground: Ground) -> None:
    ground.backed_up()
    ground.velero.next.stops_in = "WaitingForPluginOperations"
    task = ground.task()
    ground.engine.begin(task)
    _begun(ground, "WaitingForPluginOperations")
    ground.told("BackupStorageLocation", "default", phase="Unavailable")
    during = ground.engine.look(task).state
    ground.told("BackupStorageLocation", "default", phase="Available")
    ground.velero.next.stops_in = ""

    assert (during, ground.ended(task).state) == (CopyState.RUNNING, CopyState.RESTORED)
