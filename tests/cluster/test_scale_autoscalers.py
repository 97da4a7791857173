"""scale, where something else scales already: its floor and ceiling are changed, and whoever takes it back is named."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from bot.core.errors import Conflict
from bot.core.kubernetes import ResourceAccess
from bot.core.plan import Result
from bot.workloads.objects import kinds, run_markers
from tests.cluster import manifests
from tests.cluster.scale_world import SCALE, Meddled, deployed, refused, replicas, settled, to
from tests.cluster.world import World

_RUN = "5f" * 16
_PAUSED = "autoscaling.keda.sh/paused-replicas"


def scaled_by_hpa(world: World, *, least: int = 2, most: int = 10) -> None:
    deployed(world)
    world.create(kinds.HPA, "api", **manifests.hpa(least=least, most=most))


def scaled_by_keda(world: World, **notes: str) -> None:
    """Only the fake plays KEDA. `notes`: its annotations, an underscore for each hyphen."""
    fake = world.fake
    deployed(world)
    annotations = {f"autoscaling.keda.sh/{name.replace('_', '-')}": value for name, value in notes.items()}
    body = manifests.scaled_object(least=2, most=10)
    world.create(kinds.SCALED, "api", metadata={"annotations": annotations}, **body)
    fake.settle()


def bounds(world: World) -> tuple[int, int]:
    spec = world.get(kinds.HPA, "api")["spec"]
    return spec["minReplicas"], spec["maxReplicas"]


def keda(world: World) -> tuple[int, int, str | None]:
    found = world.get(kinds.SCALED, "api")
    spec, notes = found["spec"], found["metadata"].get("annotations") or {}
    return spec["minReplicaCount"], spec["maxReplicaCount"], notes.get(_PAUSED)


def shown(plan: Any) -> dict[str, str]:
    return {name: value for name, value in plan.preconditions.items() if name not in plan.hidden}


def test_between_the_bounds_of_an_hpa_its_floor_is_raised(world: World) -> None:
    scaled_by_hpa(world)

    plan = world.plan(SCALE, to(5))
    outcome = world.run(SCALE, to(5), plan)

    assert plan.effect[0].endswith("scales it, so that its bounds are changed, and not the workload.")
    assert plan.effect[1] == "Floor: at least 5, instead of 2."
    assert shown(plan) == {"autoscaler": "api", "floor": "2", "ceiling": "10"}
    assert plan.undo_command == "scale prod/api 2 max 10"
    assert (outcome.message, outcome.degraded) == ("prod/api is kept between 5 and 10.", "")
    assert (bounds(world), replicas(world)) == ((5, 10), 5)
    assert world.get(kinds.DEPLOYMENT, "api")["status"]["availableReplicas"] == 5


def test_above_the_ceiling_that_is_raised_as_well(world: World) -> None:
    scaled_by_hpa(world, most=4)

    plan = world.plan(SCALE, to(6))
    outcome = world.run(SCALE, to(6), plan)

    assert "Ceiling: at most 6, instead of 4, because the floor would be above it." in plan.effect
    assert (outcome.degraded, bounds(world)) == ("", (6, 6))
    assert plan.undo_command == "scale prod/api 2 max 4"


def test_the_undo_brings_floor_and_ceiling_back(world: World) -> None:
    scaled_by_hpa(world, most=4)
    done = world.run(SCALE, to(6))

    back = world.plan(SCALE, to(2, 4))
    outcome = world.run(SCALE, to(2, 4), back, run="6a" * 16)

    assert all(back.preconditions[name] == value for name, value in done.expected_state.items())
    assert (outcome.degraded, bounds(world)) == ("", (2, 4))
    assert replicas(world) <= 4


def test_the_undo_of_a_floor_that_somebody_has_changed_since_sees_another(world: World) -> None:
    scaled_by_hpa(world)
    done = world.run(SCALE, to(5))
    world.merge(kinds.HPA, "api", {"spec": {"minReplicas": 7}})

    back = world.plan(SCALE, to(2, 10))

    assert (done.expected_state["floor"], back.preconditions["floor"]) == ("5", "7")


def test_the_hpa_bears_the_run_s_mark(world: World) -> None:
    scaled_by_hpa(world)
    plan = world.plan(SCALE, to(5))
    before = world.probe(SCALE, to(5), plan)

    world.run(SCALE, to(5), plan)

    found = world.get(kinds.HPA, "api")
    assert found["metadata"]["annotations"][run_markers.ANNOTATION] == _RUN
    assert run_markers.owner_of_field(found, "spec", "minReplicas") == f"vakhta-{_RUN}"
    assert (before.result, world.probe(SCALE, to(5), plan).result) == (Result.FAILED, Result.DONE)


def test_a_floor_that_is_there_already_is_refused_with_a_hint(world: World) -> None:
    scaled_by_hpa(world)

    said = refused(world, to(2))

    assert "is kept between 2 and 10 by HorizontalPodAutoscaler" in said
    assert said.endswith("Nothing was done. `scale prod/api 2 max 2` would hold it at 2.")


def test_an_hpa_that_somebody_else_changes_meanwhile_is_moved(world: World) -> None:
    scaled_by_hpa(world)
    plan = world.plan(SCALE, to(5))
    change = {"spec": {"maxReplicas": 12}}
    world.place(cluster=Meddled(world, before=lambda: world.merge(kinds.HPA, "api", change)))

    with pytest.raises(Conflict):
        world.run(SCALE, to(5), plan)

    assert bounds(world) == (2, 12)


def test_an_hpa_whose_status_changes_all_the_time_is_in_nobody_s_way(world: World) -> None:
    scaled_by_hpa(world)
    world.merge(kinds.HPA, "api", {"metadata": {"annotations": {"team": "shop"}}})
    plan = world.plan(SCALE, to(5))
    status = {"status": {"currentReplicas": 3, "desiredReplicas": 3, "conditions": [], "observedGeneration": 9}}
    world.place(cluster=Meddled(world, before=lambda: world.merge(kinds.HPA, "api", status, sub="status")))

    assert world.run(SCALE, to(5), plan).result is Result.DONE
    assert bounds(world) == (5, 10)


def test_0_switches_the_hpa_off_and_the_first_replica_on_again(world: World) -> None:
    scaled_by_hpa(world)
    world.place(replicas=replace(world.places["prod/api"].replicas, minimum=0))

    down = world.plan(SCALE, to(0))
    gone = world.run(SCALE, to(0), down)
    left = replicas(world)
    up = world.plan(SCALE, to(3))
    back = world.run(SCALE, to(3), up, run="6a" * 16)

    assert (down.undo_command, down.approvals_needed) == ("scale prod/api 3", 1)
    assert any("off: it does nothing while there are 0" in said for said in down.effect)
    assert (gone.degraded, left, bounds(world)) == ("", 0, (2, 10))
    assert any("on again, which then keeps it between 2 and 10" in said for said in up.effect)
    assert (back.degraded, replicas(world)) == ("", 3)


def test_a_count_by_hand_that_an_hpa_takes_back_is_told_with_its_name(world: World) -> None:
    """It came to be after the plan, and nobody asked it."""
    deployed(world)
    plan = world.plan(SCALE, to(6))
    made = manifests.hpa(least=2, most=4)
    meddled = Meddled(world, after=lambda: world.create(kinds.HPA, "api", **made))
    world.place(cluster=meddled, soak=timedelta(seconds=30))

    outcome = world.run(SCALE, to(6), plan)

    assert outcome.result is Result.DONE
    assert outcome.degraded == "It was taken back to 4 by the HorizontalPodAutoscaler."


def test_an_hpa_that_does_nothing_is_waited_for_and_told(world: World) -> None:
    scaled_by_hpa(world)
    world.fake.controllers = []

    outcome = world.run(SCALE, to(5))

    assert outcome.degraded.startswith("3 replicas are wanted, and its autoscaler has not acted yet.")


def test_two_autoscalers_of_one_workload_are_refused(world: World) -> None:
    scaled_by_hpa(world)
    world.create(kinds.HPA, "other", **manifests.hpa())

    assert "has more than one autoscaler (api, other), which fight each other." in refused(world, to(5))


def test_an_hpa_that_is_capped_says_so(world: World) -> None:
    fake = world.fake
    deployed(world)
    fake.hpa_wants["api"] = 30
    world.create(kinds.HPA, "api", **manifests.hpa(least=2, most=5))
    fake.settle()

    within, above = world.plan(SCALE, to(4)), world.plan(SCALE, to(5, 8))

    capped = "It wants more than its ceiling of 5 lets it have; `max` raises that."
    assert (capped in within.effect, capped in above.effect) == (True, False)


def test_an_hpa_of_something_else_does_not_count(world: World) -> None:
    deployed(world)
    world.create(kinds.HPA, "web", **manifests.hpa("web"))
    world.create(kinds.HPA, "api", **manifests.hpa("api", kind="StatefulSet"))

    assert world.plan(SCALE, to(5)).preconditions["way"] == "workload"


def test_who_may_not_change_the_autoscaler_is_told_while_planning(world: World) -> None:
    scaled_by_hpa(world)
    fake = world.fake
    fake.rights.denied["vakhta"] = {("patch", "horizontalpodautoscalers")}

    assert "The bot may not patch horizontalpodautoscalers.autoscaling in " in refused(world, to(5))
    assert str(ResourceAccess(verb="patch", group="autoscaling", resource="horizontalpodautoscalers")) in refused(
        world, to(5)
    )


def test_with_keda_it_is_the_scaledobject_and_never_its_hpa(world: World) -> None:
    scaled_by_keda(world)

    plan = world.plan(SCALE, to(5))
    outcome = world.run(SCALE, to(5), plan)

    assert shown(plan) == {"autoscaler": "api", "floor": "2", "ceiling": "10", "paused": "no"}
    assert (outcome.degraded, keda(world), replicas(world)) == ("", (5, 10, None), 5)
    assert not [call for call in world.fake.writes() if "keda-hpa" in call.path]


def test_0_pauses_keda_and_the_undo_ends_the_pause(world: World) -> None:
    scaled_by_keda(world)
    world.place(replicas=replace(world.places["prod/api"].replicas, minimum=0))

    plan = world.plan(SCALE, to(0))
    gone = world.run(SCALE, to(0), plan)
    paused = (keda(world), replicas(world), world.every(kinds.HPA))
    back = world.plan(SCALE, to(2, 10))
    again = world.run(SCALE, to(2, 10), back, run="6a" * 16)

    assert (plan.undo_command, plan.approvals_needed) == ("scale prod/api 2 max 10", 1)
    assert (gone.message, gone.degraded) == ("prod/api is paused at 0.", "")
    assert paused == ((2, 10, "0"), 0, [])
    assert all(back.preconditions[name] == value for name, value in gone.expected_state.items())
    assert (again.degraded, keda(world), replicas(world)) == ("", (2, 10, None), 2)


def test_keda_that_stays_paused_when_it_should_not_is_not_well(world: World) -> None:
    scaled_by_keda(world, paused_replicas="3")
    plan = world.plan(SCALE, to(2, 10))
    fake = world.fake
    fake.controllers = [one for one in fake.controllers if type(one).__name__ != "ScaledObjects"]

    outcome = world.run(SCALE, to(2, 10), plan)

    assert outcome.degraded.startswith(
        "KEDA still says that it is paused; setting the annotation and removing it again"
    )


def test_a_pause_of_somebody_else_is_moved_and_said(world: World) -> None:
    scaled_by_keda(world, paused_replicas="5", paused="false")
    settled(world, 5)

    plan = world.plan(SCALE, to(4))
    outcome = world.run(SCALE, to(4), plan)

    assert "at 4 instead of 5" in plan.effect[0]
    assert plan.undo_command == "scale prod/api 5"
    assert (outcome.degraded, keda(world), replicas(world)) == ("", (2, 10, "4"), 4)


def test_where_keda_is_frozen_the_workload_itself_is_scaled(world: World) -> None:
    scaled_by_keda(world, paused="perhaps")

    plan = world.plan(SCALE, to(5))
    outcome = world.run(SCALE, to(5), plan)

    assert plan.preconditions["way"] == "workload"
    assert (outcome.degraded, replicas(world), keda(world)) == ("", 5, (2, 10, None))


def test_a_floor_that_keda_takes_back_is_told(world: World) -> None:
    scaled_by_keda(world)
    plan = world.plan(SCALE, to(5))
    back = {"spec": {"minReplicaCount": 2}}
    world.place(cluster=Meddled(world, after=lambda: world.merge(kinds.SCALED, "api", back, by="argocd-controller")))

    assert world.run(SCALE, to(5), plan).degraded == "Its floor was taken back to 2 by Argo CD."
