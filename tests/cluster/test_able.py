"""What the suite finds out about a real cluster before it asks it for more."""

from __future__ import annotations

import pytest

from bot.core.kubernetes import KubernetesObject
from bot.workloads.objects import kinds
from tests.cluster.able import Able, why_no_pods, why_no_rollouts, why_stuck
from tests.cluster.manifests import ONE
from tests.cluster.world import World

_READY = {
    "conditions": [{"type": "Ready", "status": "True"}],
    "allocatable": {"cpu": "1", "memory": "1Gi", "pods": "9"},
}
_PENDING = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes are available"}


def node(world: World) -> None:
    world.fake.put("Node", "able", spec={}, status=_READY)


def test_where_pods_get_ready_nothing_is_skipped_and_nothing_left(world: World) -> None:
    node(world)

    assert (why_no_pods(world), why_no_rollouts(world)) == ("", "")
    assert not [*world.admin.find(kinds.DEPLOYMENT, ""), *world.admin.find(kinds.ROLLOUT, "")]


def test_without_a_node_that_is_ready_nothing_is_tried(world: World) -> None:
    world.fake.put("Node", "able", spec={"unschedulable": True}, status=_READY)

    assert why_no_pods(world) == "no node of this cluster is ready to run pods"


def test_an_image_that_cannot_be_pulled_is_named_and_how_to_name_another(world: World) -> None:
    node(world)
    world.fake.broken_images.add(ONE)

    why = why_no_pods(world)

    assert "ImagePullBackOff" in why
    assert f"of {ONE} (VAKHTA_TEST_IMAGES names others)" in why


@pytest.mark.parametrize(("waited", "stuck"), [(5.0, False), (15.0, True)])
def test_a_pod_that_fits_nowhere_is_given_a_moment(waited: float, *, stuck: bool) -> None:
    pod: KubernetesObject = {"status": {"conditions": [_PENDING]}}

    assert bool(why_stuck(pod, waited)) is stuck


def test_a_reason_is_looked_for_once_and_each_test_skipped_for_it() -> None:
    able, asked = Able(), []

    def ask() -> str:
        asked.append("pods")
        return "no node"

    for _ in range(2):
        with pytest.raises(pytest.skip.Exception, match="no node"):
            able.needs("pods", ask)

    assert asked == ["pods"]
