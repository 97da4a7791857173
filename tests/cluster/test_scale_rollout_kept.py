"""scale of an Argo Rollout with its controller: stable, in the middle of a canary, and blue-green."""

from __future__ import annotations

from bot.core.plan import Result
from bot.workloads.objects import kinds
from tests.cluster import manifests, rollouts
from tests.cluster.rollouts import PAUSE, weight
from tests.cluster.scale_world import SCALE, replicas, to
from tests.cluster.world import World

_STEPS = (weight(50), PAUSE)


def test_a_stable_one_grows_and_shrinks(world: World) -> None:
    rollouts.settled(world, strategy={"canary": {"steps": list(_STEPS)}}, replicas=2)

    up = world.run(SCALE, to(4))
    down = world.run(SCALE, to(2), run="6a" * 16)

    assert (up.result, up.degraded, down.degraded) == (Result.DONE, "", "")
    assert replicas(world, kinds.ROLLOUT) == 2


def test_in_the_middle_of_a_canary_both_versions_grow_and_the_step_stays(world: World) -> None:
    before = rollouts.canary(world, *_STEPS, replicas=4)

    plan = world.plan(SCALE, to(6))
    outcome = world.run(SCALE, to(6), plan)

    after = rollouts.state(world)
    assert any("is in progress" in said for said in plan.effect)
    assert (outcome.result, outcome.degraded) == (Result.DONE, "")
    assert (after.step, after.phase, replicas(world, kinds.ROLLOUT)) == (before.step, before.phase, 6)


def test_beside_its_second_version_a_blue_green_one_runs_twice_as_many(world: World) -> None:
    rollouts.blue_green(world)

    plan = world.plan(SCALE, to(3))
    outcome = world.run(SCALE, to(3), plan)

    assert "It is blue-green: until then up to twice as many pods run." in plan.effect
    assert (outcome.result, outcome.degraded) == (Result.DONE, "")


def test_with_an_autoscaler_it_is_that_one_s_floor(world: World) -> None:
    rollouts.settled(world, strategy={"canary": {"steps": list(_STEPS)}}, replicas=2)
    world.create(kinds.HPA, "api", **manifests.hpa(least=2, most=9, kind="Rollout"))

    outcome = world.run(SCALE, to(4))

    assert (outcome.degraded, world.get(kinds.HPA, "api")["spec"]["minReplicas"]) == ("", 4)
    assert replicas(world, kinds.ROLLOUT) == 4
