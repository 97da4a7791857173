"""scale of a workload with server-side apply: the bot owns no field for longer than needed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bot.core.kubernetes import KubernetesObject, PatchType
from bot.core.plan import Outcome, Plan, Result
from bot.workloads.objects import kinds, run_markers
from bot.workloads.objects.target import patch_access
from tests.cluster import manifests, releases
from tests.cluster.manifests import ONE, TWO
from tests.cluster.releases import Shop
from tests.cluster.scale_world import SCALE, deployed, replicas, settled, to
from tests.cluster.wedges import Died, Wedged
from tests.cluster.world import World
from tests.house import ANA

_FIRST, _SECOND = "5c" * 16, "6d" * 16


def undone(world: World, count: int) -> tuple[Plan, Outcome]:
    """What the gate does with `undo`: the same words, planned as the undo of the first run."""
    tools = replace(world.tools, undo_of=_FIRST)
    plan = SCALE.plan(to(count), tools)
    assert plan == SCALE.plan(to(count), tools)
    return plan, SCALE.run(to(count), plan, _SECOND, ANA, tools)


def scaled(world: World, count: int) -> Plan:
    plan = world.plan(SCALE, to(count))
    assert world.run(SCALE, to(count), plan, run=_FIRST).degraded == ""
    return plan


def holders(world: World) -> tuple[str, ...]:
    return run_markers.holders_of(world.get(kinds.DEPLOYMENT, "api"), "spec", "replicas")


def may_patch(world: World) -> None:
    """The object itself, which the actions that write to its template are granted, and scale is not."""
    world.granted.append(patch_access(world.ref(kinds.DEPLOYMENT, "api")))


def applied(world: World, count: int, by: str = "kubectl") -> KubernetesObject:
    """`kubectl apply --server-side` of the whole Deployment."""
    ref = world.ref(kinds.DEPLOYMENT, "api")
    body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "api"}}
    return world.admin.patch(ref, {**body, **manifests.deployment(replicas=count)}, how=PatchType.APPLY, by=by)


@pytest.fixture(params=["3", "4"], ids=["helm 3", "helm 4"])
def program(request: pytest.FixtureRequest) -> str:
    return releases.needed(request.param)


def installed(world: World, place: Path, run: str) -> Shop:
    world.needs_pods()
    shop = Shop(world, place, run)
    shop.deploy(image=ONE, replicas=2)
    world.place()
    may_patch(world)
    if not world.real:
        world.fake.settle()
    return shop


def test_after_the_undo_helm_upgrades_as_if_nobody_had_scaled(world: World, tmp_path: Path, program: str) -> None:
    shop = installed(world, tmp_path, program)
    scaled(world, 4)

    plan, outcome = undone(world, 2)

    assert (
        "Then the bot gives up its ownership of the field, so that the next deployment meets no conflict."
        in plan.effect
    )
    assert (outcome.result, outcome.message, replicas(world)) == (Result.DONE, "prod/api is scaled to 2.", 2)
    assert holders(world) == ()
    shop.deploy(image=TWO, replicas=3)
    assert (replicas(world), holders(world)) == (3, ("helm",))


def test_while_it_is_scaled_helm_4_is_told_of_the_conflict_and_the_plan_has_said_so(
    world: World, tmp_path: Path
) -> None:
    shop = installed(world, tmp_path, releases.needed("4"))

    plan = scaled(world, 4)
    ended = shop.tried("upgrade", "shop", str(tmp_path / "chart"), "--disable-openapi-validation")

    assert any("its next `helm upgrade` or rollback stops half-way at a conflict" in line for line in plan.effect)
    assert ".spec.replicas" in ended.stderr
    assert replicas(world) == 4


def test_what_helm_says_itself_by_now_stays_and_only_the_hold_is_given_up(world: World, tmp_path: Path) -> None:
    shop = installed(world, tmp_path, releases.needed("4"))
    scaled(world, 4)
    shop.deploy(image=ONE, replicas=4)

    plan, outcome = undone(world, 2)

    assert plan.effect[0].endswith("The value stays: Helm now sets replicas 4 too.")
    assert outcome.message == "prod/api stays as it is, as Helm sets it; the bot no longer owns these fields."
    assert (replicas(world), holders(world)) == (4, ("helm",))
    shop.deploy(image=ONE, replicas=3)
    assert replicas(world) == 3


def test_an_undo_that_may_not_patch_the_object_says_that_the_bot_goes_on_holding_it(world: World) -> None:
    deployed(world)
    scaled(world, 4)
    if world.real:
        pytest.skip("only the fake can be told to go wrong")

    plan, outcome = undone(world, 3)

    assert any(
        line.startswith("The bot keeps its ownership of the field: to give it up, it needs the right to patch Dep")
        for line in plan.effect
    )
    assert (outcome.result, replicas(world)) == (Result.DONE, 3)
    assert holders(world) == (run_markers.field_manager(_SECOND),)


def test_kubectl_that_applies_on_the_server_is_named_and_not_in_the_way_after_the_undo(world: World) -> None:
    world.needs_pods()
    applied(world, 3)
    world.place()
    may_patch(world)
    settled(world, 3)

    plan = scaled(world, 4)
    undone(world, 3)

    said = f"kubectl sets .spec.replicas of Deployment {world.namespace}/api by server-side apply, and meets a"
    assert f"{said} conflict until it forces that field, or this is undone." in plan.effect
    assert applied(world, 5)["spec"]["replicas"] == 5


def test_the_run_is_found_again_although_it_holds_nothing(world: World) -> None:
    deployed(world)
    may_patch(world)
    scaled(world, 4)
    plan, outcome = undone(world, 3)

    found = SCALE.probe(to(3), plan, _SECOND, replace(world.tools, by=None))

    assert (found.result, found.expected_state) == (Result.DONE, outcome.expected_state)
    assert holders(world) == ()


def test_an_undo_that_died_before_it_gave_up_its_hold_says_what_the_bot_still_holds(world: World) -> None:
    deployed(world)
    may_patch(world)
    scaled(world, 4)
    tools = replace(world.tools, undo_of=_FIRST)
    plan = SCALE.plan(to(3), tools)
    world.place(cluster=Wedged(world, after=Died()))
    with pytest.raises(Died):
        SCALE.run(to(3), plan, _SECOND, ANA, tools)

    found = SCALE.probe(to(3), plan, _SECOND, replace(world.tools, by=None))

    assert holders(world), "nothing is written by who only looks"
    assert (found.result, found.expected_state) == (Result.DONE, {"replicas": "3"})
    assert "The bot still owns its fields: its process ended before it gave them up." in found.message


def test_the_bounds_of_an_autoscaler_are_given_up_as_well(world: World) -> None:
    deployed(world)
    world.create(kinds.HPA, "api", **manifests.hpa())
    if not world.real:
        world.fake.settle()
    args = to(4, ceiling=12)
    world.run(SCALE, args, run=_FIRST)

    tools = replace(world.tools, undo_of=_FIRST)
    back: Any = to(2, ceiling=10)
    plan = SCALE.plan(back, tools)
    SCALE.run(back, plan, _SECOND, ANA, tools)

    hpa = world.get(kinds.HPA, "api")
    assert not any(run_markers.run_of(who) for who in run_markers.holders_of(hpa, "spec", "minReplicas"))
    assert run_markers.written_by(hpa, _SECOND)
