"""scale checks the surroundings: quotas that prevent pods, nodes without room, budgets that would block drains."""

from __future__ import annotations

from typing import Any

import pytest

from bot.core.plan import Result
from bot.core.site import ReplicaLimits
from bot.workloads.objects import kinds
from bot.workloads.objects.quantity import parse_quantity
from tests.cluster import manifests
from tests.cluster.scale_world import SCALE, Meddled, deployed, refused, replicas, stateful, to
from tests.cluster.world import World


def counted(world: World, key: str, used: int) -> None:
    """The quota team counts for new pods once its controller has seen it."""

    def seen() -> bool:
        found = (world.get(kinds.QUOTA, "team").get("status") or {}).get("used") or {}
        return key in found and parse_quantity(found[key]) == used

    world.until(seen, f"{used} of {key} are counted")


def met_later(world: World, pods: str, used: int) -> Meddled:
    """A cluster in which somebody sets a quota right before the write."""

    def limit() -> None:
        world.create(kinds.QUOTA, "team", **manifests.quota(pods=pods))
        counted(world, "pods", used)

    return Meddled(world, before=limit)


def test_a_quota_that_has_no_room_is_named_before_anybody_says_yes(world: World) -> None:
    deployed(world)
    world.create(kinds.QUOTA, "team", **manifests.quota(pods="4"))
    counted(world, "pods", 3)

    fits = world.plan(SCALE, to(4))
    said = refused(world, to(5))

    assert fits.preconditions["replicas"] == "3"
    assert "2 more pods do not fit. ResourceQuota team: 1 of 4 pods is left; they would take 2." in said


def test_a_quota_that_is_met_after_the_yes_is_told_as_the_reason(world: World) -> None:
    deployed(world)
    plan = world.plan(SCALE, to(6))
    world.place(cluster=met_later(world, "4", 3))
    world.hurry()

    outcome = world.run(SCALE, to(6), plan)

    assert outcome.result is Result.DONE
    assert outcome.degraded.startswith("FailedCreate: ")
    assert "exceeded quota: team" in outcome.degraded
    assert replicas(world) == 6


def test_a_statefulset_that_meets_a_quota_says_so_in_its_events(world: World) -> None:
    stateful(world, count=2)
    plan = world.plan(SCALE, to(4))
    world.place(kind=kinds.STATEFULSET, cluster=met_later(world, "3", 2))
    world.hurry()

    outcome = world.run(SCALE, to(4), plan)

    assert outcome.result is Result.DONE
    assert "exceeded quota: team" in outcome.degraded


def test_a_statefulset_is_given_time_for_each_of_its_pods(world: World) -> None:
    stateful(world, count=2)
    world.fake.controllers = []

    outcome = world.run(SCALE, to(4))

    assert outcome.degraded.startswith("Not ready 13 min after the change: ")


def test_volumes_of_replicas_that_were_there_before_are_found_again(world: World) -> None:
    template = manifests.claim_template()
    world.create(kinds.STATEFULSET, "api", **manifests.statefulset("api", replicas=1, volumeClaimTemplates=[template]))
    world.create(kinds.CLAIM, "data-api-1", spec=template["spec"])
    world.place(kind=kinds.STATEFULSET, replicas=ReplicaLimits(step=9))
    world.create(kinds.QUOTA, "team", spec={"hard": {"count/persistentvolumeclaims": "0"}})
    world.until(lambda: "hard" in (world.get(kinds.QUOTA, "team").get("status") or {}), "the quota is known")

    again = world.plan(SCALE, to(2))
    new = refused(world, to(4))

    assert again.preconditions["replicas"] == "1"
    assert "0 of 0 count/persistentvolumeclaims is left; they would take 2." in new


def test_a_limit_range_counts_for_a_quota(world: World) -> None:
    bare = manifests.deployment(replicas=0)
    bare["spec"]["template"]["spec"]["containers"][0].pop("resources")
    world.create(kinds.DEPLOYMENT, "api", **bare)
    world.place(replicas=ReplicaLimits(step=9))
    world.create(kinds.QUOTA, "team", **manifests.quota(limits_memory="1Gi"))
    counted(world, "limits.memory", 0)
    unsaid = refused(world, to(2))
    item = {"type": "Container", "default": {"memory": "600Mi"}}
    world.create(kinds.LIMITS, "usual", spec={"limits": [item]})

    short = refused(world, to(2))

    assert "ResourceQuota team: it limits limits.memory, which a container does not declare" in unsaid
    assert "1Gi of 1Gi limits.memory is left; they would take 1200Mi" in short


def add_node(world: World, name: str, cpu: str, **spec: Any) -> None:
    ready = [{"type": "Ready", "status": "True"}]
    allocatable = {"cpu": cpu, "memory": "8Gi", "pods": "110"}
    world.fake.put("Node", name, spec=spec, status={"conditions": ready, "allocatable": allocatable})


def test_nodes_that_have_room_are_nothing_to_speak_of(world: World) -> None:
    deployed(world)
    add_node(world, "n1", "3m")
    add_node(world, "n2", "4m", unschedulable=True)

    assert len(world.plan(SCALE, to(6)).effect) == 1


def test_nodes_without_room_are_told_and_in_the_end_the_pods_that_find_none(world: World) -> None:
    deployed(world)
    add_node(world, "n1", "1m")
    add_node(world, "n2", "4m", unschedulable=True)

    plan = world.plan(SCALE, to(6))
    outcome = world.run(SCALE, to(6), plan)

    told = "The nodes have no room for all new pods, by their requests (an estimate)."
    assert f"{told} The rest stays pending until there is room." in plan.effect
    assert "Unschedulable, 0/2 nodes are available: 1 Insufficient cpu" in outcome.degraded


def test_what_may_not_be_read_is_told_as_not_known(world: World) -> None:
    fake = world.fake
    deployed(world)
    fake.rights.denied["vakhta"] = {("list", "nodes"), ("list", "resourcequotas"), ("list", "poddisruptionbudgets")}

    more, fewer = world.plan(SCALE, to(5)), world.plan(SCALE, to(2))

    assert "ResourceQuotas were not checked: the bot may not read them there." in more.effect
    assert any("It is unknown whether the nodes have room" in said for said in more.effect)
    assert any("PodDisruptionBudgets" in said for said in fewer.effect)


@pytest.mark.parametrize(
    ("budget", "count", "blocks"),
    [
        ({"minAvailable": 2}, 2, True),
        ({"minAvailable": 2}, 3, False),
        ({"minAvailable": "50%"}, 2, False),
        ({"minAvailable": "75%"}, 2, True),
        ({"maxUnavailable": 0}, 2, True),
        ({"maxUnavailable": 1}, 2, False),
        ({"maxUnavailable": "10%"}, 2, False),
    ],
)
def test_a_budget_that_would_block_drains_is_told(
    world: World, budget: dict[str, Any], count: int, *, blocks: bool
) -> None:
    world.create(kinds.DEPLOYMENT, "api", **manifests.deployment(replicas=4))
    world.create(kinds.PDB, "api", **manifests.pdb(**budget))
    world.create(kinds.PDB, "web", **manifests.pdb("web", maxUnavailable=0))
    world.place()

    plan = world.plan(SCALE, to(count))

    replicas = "1 replica" if count == 1 else f"{count} replicas"
    told = f"With {replicas}, PodDisruptionBudget api allows no disruption: nodes cannot be drained."
    assert (told in plan.effect) is blocks
