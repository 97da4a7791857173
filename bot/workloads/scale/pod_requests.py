"""The resources that one pod of a template asks for, as the scheduler and quotas count them. Pure.

The trap: a template says less than its pods do. A missing request defaults to the limit, and what is still missing
comes from the namespace's LimitRange when the pod is created.
https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/#resource-sharing-within-containers
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from bot.core.kubernetes import KubernetesObject
from bot.workloads.objects.quantity import Amounts, add, maximum, parse_amounts

#: A quota on requests or limits of these requires every container to declare them.
_MUST_DECLARE = ("cpu", "memory")


@dataclass(frozen=True, kw_only=True, slots=True)
class PodRequests:
    """The requests and limits of one pod."""

    requests: Amounts
    limits: Amounts
    undeclared: frozenset[str]  #: such as "limits.memory", if a container does not declare it and has no default
    best_effort: bool  #: no container asks for cpu or memory, or limits it


def pod_requests_of(spec: Mapping[str, Any], ranges: Sequence[KubernetesObject] = ()) -> PodRequests:
    """The requests of a pod with that spec. `ranges`: the LimitRanges of its namespace."""
    defaults = _defaults(ranges)
    containers = [_whole(one, defaults) for one in spec.get("containers") or ()]
    begun = [(_sidecar(one), _whole(one, defaults)) for one in spec.get("initContainers") or ()]
    every = [*containers, *(whole for _, whole in begun)]
    pod = spec.get("resources") or {}
    unsaid = {
        f"{side}.{name}"
        for side in ("requests", "limits")
        for name in _MUST_DECLARE
        if name not in (pod.get(side) or {}) and any(name not in one[side] for one in every)
    }
    return PodRequests(
        requests=_summed("requests", containers, begun, spec),
        limits=_summed("limits", containers, begun, spec),
        undeclared=frozenset(unsaid),
        best_effort=not pod and not any(name in one[side] for one in every for side in one for name in _MUST_DECLARE),
    )


#: A container's `requests` and `limits`.
_Sides = dict[str, dict[str, Fraction]]


def _summed(
    side: str, containers: Sequence[_Sides], begun: Sequence[tuple[bool, _Sides]], spec: Mapping[str, Any]
) -> dict[str, Fraction]:
    """The maximum of the running containers, and of each init container with the sidecars started before it."""
    running: dict[str, Fraction] = {}
    starting: dict[str, Fraction] = {}
    for stays, whole in begun:
        if stays:
            running = add(running, whole[side])
            starting = maximum(starting, running)
        else:
            starting = maximum(starting, add(running, whole[side]))
    total = maximum(starting, add(running, *(one[side] for one in containers)))
    total |= parse_amounts((spec.get("resources") or {}).get(side))
    overhead = parse_amounts(spec.get("overhead"))
    if side == "limits":  # The overhead counts only for resources that are limited at all.
        overhead = {name: amount for name, amount in overhead.items() if name in total}
    return add(total, overhead)


def _sidecar(container: Mapping[str, Any]) -> bool:
    return container.get("restartPolicy") == "Always"


def _whole(container: Mapping[str, Any], defaults: _Sides) -> _Sides:
    message = container.get("resources") or {}
    limits, requests = parse_amounts(message.get("limits")), parse_amounts(message.get("requests"))
    requests = limits | requests
    return {"limits": defaults["limits"] | limits, "requests": defaults["requests"] | requests}


def _defaults(ranges: Sequence[KubernetesObject]) -> _Sides:
    limits: dict[str, Fraction] = {}
    requests: dict[str, Fraction] = {}
    for one in ranges:
        for item in (one.get("spec") or {}).get("limits") or ():
            if item.get("type") == "Container":
                limits |= parse_amounts(item.get("default"))
                requests |= parse_amounts(item.get("default")) | parse_amounts(item.get("defaultRequest"))
    return {"limits": limits, "requests": requests}
