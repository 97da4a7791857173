"""Whether nodes have room: those that accept the pods, and what is left of them by requests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bot.workloads.scale.node_capacity import fits_on, may_go, node_capacity_for
from bot.workloads.scale.pod_requests import pod_requests_of
from tests.cluster.world import World, fake_world

_READY = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}


def node(name: str = "n1", *, labels: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": labels or {}}, "spec": spec, **_READY}


def affinity(*expressions: dict[str, Any], fields: tuple[dict[str, Any], ...] = ()) -> dict[str, Any]:
    terms = [{"matchExpressions": list(expressions), "matchFields": list(fields)}]
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
    return {"affinity": {"nodeAffinity": required}}


_GPU = {"key": "gpu", "value": "yes", "effect": "NoSchedule"}


@pytest.mark.parametrize(
    ("pod", "one", "goes"),
    [
        ({}, node(), True),
        ({}, {"metadata": {"name": "n1"}, "spec": {}}, False),
        ({}, node(unschedulable=True), False),
        ({"nodeSelector": {"zone": "a"}}, node(labels={"zone": "a"}), True),
        ({"nodeSelector": {"zone": "a"}}, node(labels={"zone": "b"}), False),
        ({}, node(taints=[_GPU]), False),
        ({"tolerations": [{"key": "gpu", "value": "yes"}]}, node(taints=[_GPU]), True),
        ({"tolerations": [{"key": "gpu", "value": "no"}]}, node(taints=[_GPU]), False),
        ({"tolerations": [{"key": "gpu", "operator": "Exists"}]}, node(taints=[_GPU]), True),
        ({"tolerations": [{"operator": "Exists"}]}, node(taints=[_GPU], unschedulable=True), True),
        ({"tolerations": [{"key": "gpu", "operator": "Exists", "effect": "NoExecute"}]}, node(taints=[_GPU]), False),
        ({}, node(taints=[{"key": "slow", "effect": "PreferNoSchedule"}]), True),
        (affinity({"key": "zone", "operator": "In", "values": ["a", "b"]}), node(labels={"zone": "b"}), True),
        (affinity({"key": "zone", "operator": "NotIn", "values": ["a"]}), node(labels={"zone": "a"}), False),
        (affinity({"key": "zone", "operator": "Exists"}), node(), False),
        (affinity({"key": "zone", "operator": "DoesNotExist"}), node(), True),
        (affinity({"key": "cores", "operator": "Gt", "values": ["8"]}), node(labels={"cores": "16"}), True),
        (affinity({"key": "cores", "operator": "Lt", "values": ["8"]}), node(labels={"cores": "16"}), False),
        (affinity({"key": "cores", "operator": "Gt", "values": ["8"]}), node(), False),
        (affinity(fields=({"key": "metadata.name", "operator": "In", "values": ["n2"]},)), node("n1"), False),
    ],
)
def test_a_pod_may_go_where_it_wants_to_and_is_let(pod: dict[str, Any], one: dict[str, Any], *, goes: bool) -> None:
    assert may_go(pod, one) is goes


def pod(cpu: str) -> dict[str, Any]:
    return {"spec": {"containers": [{"name": "api", "image": "api:1", "resources": {"requests": {"cpu": cpu}}}]}}


@pytest.mark.parametrize(
    ("allocatable", "there", "fits"),
    [
        ({"cpu": "4", "pods": "110"}, [], 4),
        ({"cpu": "4", "pods": "110"}, ["1500m"], 2),
        ({"cpu": "4", "pods": "3"}, ["1m"], 2),
        ({"cpu": "1", "pods": "110"}, ["2"], 0),
        ({"cpu": "64", "pods": "110"}, [], 5),
    ],
)
def test_of_a_node_there_is_left_what_its_pods_do_not_ask_for(
    allocatable: dict[str, str], there: list[str], fits: int
) -> None:
    one = {**node(), "status": {"allocatable": allocatable}}

    assert fits_on(one, map(pod, there), pod_requests_of(pod("1")["spec"]), 5) == fits


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with fake_world(tmp_path) as made:
        yield made


def add_node(world: World, name: str, cpu: str, **labels: str) -> None:
    status = {"allocatable": {"cpu": cpu, "pods": "110"}, **_READY["status"]}
    world.fake.put("Node", name, metadata={"labels": labels}, spec={}, status=status)


def found(world: World, more: int) -> Any:
    spec = pod("1")["spec"]
    return node_capacity_for(world.admin, spec, pod_requests_of(spec), more)


def test_nodes_are_looked_at_until_the_pods_fit_and_no_further(world: World) -> None:
    for number in range(9):
        add_node(world, f"n{number}", "2")

    room = found(world, 3)

    assert (room.fits, room.fitting, room.nodes, room.whole) == (3, 9, 9, True)
    asked = [call for call in world.fake.received if call.path == "/api/v1/pods"]
    assert [call.query["fieldSelector"].partition(",")[0] for call in asked] == ["spec.nodeName=n0", "spec.nodeName=n1"]


def test_pods_that_have_ended_take_no_room(world: World) -> None:
    add_node(world, "n1", "2")
    for name, phase in (("over", "Succeeded"), ("broken", "Failed"), ("going", "Running")):
        world.fake.put("Pod", name, spec={**pod("1")["spec"], "nodeName": "n1"}, status={"phase": phase})

    assert found(world, 3).fits == 1


def test_karpenter_and_the_cluster_autoscaler_are_known_by_what_they_leave(world: World) -> None:
    add_node(world, "n1", "1")
    alone = found(world, 3)
    world.fake.put("ConfigMap", "cluster-autoscaler-status", "kube-system", data={})
    scaled = found(world, 3)

    assert (alone.grows, scaled.grows) == (False, True)
    add_node(world, "n2", "1", **{"karpenter.sh/nodepool": "default"})
    assert found(world, 3).grows
