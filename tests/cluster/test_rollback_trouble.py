"""rollback: failures around its one write, and workloads that do not get ready after it."""

from __future__ import annotations

import pytest

from bot.core.errors import Conflict, OutcomeUnknown, Rejected
from bot.core.plan import Result
from bot.workloads.objects import kinds, status
from commands.rollback import RollbackArgs, action
from tests.cluster import manifests
from tests.cluster.manifests import ONE, THREE, TWO
from tests.cluster.revising import deploy, deployed, image_of
from tests.cluster.wedges import Died, Wedged
from tests.cluster.world import World

ARGS = RollbackArgs(service="prod/api")
_ONE_BY_ONE = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}


def image(world: World) -> str:
    return image_of(world.get(kinds.DEPLOYMENT, "api"))


def test_who_deploys_between_the_last_look_and_the_write_is_not_overwritten(world: World) -> None:
    deployed(world, ONE, TWO)
    plan = world.plan(action, ARGS)
    cluster = Wedged(world, before=lambda: deploy(world, THREE))
    world.place(cluster=cluster)

    with pytest.raises(Conflict):
        world.run(action, ARGS, plan)

    assert (image(world), cluster.patched) == (THREE, 1)


def test_a_deployment_of_the_same_name_that_came_meanwhile_is_another_one(world: World) -> None:
    def replaced() -> None:
        world.remove(kinds.DEPLOYMENT, "api")
        world.until(lambda: world.admin.get(world.ref(kinds.DEPLOYMENT, "api")) is None, "it is gone")
        world.create(kinds.DEPLOYMENT, "api", **manifests.deployment(image=TWO))

    deployed(world, ONE, TWO)
    plan = world.plan(action, ARGS)
    world.place(cluster=Wedged(world, before=replaced))

    with pytest.raises(Conflict):
        world.run(action, ARGS, plan)

    assert image(world) == TWO


def test_what_was_paused_since_the_plan_is_not_written_to(world: World) -> None:
    deployed(world, ONE, TWO)
    plan = world.plan(action, ARGS)
    world.merge(kinds.DEPLOYMENT, "api", {"spec": {"paused": True}})

    with pytest.raises(Rejected, match="is paused"):
        world.run(action, ARGS, plan)

    assert image(world) == TWO


def test_who_only_scales_between_the_last_look_and_the_write_is_no_hindrance(world: World) -> None:
    deployed(world, ONE, TWO)
    plan = world.plan(action, ARGS)
    scaled = {"spec": {"replicas": 4}}
    world.place(cluster=Wedged(world, before=lambda: world.merge(kinds.DEPLOYMENT, "api", scaled, sub="scale")))

    outcome = world.run(action, ARGS, plan)

    assert (outcome.degraded, image(world)) == ("", ONE)
    assert world.get(kinds.DEPLOYMENT, "api")["status"]["updatedReplicas"] == 4


@pytest.mark.parametrize("end", [OutcomeUnknown("no answer"), Died()], ids=["the answer is lost", "the process dies"])
def test_a_write_of_which_nobody_heard_is_found_and_not_sent_again(world: World, end: BaseException) -> None:
    deployed(world, ONE, TWO)
    plan = world.plan(action, ARGS)
    cluster = Wedged(world, after=end)
    world.place(cluster=cluster)

    with pytest.raises(type(end)):
        world.run(action, ARGS, plan)
    found = world.probe(action, ARGS, plan)

    assert (found.result, cluster.patched, image(world)) == (Result.DONE, 1, ONE)
    assert found.expected_state == {"template": plan.preconditions["goal"]}


def test_a_process_that_dies_before_the_write_has_done_nothing(world: World) -> None:
    def die() -> None:
        raise Died

    deployed(world, ONE, TWO)
    plan = world.plan(action, ARGS)
    world.place(cluster=Wedged(world, before=die))

    with pytest.raises(Died):
        world.run(action, ARGS, plan)

    assert (world.probe(action, ARGS, plan).result, image(world)) == (Result.FAILED, TWO)


def test_a_run_that_somebody_has_deployed_over_is_still_found_by_its_annotation(world: World) -> None:
    deployed(world, ONE, TWO)
    plan = world.plan(action, ARGS)
    world.run(action, ARGS, plan)
    deploy(world, THREE)

    assert world.probe(action, ARGS, plan).result is Result.DONE


def test_an_image_that_is_gone_from_its_registry_is_told_at_once(world: World) -> None:
    deployed(world, ONE, TWO)
    world.fake.broken_images.add(ONE)
    began = world.clock.at

    outcome = world.run(action, ARGS)

    assert outcome.result is Result.DONE
    assert "container api: " in outcome.degraded
    assert "ImagePull" in outcome.degraded
    assert (world.clock.at - began).total_seconds() < 120


def test_pods_of_the_revision_that_is_left_may_be_as_broken_as_they_like(world: World) -> None:
    deployed(world, ONE)
    world.fake.broken_images.add(TWO)
    deploy(world, TWO)
    world.until(
        lambda: any("ImagePullBackOff" in str(pod.get("status")) for pod in world.every(kinds.POD)), "a pod is broken"
    )

    outcome = world.run(action, ARGS)

    assert (outcome.result, outcome.degraded, image(world)) == (Result.DONE, "", ONE)


def test_where_no_history_is_kept_there_is_no_undo_and_the_plan_says_so(world: World) -> None:
    deployed(world, ONE, revisionHistoryLimit=0)
    world.fake.broken_images.add(TWO)
    deploy(world, TWO)
    world.until(lambda: len(world.every(kinds.REPLICASET)) == 2, "the newer revision has begun")

    plan = world.plan(action, ARGS)
    outcome = world.run(action, ARGS, plan)

    assert (plan.undo_command, outcome.degraded, image(world)) == ("", "", ONE)
    assert plan.effect[1] == "There is no undo: the present template is stored nowhere else."
    assert len(world.every(kinds.REPLICASET)) == 1


def test_a_container_that_crashes_again_and_again_is_named(world: World) -> None:
    deployed(world, ONE, TWO)
    world.fake.crashing_images.add(ONE)

    outcome = world.run(action, ARGS)

    assert "container api: CrashLoopBackOff" in outcome.degraded


def test_a_deployment_whose_pods_a_quota_keeps_away_is_not_well_and_says_why(world: World) -> None:
    """It ends with our patience: Kubernetes sets no deadline to a return that never begins to move."""
    deployed(world, ONE, TWO, strategy=_ONE_BY_ONE, progressDeadlineSeconds=1)
    world.create(kinds.QUOTA, "tight", **manifests.quota(pods="3"))
    world.until(lambda: world.get(kinds.QUOTA, "tight").get("status", {}).get("used"), "the quota has counted")
    world.hurry()

    outcome = world.run(action, ARGS)

    assert (outcome.result, image(world)) == (Result.DONE, ONE)
    assert "exceeded quota: tight" in outcome.degraded
    assert " after the change: " in outcome.degraded


def test_a_rollback_that_makes_no_progress_in_time_says_so_and_why(world: World) -> None:
    deployed(world, ONE, TWO, strategy=_ONE_BY_ONE, progressDeadlineSeconds=5)
    world.fake.put("Node", "small", status={"allocatable": {"pods": "3"}})
    for pod in world.every(kinds.POD):
        world.fake.change("Pod", pod["metadata"]["name"], {"spec": {"nodeName": "small"}}, namespace=world.namespace)

    outcome = world.run(action, ARGS)

    assert outcome.degraded.startswith("It made no progress in time: ReplicaSet")
    assert "Unschedulable, 0/1 nodes are available: 1 Too many pods" in outcome.degraded


def test_a_deadline_that_the_revision_before_has_missed_is_not_held_against_the_one_gone_back_to(world: World) -> None:
    deployed(world, ONE, progressDeadlineSeconds=2)
    world.fake.broken_images.add(TWO)
    deploy(world, TWO)
    world.until(
        lambda: status.condition(world.get(kinds.DEPLOYMENT, "api"), "Progressing").get("status") == "False",
        "its deadline is over",
    )

    outcome = world.run(action, ARGS)

    assert (outcome.degraded, image(world)) == ("", ONE)


def test_who_takes_the_rollback_back_while_it_is_watched_is_told_and_it_is_not_called_done(world: World) -> None:
    deployed(world, ONE, TWO)
    world.place(cluster=Wedged(world, then=lambda: deploy(world, TWO)))

    outcome = world.run(action, ARGS)

    assert (outcome.result, image(world)) == (Result.DONE, TWO)
    assert outcome.degraded == "Its template was changed since by somebody."
