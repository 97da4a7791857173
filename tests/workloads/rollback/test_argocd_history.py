"""How Argo CD's history is read, and which entry a rollback goes to."""

from __future__ import annotations

from typing import Any

import pytest

from bot.core.errors import Rejected
from bot.workloads.rollback import argocd_history
from tests.fakes.argocd import SOURCE, entry

_A, _B, _C = "a" * 40, "b" * 40, "c" * 40


def app(*rows: dict[str, Any], **status: Any) -> dict[str, Any]:
    return {"metadata": {"name": "shop"}, "status": {"history": list(rows), **status}}


@pytest.mark.parametrize(
    ("rows", "wish", "number"),
    [
        ([entry(1, _A), entry(2, _B)], "", 1),
        ([entry(2, _B), entry(1, _A)], "", 1),
        # What it runs was deployed before as well, and again.
        ([entry(1, _A), entry(2, _B), entry(3, _B)], "", 1),
        # After a rollback it is the newer one that differs.
        ([entry(1, _A), entry(2, _B), entry(3, _A)], "", 2),
        ([entry(1, _A), entry(2, _B), entry(3, _C)], "1", 1),
        ([entry(1, _A), entry(2, _B), entry(3, _C)], _A, 1),
        ([entry(1, _A), entry(2, _B), entry(3, _C)], "aaaaaaa", 1),
        # The same revision from other values is another deployment.
        ([entry(1, _A, {**SOURCE, "helm": {"parameters": []}}), entry(2, _A)], "", 1),
        ([entry(1, "1.4.0", {"chart": "api"}), entry(2, "1.5.0", {"chart": "api"})], "1.4.0", 1),
    ],
)
def test_it_goes_to_what_is_wished_or_to_the_newest_that_differs(
    rows: list[dict[str, Any]], wish: str, number: int
) -> None:
    assert argocd_history.choose(app(*rows), wish).goal.number == number


@pytest.mark.parametrize(
    ("rows", "wish", "said"),
    [
        ([], "", "has no history of it"),
        ([entry(1, _A)], "", "has nothing older that differs from 1"),
        ([entry(1, _A), entry(2, _A)], "", "has nothing older that differs from 2"),
        ([entry(1, _A), entry(2, _B)], "7", r"history has no 7\. It has 1 \(revision aaaaaaaa"),
        ([entry(1, _A), entry(2, _B)], "aaaaaa", "history has no aaaaaa"),
        ([entry(1, _A), entry(2, _B)], "2", "It already runs"),
        ([entry(1, _A), entry(2, _B), entry(3, _A)], "1", "It already runs 3"),
    ],
)
def test_where_it_cannot_go_it_says_where_it_could(rows: list[dict[str, Any]], wish: str, said: str) -> None:
    with pytest.raises(Rejected, match=said):
        argocd_history.choose(app(*rows), wish)


def test_an_entry_is_shown_by_its_number_its_revision_and_when() -> None:
    (shown,) = argocd_history.history(app(entry(1, _A)))

    assert str(shown) == "1 (revision aaaaaaaa, deployed 2026-11-21 10:00:00 UTC)"


def test_an_entry_of_several_sources_shows_each_revision() -> None:
    row = {"id": 4, "revisions": [_A, "1.4.0"], "sources": [SOURCE, {"chart": "api"}], "deployedAt": "?"}

    (shown,) = argocd_history.history(app(row))

    assert shown.short == "aaaaaaaa, 1.4.0"


@pytest.mark.parametrize(
    ("state", "after", "ours"),
    [
        ({"startedAt": "t2", "operation": {"sync": {"revision": _A}}}, "t1", True),
        ({"startedAt": "t1", "operation": {"sync": {"revision": _A}}}, "t1", False),
        ({"startedAt": "t2", "operation": {"sync": {"revision": _B}}}, "t1", False),
        ({"startedAt": "t2", "operation": {}}, "t1", False),
    ],
)
def test_our_operation_is_the_one_that_began_since_and_goes_there(
    state: dict[str, Any], after: str, *, ours: bool
) -> None:
    (goal,) = argocd_history.history(app(entry(1, _A)))

    assert argocd_history.goes_to(app(operationState=state), goal, after=after) is ours
