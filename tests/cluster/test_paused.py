"""A paused Deployment: its count takes effect at once, its template waits, and the messages say so."""

from __future__ import annotations

import pytest

from bot.core.errors import Rejected
from bot.core.kubernetes import PatchType
from bot.core.plan import Outcome
from bot.workloads.objects import kinds
from commands.restart import RestartArgs as Restart
from commands.restart import action as restart
from commands.status import StatusArgs as Status
from commands.status import action as status
from tests.cluster import manifests
from tests.cluster.manifests import ONE, TWO
from tests.cluster.rollouts import PAUSE, canary, weight
from tests.cluster.scale_world import SCALE, deployed, refused, replicas, to
from tests.cluster.world import World

_PAUSED = {"spec": {"paused": True}}
_RESUME = "`kubectl rollout resume deployment/api`"


def asked(world: World) -> Outcome:
    return world.run(status, Status(service="prod/api"))


def paused(world: World) -> None:
    deployed(world)
    world.merge(kinds.DEPLOYMENT, "api", _PAUSED)
    world.until(lambda: seen(world), "the pause is seen")


def seen(world: World) -> bool:
    return "DeploymentPaused" in str(world.get(kinds.DEPLOYMENT, "api").get("status"))


def halfway(world: World) -> None:
    """Somebody paused it when the first pod of its second template was there."""
    deployed(world, replicas=4, strategy={"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}, minReadySeconds=1)
    steps = [
        {"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": TWO},
        {"op": "replace", "path": "/spec/minReadySeconds", "value": 300},
    ]
    world.patch(kinds.DEPLOYMENT, "api", steps, how=PatchType.JSON)
    world.until(lambda: counts(world)[1] == 1, "the first new pod")
    world.merge(kinds.DEPLOYMENT, "api", {"spec": {"paused": True, "minReadySeconds": 0}})
    world.until(lambda: counts(world) == (5, 1, 5), "the pause, with all pods available")


def counts(world: World) -> tuple[int, int, int]:
    state = world.get(kinds.DEPLOYMENT, "api").get("status") or {}
    return state.get("replicas", 0), state.get("updatedReplicas", 0), state.get("availableReplicas", 0)


@pytest.mark.parametrize("count", [5, 2])
def test_it_is_scaled_at_once_and_the_plan_says_so(world: World, count: int) -> None:
    paused(world)

    plan = world.plan(SCALE, to(count))
    outcome = world.run(SCALE, to(count), plan)

    told = f"It is paused: the scale takes effect at once; changes of its template wait for {_RESUME}."
    assert told in plan.effect
    assert (outcome.message, outcome.degraded) == (f"prod/api is scaled to {count}.", "")
    assert counts(world) == (count, count, count)
    assert world.get(kinds.DEPLOYMENT, "api")["spec"]["paused"] is True


def test_what_was_changed_in_its_template_is_not_rolled_out_by_scaling_it(world: World) -> None:
    paused(world)
    world.patch(kinds.DEPLOYMENT, "api", manifests.images("api", TWO), how=PatchType.STRATEGIC)
    world.until(lambda: counts(world)[1] == 0, "its new template is seen")

    outcome = world.run(SCALE, to(5))

    images = {one["spec"]["containers"][0]["image"] for one in world.every(kinds.POD)}
    assert (outcome.degraded, counts(world), images) == ("", (5, 0, 5), {ONE})


@pytest.mark.parametrize("count", [8, 2])
def test_between_two_templates_the_pods_of_both_are_scaled(world: World, count: int) -> None:
    halfway(world)

    plan = world.plan(SCALE, to(count))
    outcome = world.run(SCALE, to(count), plan)

    assert any("It is paused between two templates: the pods of both are scaled at once" in one for one in plan.effect)
    assert (outcome.degraded, replicas(world)) == ("", count)
    assert counts(world)[2] >= count


def test_one_that_was_never_rolled_out_gets_its_first_pods_with_the_resume(world: World) -> None:
    world.needs_pods()
    world.create(kinds.DEPLOYMENT, "api", **manifests.deployment(paused=True))
    world.place()
    world.until(lambda: seen(world), "the pause is seen")

    plan = world.plan(SCALE, to(5))
    outcome = world.run(SCALE, to(5), plan)
    before = counts(world)
    world.merge(kinds.DEPLOYMENT, "api", {"spec": {"paused": False}})

    assert f"It is paused and was never rolled out: its first pods are created after {_RESUME}." in plan.effect
    assert outcome.message == "prod/api is scaled to 5. It is paused: its first pods are created when it is resumed."
    assert (outcome.degraded, before) == ("", (0, 0, 0))
    world.until(lambda: counts(world) == (5, 5, 5), "its first pods")


def test_a_rollout_that_is_paused_by_hand_is_not_scaled_because_nobody_would(world: World) -> None:
    canary(world, weight(25), PAUSE)
    world.merge(kinds.ROLLOUT, "api", _PAUSED)

    assert "is paused (spec.paused): Argo Rollouts does not scale it before it is resumed." in refused(world, to(5))


def test_it_is_not_restarted_before_it_is_resumed(world: World) -> None:
    paused(world)

    with pytest.raises(Rejected, match="is paused, so no pod would be replaced"):
        world.plan(restart, Restart(service="prod/api"))


def test_status_says_that_it_is_paused_and_is_not_followed(world: World) -> None:
    paused(world)

    outcome = asked(world)

    assert outcome.message.splitlines()[:2] == [
        f"Deployment {world.namespace}/api: paused by hand (spec.paused), 3 of 3 are available.",
        f"Changes of its template are rolled out after {_RESUME}.",
    ]
    assert not outcome.live


def test_status_says_how_many_of_its_pods_are_of_the_older_template(world: World) -> None:
    halfway(world)

    told = asked(world).message

    assert f"4 of its 5 pods have an older template; they are replaced after {_RESUME}." in told


def test_status_of_one_that_was_never_rolled_out_says_when_its_pods_come(world: World) -> None:
    world.create(kinds.DEPLOYMENT, "api", **manifests.deployment(paused=True))
    world.place()

    outcome = asked(world)

    assert f"It was never rolled out: its first pods are created after {_RESUME}." in outcome.message
    assert not outcome.live
