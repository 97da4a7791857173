"""Which PodDisruptionBudget would allow no eviction any more, and which pods a selector selects."""

from __future__ import annotations

from typing import Any

import pytest

from bot.workloads.objects.label_selector import fits
from bot.workloads.scale.disruption_budgets import blocked_by

_LABELS = {"app": "api", "tier": "web"}


def budget(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "api"}, "spec": {"selector": {"matchLabels": {"app": "api"}}, **spec}}


@pytest.mark.parametrize(
    ("spec", "count", "blocks"),
    [
        ({"minAvailable": 2}, 3, False),
        ({"minAvailable": 2}, 2, True),
        ({"minAvailable": 3}, 2, True),
        ({"minAvailable": "50%"}, 2, False),
        ({"minAvailable": "51%"}, 2, True),
        ({"minAvailable": "50%"}, 1, True),
        ({"minAvailable": "100%"}, 9, True),
        ({"maxUnavailable": 0}, 9, True),
        ({"maxUnavailable": 1}, 1, False),
        ({"maxUnavailable": "1%"}, 2, False),
        ({"maxUnavailable": "0%"}, 2, True),
        ({"minAvailable": 2}, 0, False),
    ],
)
def test_a_budget_blocks_where_all_that_are_left_must_stay(spec: dict[str, Any], count: int, *, blocks: bool) -> None:
    assert (blocked_by([budget(**spec)], _LABELS, count) == "api") is blocks


def test_a_budget_of_other_pods_does_not_count() -> None:
    other = {"metadata": {"name": "db"}, "spec": {"selector": {"matchLabels": {"app": "db"}}, "minAvailable": 9}}

    assert blocked_by([other], _LABELS, 2) == ""


@pytest.mark.parametrize(
    ("selector", "selects"),
    [
        (None, False),
        ({}, True),
        ({"matchLabels": {"app": "api"}}, True),
        ({"matchLabels": {"app": "db"}}, False),
        ({"matchExpressions": [{"key": "app", "operator": "In", "values": ["api", "db"]}]}, True),
        ({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["api"]}]}, False),
        ({"matchExpressions": [{"key": "zone", "operator": "NotIn", "values": ["a"]}]}, True),
        ({"matchExpressions": [{"key": "tier", "operator": "Exists"}]}, True),
        ({"matchExpressions": [{"key": "zone", "operator": "DoesNotExist"}]}, True),
        ({"matchExpressions": [{"key": "app", "operator": "Sometimes"}]}, False),
        ({"matchLabels": {"app": "api"}, "matchExpressions": [{"key": "zone", "operator": "Exists"}]}, False),
    ],
)
def test_a_selector_selects_by_all_that_it_says(selector: dict[str, Any] | None, *, selects: bool) -> None:
    assert fits(selector, _LABELS) is selects
