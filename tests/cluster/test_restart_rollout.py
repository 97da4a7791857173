"""restart of an Argo Rollout, by its own field; its controller deletes one pod at a time."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bot.core.errors import Conflict
from bot.core.plan import Result
from bot.workloads.objects import kinds, run_markers
from bot.workloads.objects.argo_rollout import Phase
from commands.abort import AbortArgs as Abort
from commands.abort import action as abort
from commands.restart import RestartArgs, action
from tests.cluster import manifests
from tests.cluster.manifests import ONE
from tests.cluster.rollouts import canary, settled, state
from tests.cluster.wedges import Wedged
from tests.cluster.world import World
from tests.fakes.ticking import Ticking

ARGS = RestartArgs(service="prod/api")
_CANARY: Mapping[str, Any] = {"canary": {"steps": []}}


def uids(world: World) -> set[str]:
    found = [one["metadata"] for one in world.every(kinds.POD)]
    return {one["uid"] for one in found if not one.get("deletionTimestamp")}


def test_every_pod_is_replaced_and_no_new_version_begins(world: World) -> None:
    stable = settled(world, strategy=_CANARY, replicas=3)
    before, template = uids(world), world.get(kinds.ROLLOUT, "api")["spec"].get("template")

    plan = world.plan(action, ARGS)
    outcome = world.run(action, ARGS, plan)

    now = world.get(kinds.ROLLOUT, "api")
    assert (
        "Argo Rollouts replaces no more pods at once than may be unavailable, and waits for disruption budgets."
        in plan.effect
    )
    assert (outcome.result, outcome.degraded) == (Result.DONE, "")
    assert before.isdisjoint(uids(world))
    assert (now["spec"].get("template"), now["status"]["stableRS"]) == (template, stable.stable)
    assert now["status"]["restartedAt"] == now["spec"]["restartAt"]
    assert run_markers.written_by(now, "5f" * 16)


def test_by_a_clock_that_is_behind_the_cluster_s_every_pod_is_replaced_too(world: World) -> None:
    settled(world, strategy=_CANARY, replicas=2)
    before, behind = uids(world), timedelta(minutes=5)
    world.clock = Ticking(at=world.clock.at - behind)
    world.now = lambda: datetime.now(UTC) - behind

    outcome = world.run(action, ARGS)

    assert (outcome.result, outcome.degraded) == (Result.DONE, "")
    assert before.isdisjoint(uids(world))


def test_one_that_waits_halfway_is_restarted_and_goes_on_waiting(world: World) -> None:
    canary(world, {"setWeight": 50}, {"pause": {}}, replicas=2)
    before = uids(world)

    outcome = world.run(action, ARGS)

    assert (outcome.result, outcome.degraded) == (Result.DONE, "")
    assert before.isdisjoint(uids(world))
    assert world.get(kinds.ROLLOUT, "api")["status"]["phase"] == "Paused"


@pytest.mark.parametrize("replicas", [1, 4])
def test_one_that_was_aborted_is_restarted_and_as_well_as_it_was(world: World, replicas: int) -> None:
    """Argo Rollouts calls it degraded all along, and says that it is restarted before the last pods are there again."""
    before = canary(world, {"setWeight": 50}, {"pause": {}}, replicas=replicas)
    world.run(abort, Abort(service="prod/api"))
    older = uids(world)

    outcome = world.run(action, ARGS)

    now = state(world)
    assert (outcome.result, outcome.message) == (Result.DONE, f"Rollout {world.namespace}/api is restarted and ready.")
    assert outcome.degraded == ""
    assert older.isdisjoint(uids(world))
    assert (now.phase, now.aborted, now.stable) == (Phase.DEGRADED, True, before.stable)
    assert world.get(kinds.ROLLOUT, "api")["status"]["availableReplicas"] == replicas


def test_one_that_was_aborted_and_whose_pods_do_not_come_back_is_not_well(world: World) -> None:
    canary(world, {"setWeight": 50}, {"pause": {}}, replicas=2)
    world.run(abort, Abort(service="prod/api"))
    world.fake.broken_images.add(ONE)

    outcome = world.run(action, ARGS)

    assert "container api: ErrImagePull" in outcome.degraded


def test_one_that_goes_wrong_while_it_is_restarted_is_told_with_that(world: World) -> None:
    canary(world, {"setWeight": 50}, {"pause": {}}, replicas=2)
    world.place(kind=kinds.ROLLOUT, cluster=Wedged(world, then=lambda: aborted(world)))

    outcome = world.run(action, ARGS)

    assert outcome.degraded.startswith("Argo Rollouts says that it is degraded: RolloutAborted")


def aborted(world: World) -> None:
    world.merge(kinds.ROLLOUT, "api", {"status": {"abort": True}}, sub="status")
    world.until(lambda: state(world).phase is Phase.DEGRADED, "the abort")


def test_while_a_replica_is_unavailable_none_is_restarted_and_that_is_told(world: World) -> None:
    settled(world, strategy=_CANARY, replicas=2)
    world.create(kinds.QUOTA, "tight", **manifests.quota(pods="2"))
    assert world.fake, "on a real cluster it would be waited for in real minutes"
    world.merge(kinds.ROLLOUT, "api", {"spec": {"replicas": 3}}, sub="scale")

    outcome = world.run(action, ARGS)

    assert outcome.degraded.endswith("after the change: its controller still has pods to restart.")


def test_of_two_people_with_the_same_plan_one_restarts_and_the_other_is_told_that_it_moved(world: World) -> None:
    settled(world, strategy=_CANARY, replicas=2)
    plan = world.plan(action, ARGS)

    world.run(action, ARGS, plan, run="aa" * 16)
    with pytest.raises(Conflict, match="was restarted or changed since"):
        world.run(action, ARGS, plan, run="bb" * 16)

    assert world.probe(action, ARGS, plan, run="aa" * 16).result is Result.DONE
