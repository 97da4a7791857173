"""Quantities of Kubernetes ("250m", "1Gi"), exact: parsed, added, and formatted for people. Pure.

https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction

#: Amounts by the names of resources: "cpu", "memory", "nvidia.com/gpu".
Amounts = Mapping[str, Fraction]

_WRITTEN = re.compile(r"([+-]?[0-9]*\.?[0-9]+|[+-]?[0-9]+\.)(?:[eE]([+-]?[0-9]+)|([numkMGTPE]|[KMGTPE]i)?)")
_UNITS = {
    "": Fraction(1),
    "n": Fraction(1, 10**9),
    "u": Fraction(1, 10**6),
    "m": Fraction(1, 10**3),
    **{unit: Fraction(10 ** (3 * power)) for power, unit in enumerate("kMGTPE", 1)},
    **{f"{unit}i": Fraction(1024**power) for power, unit in enumerate("KMGTPE", 1)},
}
_BINARY = tuple(f"{unit}i" for unit in "EPTGMK")


def parse_quantity(value: object) -> Fraction:
    """Raises `ValueError` if it is no quantity."""
    found = _WRITTEN.fullmatch(str(value).strip())
    if found is None:
        raise ValueError(f"{value!r} is no quantity")
    number, exponent, unit = found.groups()
    return Fraction(number) * (Fraction(10) ** int(exponent) if exponent else _UNITS[unit or ""])


def parse_amounts(message: Mapping[str, object] | None) -> dict[str, Fraction]:
    """Parses a `requests`, `limits`, `hard` or `allocatable`."""
    return {name: parse_quantity(one) for name, one in (message or {}).items()}


def format_quantity(amount: Fraction) -> str:
    """In the largest binary unit that gives a whole number; fractions in thousandths: "1500m"."""
    if amount.denominator != 1:
        return f"{-(-amount * 1000 // 1)}m"
    for unit in _BINARY:
        if amount and amount % _UNITS[unit] == 0:
            return f"{amount / _UNITS[unit]}{unit}"
    return str(amount)


def add(*parts: Amounts) -> dict[str, Fraction]:
    """The sum, resource by resource."""
    return {name: sum((one.get(name, Fraction(0)) for one in parts), Fraction(0)) for name in _names(parts)}


def maximum(*parts: Amounts) -> dict[str, Fraction]:
    """The largest of each resource."""
    return {name: max(one.get(name, Fraction(0)) for one in parts) for name in _names(parts)}


def multiply(parts: Amounts, count: int) -> dict[str, Fraction]:
    return {name: amount * count for name, amount in parts.items()}


def _names(parts: tuple[Amounts, ...]) -> list[str]:
    return sorted({name for one in parts for name in one})
