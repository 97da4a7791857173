"""Amounts as Kubernetes writes them ("250m", "1Gi"), and what the pods of a namespace use of its quotas."""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

Thing = dict[str, Any]
_POWERS = {"m": Decimal("0.001"), "": Decimal(1), "k": Decimal(10**3), "M": Decimal(10**6), "G": Decimal(10**9)} | {
    f"{name}i": Decimal(1024 ** (power + 1)) for power, name in enumerate("KMGT")
}


def amount(said: object) -> Decimal:
    found = re.fullmatch(r"([0-9.]+)([A-Za-z]*)", str(said))
    assert found, f"{said!r} is no quantity"
    return Decimal(found[1]) * _POWERS[found[2]]


def written(value: Decimal, like: object = "") -> str:
    """As Kubernetes would: in the largest unit of the kind of `like` in which it is whole."""
    binary = str(like).endswith("i")
    for unit, power in reversed(_POWERS.items()):
        whole = value / power
        if value and unit.endswith("i") is binary and whole == whole.to_integral_value():
            return f"{int(whole)}{unit}"
    return str(int(value)) if value == value.to_integral_value() else f"{int(value * 1000)}m"


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
