"""The requests of one pod: all containers, the peak of its start, and the namespace's defaults."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from bot.workloads.objects.quantity import format_quantity
from bot.workloads.scale.pod_requests import pod_requests_of


def container(cpu: str = "", memory: str = "", *, limits: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
    requests = {name: value for name, value in (("cpu", cpu), ("memory", memory)) if value}
    return {"resources": {"requests": requests, "limits": limits or {}}, **more}


def sidecar(cpu: str) -> dict[str, Any]:
    return container(cpu, restartPolicy="Always")


@pytest.mark.parametrize(
    ("spec", "cpu"),
    [
        ({"containers": [container("100m"), container("200m")]}, "300m"),
        ({"containers": [container("100m")], "initContainers": [container("1")]}, "1"),
        ({"containers": [container("600m"), container("600m")], "initContainers": [container("1")]}, "1200m"),
        ({"containers": [container("100m")], "initContainers": [sidecar("50m")]}, "150m"),
        ({"containers": [container("100m")], "initContainers": [sidecar("50m"), container("1")]}, "1050m"),
        ({"containers": [container("100m")], "initContainers": [container("1"), sidecar("50m")]}, "1"),
        ({"containers": [container("100m")], "overhead": {"cpu": "250m"}}, "350m"),
        ({"containers": [container(limits={"cpu": "2"})]}, "2"),
        ({"containers": [container("100m", limits={"cpu": "2"})]}, "100m"),
        ({"containers": [container("100m")], "resources": {"requests": {"cpu": "3"}}}, "3"),
        ({"containers": []}, "0"),
    ],
)
def test_the_request_of_a_pod_is_what_the_scheduler_counts(spec: dict[str, Any], cpu: str) -> None:
    assert format_quantity(pod_requests_of(spec).requests.get("cpu", Fraction(0))) == cpu


def limit_range(**item: Any) -> dict[str, Any]:
    return {"spec": {"limits": [{"type": "Container", **item}]}}


def test_a_limit_range_says_what_a_container_does_not() -> None:
    ranges = [limit_range(default={"cpu": "1", "memory": "1Gi"}, defaultRequest={"cpu": "500m"})]
    spec = {"containers": [container(), container("100m", limits={"memory": "2Gi"})]}

    need = pod_requests_of(spec, ranges)

    assert {name: format_quantity(one) for name, one in need.requests.items()} == {"cpu": "600m", "memory": "3Gi"}
    assert {name: format_quantity(one) for name, one in need.limits.items()} == {"cpu": "2", "memory": "3Gi"}
    assert not need.undeclared


def test_what_is_said_nowhere_is_known_to_be_unsaid() -> None:
    need = pod_requests_of({"containers": [container("100m", limits={"cpu": "1"}), container("100m", "1Gi")]})

    assert need.undeclared == {"requests.memory", "limits.cpu", "limits.memory"}
    assert not need.best_effort


def test_a_pod_that_asks_for_nothing_is_best_effort() -> None:
    assert pod_requests_of({"containers": [container()]}).best_effort
    assert not pod_requests_of({"containers": [container(limits={"memory": "1Gi"})]}).best_effort
