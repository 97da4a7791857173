"""scale of an Argo Rollout by its own /scale: done when Healthy, or in the phase that it had before."""

from __future__ import annotations

from typing import Any

import pytest

from bot.core.kubernetes import KubernetesObject
from bot.core.plan import Result
from bot.core.site import ReplicaLimits
from bot.workloads.objects import kinds, run_markers
from tests.cluster import manifests
from tests.cluster.scale_world import SCALE, Meddled, refused, replicas, to
from tests.cluster.world import World


@pytest.fixture
def rollout(world: World) -> World:
    """`prod/api` is one, of which the tests themselves play the controller: it is about what is made of its status."""
    assert world.fake
    world.fake.controllers = []
    world.create(kinds.ROLLOUT, "api", **manifests.rollout(replicas=3))
    world.place(kind=kinds.ROLLOUT)
    standing(world, 3)
    return world


def standing(world: World, count: int, phase: str = "Healthy", **more: Any) -> KubernetesObject:
    """What Argo Rollouts says of it."""
    generation = world.get(kinds.ROLLOUT, "api")["metadata"]["generation"]
    counts = {"replicas": count, "readyReplicas": count, "availableReplicas": count, "updatedReplicas": count}
    hashes = {"stableRS": "5c9", "currentPodHash": "5c9"}
    status = {"observedGeneration": str(generation), "phase": phase, **counts, **hashes, **more}
    return world.merge(kinds.ROLLOUT, "api", {"status": status}, sub="status", by="argo-rollouts")


def test_it_is_scaled_through_its_own_scale(rollout: World) -> None:
    plan = rollout.plan(SCALE, to(5))
    rollout.place(kind=kinds.ROLLOUT, cluster=Meddled(rollout, after=lambda: standing(rollout, 5)))

    outcome = rollout.run(SCALE, to(5), plan)

    assert (outcome.result, outcome.degraded, replicas(rollout, kinds.ROLLOUT)) == (Result.DONE, "", 5)
    assert run_markers.written_by(rollout.get(kinds.ROLLOUT, "api"), "5f" * 16)
    assert [call.path.rpartition("/")[2] for call in rollout.fake.writes()[-2:]] == ["scale", "status"]


def test_in_the_middle_of_a_canary_it_is_done_in_the_phase_that_it_was_in(rollout: World) -> None:
    paused = {"currentPodHash": "7f4", "message": "CanaryPauseStep"}
    standing(rollout, 3, "Paused", **paused)
    plan = rollout.plan(SCALE, to(5))
    after = {**paused, "replicas": 6}
    rollout.place(kind=kinds.ROLLOUT, cluster=Meddled(rollout, after=lambda: standing(rollout, 5, "Paused", **after)))

    outcome = rollout.run(SCALE, to(5), plan)

    assert any("is in progress" in said for said in plan.effect)
    assert (outcome.result, outcome.degraded) == (Result.DONE, "")


def test_one_that_falls_into_another_phase_is_not_done(rollout: World) -> None:
    plan = rollout.plan(SCALE, to(5))
    said = {"message": "ProgressDeadlineExceeded: api has timed out progressing"}
    rollout.place(kind=kinds.ROLLOUT, cluster=Meddled(rollout, after=lambda: standing(rollout, 5, "Degraded", **said)))

    outcome = rollout.run(SCALE, to(5), plan)

    assert outcome.degraded.endswith("Degraded, ProgressDeadlineExceeded: api has timed out progressing.")


def test_one_whose_controller_has_not_seen_it_is_waited_for(rollout: World) -> None:
    plan = rollout.plan(SCALE, to(5))
    said = {"observedGeneration": "1"}
    rollout.place(kind=kinds.ROLLOUT, cluster=Meddled(rollout, after=lambda: standing(rollout, 5, **said)))

    outcome = rollout.run(SCALE, to(5), plan)

    assert outcome.degraded.endswith("its controller has not seen the change yet.")


def test_a_blue_green_one_in_flight_runs_twice_as_many(rollout: World) -> None:
    strategy = {"strategy": {"canary": None, "blueGreen": {"activeService": "api"}}}
    rollout.merge(kinds.ROLLOUT, "api", {"spec": strategy})
    standing(rollout, 3, "Paused", currentPodHash="7f4")

    plan = rollout.plan(SCALE, to(4))

    assert "It is blue-green: until then up to twice as many pods run." in plan.effect


def test_a_paused_one_is_refused(rollout: World) -> None:
    rollout.merge(kinds.ROLLOUT, "api", {"spec": {"paused": True}})

    assert "is paused (spec.paused)" in refused(rollout, to(5))


def test_of_one_that_refers_to_a_deployment_the_pods_of_that_count(rollout: World) -> None:
    """And the Deployment itself, which it holds at 0, is left alone."""
    rollout.create(kinds.DEPLOYMENT, "api", **manifests.deployment(replicas=0))
    named = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "api"}
    rollout.merge(kinds.ROLLOUT, "api", {"spec": {"template": None, "selector": None, "workloadRef": named}})
    standing(rollout, 3)
    rollout.create(kinds.QUOTA, "team", **manifests.quota(requests_cpu="3m"))

    plan = rollout.plan(SCALE, to(6))

    rollout.place(kind=kinds.ROLLOUT, replicas=ReplicaLimits(step=9))

    assert plan.preconditions["way"] == "workload"
    assert "3m of 3m requests.cpu is left; they would take 4m." in refused(rollout, to(7))
