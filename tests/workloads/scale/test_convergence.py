"""Whether a workload has reached the count that it was scaled to, by kind, and who has overwritten it."""

from __future__ import annotations

from typing import Any

import pytest

from bot.core.kubernetes import ResourceKind
from bot.workloads.objects import kinds
from bot.workloads.scale.convergence import overwritten_by, replica_status
from bot.workloads.scale.patch import HPA, KEDA, WORKLOAD


def workload(generation: int = 2, **status: Any) -> dict[str, Any]:
    seen = {"observedGeneration": generation, **status}
    return {"metadata": {"name": "api", "generation": 2}, "spec": {"replicas": 5}, "status": seen}


def all_of(count: int, **more: Any) -> dict[str, Any]:
    return {"replicas": count, "readyReplicas": count, "availableReplicas": count, **more}


@pytest.mark.parametrize(
    ("kind", "thing", "said", "done"),
    [
        (kinds.DEPLOYMENT, workload(**all_of(5)), "5 of 5 are available", True),
        (kinds.DEPLOYMENT, workload(1, **all_of(5)), "its controller has not seen the change yet", False),
        (kinds.DEPLOYMENT, workload(**all_of(6)), "1 more than 5 are still there", False),
        (kinds.DEPLOYMENT, workload(**{**all_of(5), "availableReplicas": 4}), "4 of 5 are available", False),
        (kinds.DEPLOYMENT, workload(), "0 of 5 are available", False),
        (kinds.STATEFULSET, workload(**{**all_of(5), "readyReplicas": 3}), "3 of 5 are ready", False),
        (kinds.STATEFULSET, workload(**{**all_of(5), "availableReplicas": 4}), "4 of 5 are available", False),
        (kinds.STATEFULSET, workload(**all_of(5)), "5 of 5 are available", True),
        (kinds.ROLLOUT, workload(**all_of(5), phase="Healthy"), "5 of 5 are available", True),
        (kinds.ROLLOUT, workload(**all_of(6), phase="Healthy"), "1 more than 5 are still there", False),
        (kinds.ROLLOUT, workload(**all_of(6), phase="Paused"), "6 of 5 are available", True),
        (kinds.ROLLOUT, workload(**all_of(5), phase="Progressing", message="waiting"), "Progressing, waiting", False),
        (kinds.ROLLOUT, workload(**all_of(5)), "no phase yet, no reason given", False),
    ],
)
def test_a_count_is_reached_when_so_many_are_available(
    kind: ResourceKind, thing: dict[str, Any], said: str, *, done: bool
) -> None:
    standing = replica_status(kind, thing, 5, exact=True, phase="Paused")

    assert (standing.message, standing.done) == (said, done)


def test_with_an_autoscaler_more_than_the_floor_are_as_well() -> None:
    assert replica_status(kinds.DEPLOYMENT, workload(**all_of(8)), 5, exact=False, phase="").done


def written(spec: dict[str, Any], manager: str, field: str, sub: str = "") -> dict[str, Any]:
    entry = {"manager": manager, "fieldsV1": {"f:spec": {f"f:{field}": {}}}, "time": "2026-11-24T03:00:00Z"}
    return {"metadata": {"managedFields": [entry | ({"subresource": sub} if sub else {})]}, "spec": spec}


@pytest.mark.parametrize(
    ("manager", "sub", "who"),
    [
        ("kube-controller-manager", "scale", "the HorizontalPodAutoscaler"),
        ("argocd-controller", "", "Argo CD"),
        ("keda", "", "KEDA"),
        ("kustomize-controller", "", "Flux"),
        ("kubectl-edit", "", "kubectl-edit"),
    ],
)
def test_whoever_has_taken_it_back_is_named(manager: str, sub: str, who: str) -> None:
    held = written({"replicas": 3}, manager, "replicas", sub)

    assert overwritten_by(WORKLOAD, held, {"replicas": "6"}) == f"It was set back to 3 by {who}."
    assert overwritten_by(WORKLOAD, held, {"replicas": "3"}) == ""


def test_what_was_taken_back_of_an_autoscaler_is_named_too() -> None:
    hpa = written({"minReplicas": 2, "maxReplicas": 10}, "terraform", "minReplicas")
    keda = {"metadata": {}, "spec": {"minReplicaCount": 1, "maxReplicaCount": 10}}

    assert overwritten_by(HPA, hpa, {"floor": "6", "ceiling": "10"}) == "Its floor was set back to 2 by terraform."
    told = "Its pause was ended by an unknown writer."
    assert overwritten_by(KEDA, keda, {"floor": "1", "ceiling": "10", "paused": "0"}) == told
