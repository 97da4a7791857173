"""Matches labels against selectors: of pods, and of nodes, which have two more operators. Pure.

https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

_NUMBER = {"Gt": operator.gt, "Lt": operator.lt}
_TESTS: Mapping[str, Callable[[str | None, Sequence[str]], bool]] = {
    "In": lambda value, values: value in values,
    "NotIn": lambda value, values: value not in values,
    "Exists": lambda value, _: value is not None,
    "DoesNotExist": lambda value, _: value is None,
}


def fits(selector: Mapping[str, Any] | None, labels: Mapping[str, str]) -> bool:
    """Whether the labels match. A missing selector matches nothing, an empty one everything."""
    if selector is None:
        return False
    pairs = (selector.get("matchLabels") or {}).items()
    return all(labels.get(name) == value for name, value in pairs) and all(
        meets(one, labels) for one in selector.get("matchExpressions") or ()
    )


def meets(one: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """One expression with `key`, `operator` and `values`. An unknown operator never matches."""
    value, values, how = labels.get(one["key"]), list(one.get("values") or ()), one["operator"]
    if how in _NUMBER:
        return bool(value) and str(value).lstrip("-").isdigit() and _NUMBER[how](int(str(value)), int(values[0]))
    return how in _TESTS and _TESTS[how](value, values)
