"""What the operator and the cluster do to a copy that nobody plans for."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from bot.core.backup import CopyState
from bot.core.errors import Rejected
from tests.fakes.kubernetes_cnpg import BACKUP
from tests.fakes.ticking import stamped
from tests.integrations.cloudnativepg.conftest import COPY, RUN, CnpgGround

_PLUGIN_FAILS = "Cluster cannot proceed to reconciliation due to an error while interacting with plugins"


def _told(ground: CnpgGround, **status: Any) -> None:
    ground.fake.change("Cluster", COPY, {"status": status}, sub="status")


def test_a_refused_cluster_leaves_no_policies_behind(ground: CnpgGround) -> None:
    """As by the operator's own admission webhook."""
    ground.backed_up()
    task = ground.task()
    ground.fake.answer_next(status=403, path="/clusters", body=b'{"kind":"Status","message":"denied the request"}')

    with pytest.raises(Rejected):
        ground.engine.begin(task)

    assert ground.fake.every("NetworkPolicy") == []


def test_an_operator_that_does_not_run_is_told_in_minutes(ground: CnpgGround) -> None:
    ground.backed_up()
    task = ground.task()
    ground.operator.running = False
    ground.engine.begin(task)
    ground.engine.begin_backup(RUN)
    early = ground.engine.look(task).message
    ground.fake.later(timedelta(minutes=15))

    late = "check that its Deployment in namespace cnpg-system runs"
    assert early == "the operator has not begun"
    assert late in ground.engine.look(task).message
    assert late in ground.engine.look_backup(RUN).message


def test_a_plugin_that_is_restarted_does_not_end_a_copy(ground: CnpgGround) -> None:
    ground.backed_up()
    task = ground.task()
    ground.operator.running = False
    ground.engine.begin(task)
    _told(ground, phase=_PLUGIN_FAILS, phaseReason="connection refused")

    status = ground.engine.look(task)

    assert (status.state, status.message) == (CopyState.RUNNING, "connection refused")


def test_an_image_catalog_without_the_version_ends_a_copy_at_once(ground: CnpgGround) -> None:
    ground.backed_up()
    task = ground.task()
    ground.operator.running = False
    ground.engine.begin(task)
    _told(ground, phase="Cluster has incomplete or invalid image catalog", phaseReason="no image for major 17")

    status = ground.engine.look(task)

    assert status.state is CopyState.FAILED
    assert "no image for major 17" in status.message


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (
            {"containerStatuses": [{"state": {"waiting": {"reason": "ImagePullBackOff", "message": "not found"}}}]},
            "waits: ImagePullBackOff: not found",
        ),
        (
            {"conditions": [{"type": "PodScheduled", "status": "False", "message": "0/3 nodes are available"}]},
            "has no node: 0/3 nodes are available",
        ),
    ],
)
def test_a_recovery_whose_pod_does_not_run_says_why(ground: CnpgGround, status: dict[str, Any], told: str) -> None:
    """The phase would be "Setting up primary" until the deadline."""
    ground.backed_up()
    task = ground.task()
    ground.engine.begin(task)
    ground.until(lambda: ground.fake.now("Cluster", COPY).get("status"))
    labels = {"cnpg.io/cluster": COPY}
    spec = {"containers": [{"name": "full-recovery", "image": "postgresql:17.5"}]}
    ground.fake.put(
        "Pod",
        f"{COPY}-1-full-recovery-x1",
        metadata={"labels": labels},
        spec=spec,
        status={"phase": "Pending", **status},
    )

    assert told in ground.engine.look(task).message


@pytest.mark.parametrize(
    ("condition", "told"),
    [
        ({"type": "cnpg.io/hibernation", "status": "True"}, "the cluster is hibernated"),
        ({"type": "Ready", "status": "False"}, "no instance of the cluster is ready"),
    ],
)
def test_a_cluster_that_is_hibernated_or_down_archives_nothing_whatever_its_condition_says(
    ground: CnpgGround, condition: dict[str, str], told: str
) -> None:
    """ContinuousArchiving is left over from before, and stays True."""
    ground.backed_up()
    since = ground.clock.at
    old = {"type": "ContinuousArchiving", "status": "True", "lastTransitionTime": stamped(since)}
    new = {**condition, "lastTransitionTime": stamped(since)}
    ground.operator.running = False
    status = {"conditions": [old, new], "readyInstances": None}
    ground.fake.change("Cluster", "orders", {"status": status}, sub="status")
    ground.fake.later(timedelta(hours=2))

    inventory = ground.engine.inventory()

    assert inventory.continuity is not None
    assert told in inventory.continuity.gap
    assert inventory.window is not None
    assert inventory.window.latest <= since


def test_a_backup_of_another_major_version_is_not_usable(ground: CnpgGround) -> None:
    """The copy gets the image of the live cluster, which has been upgraded since."""
    ground.backed_up()
    ground.fake.change(BACKUP, "daily-1", {"status": {"majorVersion": 16}}, sub="status")
    image = {"pgDataImageInfo": {"image": "postgresql:17.5", "majorVersion": 17}}
    ground.fake.change("Cluster", "orders", {"status": image}, sub="status")

    [backup] = ground.engine.inventory().backups

    assert backup.problem == "it is of PostgreSQL 16, and the image of the live cluster is PostgreSQL 17"
