"""A rollout is judged by the pods of its own revision, and by what happens to them while it soaks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bot.core.kubernetes import KubernetesObject
from bot.workloads.objects import kinds
from bot.workloads.objects.pod_progress import PodProgress
from tests.cluster.world import World, fake_world


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with fake_world(tmp_path) as made:
        made.fake.held_still = True
        made.place()
        yield made


def deployment(world: World, *, updated: int = 2, progress: str = "", failure: str = "") -> KubernetesObject:
    """One that has two replicas, of which `updated` are as they should be."""
    conditions = (
        [{"type": "Progressing", "reason": "ProgressDeadlineExceeded", "message": progress}] if progress else []
    )
    conditions += [{"type": "ReplicaFailure", "status": "True", "message": failure}] if failure else []
    return {
        "metadata": {"name": "api", "namespace": world.namespace, "generation": 2},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "api"}}},
        "status": {
            "observedGeneration": 2,
            "replicas": 2,
            "updatedReplicas": updated,
            "availableReplicas": updated,
            "conditions": conditions,
        },
    }


def pod(world: World, name: str, key: str, *, restarts: int = 0, waiting: str = "") -> None:
    state = {"waiting": {"reason": waiting}} if waiting else {"running": {}}
    container: dict[str, Any] = {"name": "api", "restartCount": restarts, "state": state}
    labels = {"app": "api", "pod-template-hash": key}
    world.fake.put("Pod", name, world.namespace, metadata={"labels": labels}, spec={"containers": [{"name": "api"}]})
    world.fake.change(
        "Pod", name, {"status": {"containerStatuses": [container]}}, namespace=world.namespace, sub="status"
    )


def settling(world: World) -> PodProgress:
    return PodProgress(world.places["prod/api"], "pod-template-hash=new", behind="api-old")


def test_only_pods_of_the_revision_that_is_to_run_count(world: World) -> None:
    pod(world, "api-old-1", "old", waiting="ImagePullBackOff")

    assert settling(world)(deployment(world, updated=1)).failed == ""

    pod(world, "api-new-1", "new", waiting="ImagePullBackOff")

    assert settling(world)(deployment(world, updated=1)).failed == "Pod api-new-1, container api: ImagePullBackOff."


def test_older_pods_that_no_label_tells_apart_are_not_judged(world: World) -> None:
    pod(world, "api-new-1", "new", waiting="ImagePullBackOff")
    older = frozenset(one["metadata"]["uid"] for one in world.every(kinds.POD))

    look = PodProgress(world.places["prod/api"], "", older=older)

    assert look(deployment(world, updated=1)).failed == ""
    assert settling(world)(deployment(world, updated=1)).failed != ""


def test_a_deadline_that_names_the_revision_left_behind_is_of_before(world: World) -> None:
    look = settling(world)

    before = look(deployment(world, updated=1, progress='ReplicaSet "api-old" has timed out progressing.'))
    now = look(deployment(world, updated=1, progress='ReplicaSet "api-new" has timed out progressing.'))

    assert (before.failed, before.message) == ("", "no pod is replaced yet")
    assert now.failed == 'It made no progress in time: ReplicaSet "api-new" has timed out progressing.'


def test_why_it_is_held_up_is_told_while_it_waits_and_where_it_is_too_late(world: World) -> None:
    look, late = settling(world), 'ReplicaSet "api-new" has timed out progressing.'

    waiting = look(deployment(world, updated=1, failure="exceeded quota: tight"))
    failed = look(deployment(world, updated=1, failure="exceeded quota: tight", progress=late))

    assert waiting.message == "1 of 2 are of the new revision; exceeded quota: tight"
    assert failed.failed == f"It made no progress in time: {late} exceeded quota: tight."


def test_what_restarts_after_it_came_up_is_not_well_whatever_happened_before(world: World) -> None:
    pod(world, "api-new-1", "new", restarts=5)
    look = settling(world)

    first, second = look(deployment(world)), look(deployment(world))
    pod(world, "api-new-2", "new", restarts=2)
    third = look(deployment(world))

    assert (first.done, second.done, third.done) == (True, True, False)
    assert third.failed == "It became ready, then its containers restarted 2 times."
