"""Whether more pods fit into the quotas of a namespace, key by key, and which one is short."""

from __future__ import annotations

from typing import Any

import pytest

from bot.workloads.objects.quantity import parse_quantity
from bot.workloads.scale.pod_requests import pod_requests_of
from bot.workloads.scale.quotas import VolumeClaims, claims_of, quota_shortage

_POD = {
    "containers": [
        {"resources": {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"cpu": "1", "memory": "1Gi"}}}
    ]
}
_NO_CLAIMS = VolumeClaims(sizes={})


def quota(key: str, hard: str, used: str, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "team"}, "spec": spec, "status": {"hard": {key: hard}, "used": {key: used}}}


def short(*quotas: dict[str, Any], more: int = 2, pod: dict[str, Any] | None = None) -> str:
    spec = pod or _POD
    return quota_shortage(quotas, spec, pod_requests_of(spec), more, _NO_CLAIMS)


@pytest.mark.parametrize(
    ("key", "hard", "used", "said"),
    [
        ("pods", "5", "3", ""),
        ("pods", "4", "3", "1 of 4 pods is left; they would take 2."),
        ("count/pods", "4", "3", "1 of 4 count/pods is left; they would take 2."),
        ("requests.cpu", "4", "3", ""),
        ("requests.cpu", "4", "3100m", "900m of 4 requests.cpu is left; they would take 1."),
        ("cpu", "4", "3500m", "500m of 4 cpu is left; they would take 1."),
        ("limits.cpu", "4", "3", "1 of 4 limits.cpu is left; they would take 2."),
        ("limits.memory", "8Gi", "7Gi", "1Gi of 8Gi limits.memory is left; they would take 2Gi."),
        ("memory", "8Gi", "6Gi", ""),
        ("requests.nvidia.com/gpu", "0", "0", ""),
        ("count/secrets", "1", "1", ""),
        ("services", "1", "1", ""),
        ("pods", "4", "9", "0 of 4 pods is left; they would take 2."),
    ],
)
def test_each_key_is_held_against_what_the_pods_take_of_it(key: str, hard: str, used: str, said: str) -> None:
    assert short(quota(key, hard, used)) == (f"ResourceQuota team: {said}" if said else "")


def test_the_first_quota_that_is_short_is_named() -> None:
    assert short(quota("pods", "9", "1"), quota("limits.cpu", "4", "4")).startswith(
        "ResourceQuota team: 0 of 4 limits.cpu"
    )


def test_a_quota_on_what_a_container_does_not_say_lets_no_pod_in() -> None:
    pod = {"containers": [{"resources": {"requests": {"cpu": "1m"}}}]}

    assert "it limits limits.memory, which a container" in short(quota("limits.memory", "8Gi", "0"), pod=pod)
    assert "it limits memory, which a container" in short(quota("memory", "8Gi", "0"), pod=pod)


@pytest.mark.parametrize(
    ("spec", "counts"),
    [
        ({"scopes": ["NotTerminating"]}, True),
        ({"scopes": ["Terminating"]}, False),
        ({"scopes": ["NotBestEffort"]}, True),
        ({"scopes": ["BestEffort"]}, False),
        ({"scopes": ["NotTerminating", "BestEffort"]}, False),
        (
            {
                "scopeSelector": {
                    "matchExpressions": [{"scopeName": "PriorityClass", "operator": "In", "values": ["high"]}]
                }
            },
            True,
        ),
        (
            {
                "scopeSelector": {
                    "matchExpressions": [{"scopeName": "PriorityClass", "operator": "NotIn", "values": ["high"]}]
                }
            },
            False,
        ),
        ({"scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "Exists"}]}}, True),
        ({"scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "DoesNotExist"}]}}, False),
        ({"scopes": ["CrossNamespacePodAffinity"]}, False),
    ],
)
def test_a_quota_of_other_pods_does_not_count(spec: dict[str, Any], *, counts: bool) -> None:
    pod = {**_POD, "priorityClassName": "high"}

    assert bool(short(quota("pods", "0", "0", **spec), pod=pod)) is counts


def test_a_statefulset_also_takes_storage() -> None:
    templates = [{"spec": {"resources": {"requests": {"storage": "10Gi"}}, "storageClassName": "fast"}}]
    claims = claims_of({"spec": {"volumeClaimTemplates": templates}})

    def said(key: str, hard: str) -> str:
        return quota_shortage([quota(key, hard, "0")], _POD, pod_requests_of(_POD), 2, claims)

    assert "15Gi of 15Gi requests.storage is left; they would take 20Gi" in said("requests.storage", "15Gi")
    assert "they would take 2" in said("persistentvolumeclaims", "1")
    assert "they would take 20Gi" in said("fast.storageclass.storage.k8s.io/requests.storage", "15Gi")
    assert said("slow.storageclass.storage.k8s.io/requests.storage", "1Gi") == ""
    assert said("requests.storage", "20Gi") == ""


def test_replicas_that_were_there_before_take_no_new_storage() -> None:
    sizes = {"": (parse_quantity("10Gi"),)}
    need = pod_requests_of(_POD)

    none_new = quota_shortage([quota("requests.storage", "1Gi", "0")], _POD, need, 3, VolumeClaims(sizes=sizes, new=0))
    one_new = quota_shortage([quota("requests.storage", "1Gi", "0")], _POD, need, 3, VolumeClaims(sizes=sizes, new=1))
    pods = quota_shortage([quota("pods", "2", "0")], _POD, need, 3, VolumeClaims(sizes=sizes, new=1))

    assert none_new == ""
    assert "they would take 10Gi." in one_new
    assert "they would take 3." in pods


def test_fewer_pods_fit_always() -> None:
    assert short(quota("pods", "0", "9"), more=-2) == ""
