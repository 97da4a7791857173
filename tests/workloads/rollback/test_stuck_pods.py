"""Which pods of a StatefulSet block a rollback and have to be deleted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bot.core.kubernetes import KubernetesObject
from bot.workloads.objects import kinds
from bot.workloads.rollback.revisions import REVISION_LABEL, Revision
from bot.workloads.rollback.stuck_pods import StuckPodRemoval, stuck_pods
from tests.cluster.wedges import Wedged
from tests.cluster.world import World, fake_world

_GOAL = Revision(
    number=1, hash="good", name="db-good", uid="1", label=(REVISION_LABEL, "db-good"), template={}, kept={}
)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """db-0 is ready and db-1 is not, both of a bad revision; db-2 is of the good one, and not ready either."""
    with fake_world(tmp_path) as made:
        made.fake.held_still = True
        made.place(kind=kinds.STATEFULSET, name="db")
        pod(made, "db-0", "db-bad", ready=True)
        pod(made, "db-1", "db-bad")
        pod(made, "db-2", "db-good")
        yield made


def pod(world: World, name: str, revision: str, *, ready: bool = False) -> None:
    labels = {"app": "db", REVISION_LABEL: revision}
    world.fake.put("Pod", name, world.namespace, metadata={"labels": labels}, spec={"containers": [{"name": "db"}]})
    said = {"conditions": [{"type": "Ready", "status": "True" if ready else "False"}]}
    world.fake.change("Pod", name, {"status": said}, namespace=world.namespace, sub="status")


def statefulset(world: World, *, partition: int = 0, observed: int = 2, update: str = "db-good") -> KubernetesObject:
    strategy: dict[str, Any] = {"type": "RollingUpdate", "rollingUpdate": {"partition": partition}}
    spec = {"replicas": 3, "selector": {"matchLabels": {"app": "db"}}, "updateStrategy": strategy}
    meta = {"name": "db", "namespace": world.namespace, "generation": 2, "uid": "2"}
    return {"metadata": meta, "spec": spec, "status": {"observedGeneration": observed, "updateRevision": update}}


def names(world: World, thing: KubernetesObject) -> list[str]:
    return [one["metadata"]["name"] for one in stuck_pods(world.places["prod/api"], thing, _GOAL)]


def test_a_pod_of_another_revision_that_is_not_ready_holds_it_up(world: World) -> None:
    assert names(world, statefulset(world)) == ["db-1"]


def test_pods_below_the_partition_do_not_move_and_hold_nothing_up(world: World) -> None:
    assert names(world, statefulset(world, partition=1)) == ["db-1"]
    assert names(world, statefulset(world, partition=2)) == []


def test_before_its_controller_has_seen_the_change_nothing_is_said(world: World) -> None:
    assert names(world, statefulset(world, observed=1)) == []


def test_on_its_way_to_what_somebody_has_deployed_since_nothing_holds_it_up(world: World) -> None:
    assert names(world, statefulset(world, update="db-newer")) == []


def test_each_is_deleted_once_and_no_more_than_was_announced(world: World) -> None:
    pod(world, "db-3", "db-bad")
    cluster = Wedged(world)
    site = world.place(kind=kinds.STATEFULSET, name="db", cluster=cluster)
    look = StuckPodRemoval(site, _GOAL, most=1, written=statefulset(world))

    look(statefulset(world))
    look(statefulset(world))

    assert cluster.deleted == ["db-1"]
    assert list(look.deleted.values()) == ["db-1"]


def test_what_cannot_be_deleted_is_told_and_not_tried_again(world: World) -> None:
    world.fake.rights.denied["vakhta"] = {("delete", "pods")}
    cluster = Wedged(world)
    look = StuckPodRemoval(
        world.place(kind=kinds.STATEFULSET, name="db", cluster=cluster), _GOAL, most=3, written=statefulset(world)
    )

    look(statefulset(world))
    standing = look(statefulset(world))

    assert "; pod db-1 could not be deleted: Cluster main answered 403: " in standing.message
    assert cluster.deleted == ["db-1"]
