"""PodDisruptionBudgets after a workload is scaled. Pure.

The trap: a budget does not prevent scaling down, which deletes pods and evicts none. But afterwards it may allow no
eviction any more, so nodes cannot be drained.
https://kubernetes.io/docs/tasks/run-application/configure-pdb/
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bot.core.kubernetes import KubernetesObject
from bot.workloads.objects.label_selector import fits


def blocked_by(budgets: Sequence[KubernetesObject], labels: Mapping[str, str], count: int) -> str:
    """The first budget for pods with these labels that allows no eviction at that count; "" if none does."""
    if count < 1:
        return ""
    for one in budgets:
        spec = one.get("spec") or {}
        if fits(spec.get("selector"), labels) and count - _must_stay(spec, count) <= 0:
            return str(one["metadata"]["name"])
    return ""


def _must_stay(spec: Mapping[str, Any], count: int) -> int:
    """How many pods must stay healthy; percentages are rounded up, also of `maxUnavailable`."""
    if spec.get("maxUnavailable") is not None:
        return count - _of(spec["maxUnavailable"], count)
    return _of(spec.get("minAvailable", 1), count)


def _of(value: object, count: int) -> int:
    if isinstance(value, str) and value.endswith("%"):
        return -(-int(value.removesuffix("%")) * count // 100)
    return int(str(value))
