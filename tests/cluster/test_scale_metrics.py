"""scale with an autoscaler that has no metrics or cannot scale: plan and outcome say what still holds."""

from __future__ import annotations

from bot.workloads.objects import kinds
from bot.workloads.objects.status import condition
from tests.cluster import manifests
from tests.cluster.scale_world import SCALE, deployed, refused, replicas, settled, to
from tests.cluster.test_scale_autoscalers import bounds, scaled_by_hpa, scaled_by_keda
from tests.cluster.world import World

_EACH = {"type": "AverageValue", "averageValue": "1"}
#: A metric that nobody serves, on a real cluster either.
_UNKNOWN = {"type": "External", "external": {"metric": {"name": "nobody-has-this"}, "target": _EACH}}
_BLIND = "has no metrics (FailedGetExternalMetric): floor and ceiling hold, and between them it does nothing."
_STAYS = "So the count does not fall before they are back. A lower ceiling, by `max`, reduces it at once."


def blind(world: World, *, count: int = 4, least: int = 3, most: int = 6) -> None:
    """Its HPA has said that its metrics cannot be had."""
    deployed(world, replicas=count)
    world.create(kinds.HPA, "api", **manifests.hpa(least=least, most=most, metrics=[_UNKNOWN]))
    world.until(lambda: why_blind(world) == "FailedGetExternalMetric", "it has no metrics")


def why_blind(world: World) -> str:
    return str(condition(world.get(kinds.HPA, "api"), "ScalingActive").get("reason", ""))


def test_without_metrics_a_lower_floor_brings_no_fewer_and_both_plan_and_outcome_say_so(world: World) -> None:
    blind(world)

    plan = world.plan(SCALE, to(2))
    outcome = world.run(SCALE, to(2), plan)

    assert f"HorizontalPodAutoscaler {world.namespace}/api {_BLIND}" in plan.effect
    assert _STAYS in plan.effect
    assert outcome.message == (
        "prod/api is kept between 2 and 6. 4 replicas are desired now,"
        " because its autoscaler has no metrics (FailedGetExternalMetric)."
    )
    assert (bounds(world), replicas(world)) == ((2, 6), 4)


def test_without_metrics_a_lower_ceiling_brings_fewer_at_once(world: World) -> None:
    blind(world)

    plan = world.plan(SCALE, to(2, 3))
    outcome = world.run(SCALE, to(2, 3), plan)

    assert "It goes to 3 replicas at once." in plan.effect
    assert outcome.message.startswith("prod/api is kept between 2 and 3. 3 replicas are desired now,")
    assert (outcome.degraded, bounds(world), replicas(world)) == ("", (2, 3), 3)


def test_without_metrics_the_floor_holds(world: World) -> None:
    blind(world)

    plan = world.plan(SCALE, to(5))
    outcome = world.run(SCALE, to(5), plan)
    world.merge(kinds.DEPLOYMENT, "api", {"spec": {"replicas": 2}}, sub="scale")

    assert f"HorizontalPodAutoscaler {world.namespace}/api {_BLIND}" in plan.effect
    assert _STAYS not in plan.effect
    assert (outcome.message, outcome.degraded) == ("prod/api is kept between 5 and 6.", "")
    world.until(lambda: replicas(world) == 5, "the floor is kept", within_s=120.0)


def test_without_metrics_a_floor_that_is_there_already_is_refused_with_why_nothing_falls(world: World) -> None:
    blind(world)

    assert refused(world, to(3)).endswith(f"{_BLIND} {_STAYS}")


def test_fewer_than_its_floor_are_not_asked_of_an_hpa_that_would_be_on_again(world: World) -> None:
    """It would be brought to the floor as soon as there is one."""
    scaled_by_hpa(world, least=3)
    world.merge(kinds.DEPLOYMENT, "api", {"spec": {"replicas": 0}}, sub="scale")
    settled(world, 0)

    said = refused(world, to(2))

    assert "switches on with the first replica, and its floor is 3. Nothing was done." in said
    assert said.endswith("Lower the floor first: `scale prod/api 2 max 10`.")
    assert replicas(world) == 0


def test_more_than_the_floor_that_the_metrics_ask_for_are_told_in_the_outcome(world: World) -> None:
    scaled_by_hpa(world)
    world.fake.hpa_wants["api"] = 6
    world.fake.settle()

    assert world.run(SCALE, to(4)).message == "prod/api is kept between 4 and 10. 6 replicas are desired now."


def test_an_hpa_that_cannot_scale_at_all_says_that_not_even_its_floor_holds(world: World) -> None:
    scaled_by_hpa(world)
    fake = world.fake
    fake.settle()
    fake.controllers = []
    able = {"type": "AbleToScale", "status": "False", "reason": "FailedUpdateScale", "message": "conflict"}
    world.merge(kinds.HPA, "api", {"status": {"conditions": [able]}}, sub="status")

    plan = world.plan(SCALE, to(5))

    told = "cannot scale (FailedUpdateScale): not even its floor holds before that ends."
    assert f"HorizontalPodAutoscaler {world.namespace}/api {told}" in plan.effect
    assert "3 replicas are desired" in world.run(SCALE, to(5), plan).degraded


def test_with_keda_whose_triggers_fail_nothing_falls_either(world: World) -> None:
    scaled_by_keda(world)
    world.fake.no_metrics.add("api")
    world.merge(kinds.SCALED, "api", {"metadata": {"annotations": {"team": "shop"}}})
    world.fake.settle()
    world.merge(kinds.DEPLOYMENT, "api", {"spec": {"replicas": 5}}, sub="scale")
    world.fake.settle()

    plan = world.plan(SCALE, to(1))
    outcome = world.run(SCALE, to(1), plan)

    assert f"ScaledObject {world.namespace}/api {_BLIND}" in plan.effect
    assert _STAYS in plan.effect
    assert outcome.message.startswith(
        "prod/api is kept between 1 and 10. 5 replicas are desired now, because its autoscaler"
    )


def test_with_keda_what_its_fallback_asks_for_meanwhile_is_said(world: World) -> None:
    scaled_by_keda(world)
    world.fake.no_metrics.add("api")
    world.merge(kinds.SCALED, "api", {"spec": {"fallback": {"failureThreshold": 3, "replicas": 6}}})
    world.fake.settle()

    plan = world.plan(SCALE, to(4))
    outcome = world.run(SCALE, to(4), plan)

    told = f"Triggers of ScaledObject {world.namespace}/api fail; its fallback wants 6 replicas meanwhile."
    assert told in plan.effect
    assert outcome.message == "prod/api is kept between 4 and 10. 6 replicas are desired now."


def test_a_scaledobject_that_keda_cannot_work_with_says_so(world: World) -> None:
    scaled_by_keda(world)
    world.fake.controllers = []
    ready = {"type": "Ready", "status": "False", "reason": "ScaledObjectCheckFailed", "message": "no such target"}
    world.merge(kinds.SCALED, "api", {"status": {"conditions": [ready]}}, sub="status")

    plan = world.plan(SCALE, to(5))

    told = "cannot scale (ScaledObjectCheckFailed): not even its floor holds before that ends."
    assert f"ScaledObject {world.namespace}/api {told}" in plan.effect
