"""Which pods do not start, and why: hopeless reasons, and reasons that may pass."""

from __future__ import annotations

from typing import Any

import pytest

from bot.workloads.objects.pods import failing_pods, pods_of, restarts, selector_of, stuck_pods


def pod(*, waiting: dict[str, str] | None = None, restarted: int = 0, init: bool = False, condition: Any = None) -> Any:
    container = {
        "name": "app",
        "restartCount": restarted,
        "state": {"waiting": waiting} if waiting else {"running": {}},
    }
    status: dict[str, Any] = {"initContainerStatuses" if init else "containerStatuses": [container]}
    if condition:
        status["conditions"] = [condition]
    return {"metadata": {"name": "api-1"}, "status": status}


@pytest.mark.parametrize(
    "reason", ["ImagePullBackOff", "ErrImagePull", "InvalidImageName", "CreateContainerConfigError"]
)
@pytest.mark.parametrize("init", [False, True])
def test_a_container_that_cannot_start_is_hopeless_at_once(reason: str, *, init: bool) -> None:
    pods = [pod(), pod(waiting={"reason": reason, "message": "no such\nthing."}, init=init)]

    assert failing_pods(pods) == f"Pod api-1, container app: {reason}, no such thing."


@pytest.mark.parametrize(("crashes", "told"), [(2, ""), (3, "Pod api-1, container app: CrashLoopBackOff, 3 times.")])
def test_a_container_that_crashes_is_hopeless_the_third_time(crashes: int, told: str) -> None:
    assert failing_pods([pod(waiting={"reason": "CrashLoopBackOff"}, restarted=crashes)]) == told


def test_a_pod_without_a_node_is_held_up_and_not_hopeless() -> None:
    said = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes are available"}
    waits = pod(condition=said)

    assert failing_pods([waits]) == ""
    assert stuck_pods([pod(), waits]) == "Pod api-1: Unschedulable, 0/3 nodes are available."


@pytest.mark.parametrize("reason", ["ContainerCreating", "PodInitializing"])
def test_what_is_just_being_made_is_not_held_up(reason: str) -> None:
    assert stuck_pods([pod(waiting={"reason": reason})]) == ""


def test_restarts_are_counted_over_all_containers() -> None:
    assert restarts([pod(restarted=2), pod(restarted=1, init=True), pod()]) == 3


def test_a_selector_is_written_as_the_api_takes_it() -> None:
    expressions = [
        {"key": "tier", "operator": "In", "values": ["web", "api"]},
        {"key": "old", "operator": "DoesNotExist"},
        {"key": "env", "operator": "NotIn", "values": ["dev"]},
        {"key": "app", "operator": "Exists"},
    ]
    spec = {"selector": {"matchLabels": {"b": "2", "a": "1"}, "matchExpressions": expressions}}

    assert selector_of({"spec": spec}) == "a=1,b=2,tier in (web,api),!old,env notin (dev),app"


@pytest.mark.parametrize(
    ("status", "told"), [({"selector": "app=api"}, "app=api"), ({"selector": "<none>"}, ""), ({}, ""), (None, "")]
)
def test_a_rollout_without_a_selector_of_its_own_tells_it_in_its_status(status: Any, told: str) -> None:
    assert selector_of({"spec": {"workloadRef": {"name": "api"}}, "status": status}) == told


def test_without_a_selector_no_pod_of_the_namespace_is_taken_for_its_own() -> None:
    cluster: Any = None  # It is not even asked.

    assert pods_of(cluster, {"metadata": {"namespace": "shop"}, "spec": {}}) == ()
