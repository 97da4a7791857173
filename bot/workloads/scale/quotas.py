"""Whether more pods fit into a namespace's quotas. Pure.

The trap: a quota is enforced when pods are created, not when a workload is scaled. So the scale is accepted, and the
pods never appear. A quota on a resource also refuses every pod that does not declare it.
https://kubernetes.io/docs/concepts/policy/resource-quotas/
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from bot.core.kubernetes import KubernetesObject
from bot.workloads.objects.quantity import format_quantity, parse_amounts, parse_quantity
from bot.workloads.scale.pod_requests import PodRequests

_STORAGE = "requests.storage"
_OF_CLASS = ".storageclass.storage.k8s.io/"
#: Resources that a quota may name without the prefix "requests.".
_BARE = ("cpu", "memory", "ephemeral-storage")


@dataclass(frozen=True, kw_only=True, slots=True)
class VolumeClaims:
    """The volumes of one replica: their sizes by storage class ("" for the default class)."""

    sizes: Mapping[str, Sequence[Fraction]]
    new: int | None = None  #: how many new volumes are needed in all; None: for each replica its own

    @property
    def count(self) -> int:
        return sum(map(len, self.sizes.values()))


def claims_of(workload: KubernetesObject) -> VolumeClaims:
    """The claims of a StatefulSet's templates."""
    sizes: dict[str, list[Fraction]] = {}
    for one in (workload.get("spec") or {}).get("volumeClaimTemplates") or ():
        spec = one.get("spec") or {}
        size = ((spec.get("resources") or {}).get("requests") or {}).get("storage", 0)
        sizes.setdefault(spec.get("storageClassName") or "", []).append(parse_quantity(size))
    return VolumeClaims(sizes=sizes)


def quota_shortage(
    quotas: Sequence[KubernetesObject],
    pod: Mapping[str, Any],
    requests: PodRequests,
    more: int,
    volume_claims: VolumeClaims,
) -> str:
    """Why that many more pods do not fit: a sentence; "" if they fit. `pod`: the spec of one."""
    if more <= 0:
        return ""
    for one in quotas:
        if not _covers(one, pod, requests):
            continue
        name = one["metadata"]["name"]
        status = one.get("status") or {}
        hard = parse_amounts(status.get("hard") or (one.get("spec") or {}).get("hard"))
        used = parse_amounts(status.get("used"))
        for key, limit in sorted(hard.items()):
            if (f"requests.{key}" if key in _BARE else key) in requests.undeclared:
                message = f"it limits {key}, which a container does not declare, so no pod can be created."
                return f"ResourceQuota {name}: {message}"
            count = more if volume_claims.new is None or not _stored(key) else volume_claims.new
            wanted, left = (
                _each(key, requests, volume_claims) * count,
                max(limit - used.get(key, Fraction(0)), Fraction(0)),
            )
            if wanted > left:
                message = (
                    f"{format_quantity(left)} of {format_quantity(limit)} {key} is left; they would take "
                    f"{format_quantity(wanted)}."
                )
                return f"ResourceQuota {name}: {message}"
    return ""


def _stored(key: str) -> bool:
    return key == _STORAGE or _OF_CLASS in key or key.endswith("persistentvolumeclaims")


def _each(key: str, requests: PodRequests, volume_claims: VolumeClaims) -> Fraction:
    """How much of that key one pod takes; 0 if the key counts something else."""
    if key in ("pods", "count/pods"):
        return Fraction(1)
    if key in ("persistentvolumeclaims", "count/persistentvolumeclaims"):
        return Fraction(volume_claims.count)
    if key == _STORAGE:
        return sum((size for sizes in volume_claims.sizes.values() for size in sizes), Fraction(0))
    if _OF_CLASS in key:
        name, _, what = key.partition(_OF_CLASS)
        sizes = volume_claims.sizes.get(name, ())
        return Fraction(len(sizes)) if what == "persistentvolumeclaims" else sum(sizes, Fraction(0))
    side, _, resource = key.partition(".")
    if side in ("requests", "limits") and resource:
        return (requests.requests if side == "requests" else requests.limits).get(resource, Fraction(0))
    return requests.requests.get(key, Fraction(0)) if key in _BARE or key.startswith("hugepages-") else Fraction(0)


def _covers(quota: KubernetesObject, pod: Mapping[str, Any], requests: PodRequests) -> bool:
    """Whether all of the quota's scopes apply to such pods."""
    spec = quota.get("spec") or {}
    wanted = [{"scopeName": name, "operator": "Exists"} for name in spec.get("scopes") or ()]
    wanted += (spec.get("scopeSelector") or {}).get("matchExpressions") or ()
    return all(_in_scope(one, pod, requests) for one in wanted)


def _in_scope(one: Mapping[str, Any], pod: Mapping[str, Any], requests: PodRequests) -> bool:
    ends = pod.get("activeDeadlineSeconds") is not None
    match one["scopeName"]:
        case "Terminating":
            return ends
        case "NotTerminating":
            return not ends
        case "BestEffort":
            return requests.best_effort
        case "NotBestEffort":
            return not requests.best_effort
        case "PriorityClass":
            return _of_priority(one, str(pod.get("priorityClassName") or ""))
        case _:  # Scopes of volumes, or of affinity across namespaces, are not evaluated: no limit is assumed.
            return False


def _of_priority(one: Mapping[str, Any], name: str) -> bool:
    match one["operator"]:
        case "In":
            return name in (one.get("values") or ())
        case "NotIn":
            return name not in (one.get("values") or ())
        case "DoesNotExist":
            return not name
        case _:
            return bool(name)
