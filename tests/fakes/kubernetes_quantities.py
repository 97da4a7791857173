"""Amounts as Kubernetes writes them ("250m", "1Gi"), and what the pods of a namespace use of its quotas."""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

Thing = dict[str, Any]
_POWERS = {"": Decimal(1), "m": Decimal("0.001"), "k": Decimal(10**3), "M": Decimal(10**6), "G": Decimal(10**9)} | {
    f"{name}i": Decimal(1024 ** (power + 1)) for power, name in enumerate("KMGT")
}


def amount(said: object) -> Decimal:
    found = re.fullmatch(r"([0-9.]+)([A-Za-z]*)", str(said))
    assert found, f"{said!r} is no quantity"
    return Decimal(found[1]) * _POWERS[found[2]]


def written(value: Decimal, like: object = "") -> str:
    """In a form that people would write: cores in thousands, bytes in the unit of `like`."""
    unit = re.sub(r"[0-9.]", "", str(like))
    if value == value.to_integral_value() and unit in ("", "m"):
        return str(int(value))
    scaled = value / _POWERS[unit]
    return f"{int(scaled)}{unit}" if scaled == scaled.to_integral_value() else f"{int(value * 1000)}m"


def asked_by(pod: Thing, what: str) -> dict[str, Decimal]:
    """What its containers request, or their limits: the sum, or what an init container needs where that is more."""
    spec, total = pod["spec"], dict[str, Decimal]()
    for container in spec.get("containers") or ():
        for name, value in ((container.get("resources") or {}).get(what) or {}).items():
            total[name] = total.get(name, Decimal(0)) + amount(value)
    for container in spec.get("initContainers") or ():
        for name, value in ((container.get("resources") or {}).get(what) or {}).items():
            total[name] = max(total.get(name, Decimal(0)), amount(value))
    return total


def charged(pod: Thing) -> dict[str, Decimal]:
    """What it takes of a quota, by the quota's own names."""
    requests, limits = asked_by(pod, "requests"), asked_by(pod, "limits")
    one = {"pods": Decimal(1), "count/pods": Decimal(1)}
    named = {f"requests.{name}": value for name, value in requests.items()}
    return one | requests | named | {f"limits.{name}": value for name, value in limits.items()}


def used(pods: Iterable[Thing], hard: Iterable[str]) -> dict[str, Decimal]:
    total = {name: Decimal(0) for name in hard}
    for pod in pods:
        if (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
            continue
        for name, value in charged(pod).items():
            if name in total:
                total[name] += value
    return total
