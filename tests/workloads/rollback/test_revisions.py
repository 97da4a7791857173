"""Which of the kept revisions a request means."""

from __future__ import annotations

from typing import Any

import pytest

from bot.core.errors import Rejected
from bot.workloads.rollback.revisions import Revision, choose, current


def template(image: str, restarted: str = "") -> dict[str, Any]:
    notes = {"annotations": {"kubectl.kubernetes.io/restartedAt": restarted}} if restarted else {}
    return {"metadata": {"labels": {"app": "api"}} | notes, "spec": {"containers": [{"name": "api", "image": image}]}}


def kept(number: int, key: str, image: str, restarted: str = "") -> Revision:
    return Revision(
        number=number,
        hash=key,
        name=f"api-{key}",
        uid=f"uid-{key}",
        label=("pod-template-hash", key),
        template=template(image, restarted),
        kept={},
    )


ONE, TWO = kept(1, "aaa", "api:1"), kept(2, "bbb", "api:2")
AGAIN, TWICE = kept(3, "ccc", "api:2", "monday"), kept(4, "ddd", "api:2", "tuesday")
ALL = (TWICE, AGAIN, TWO, ONE)


@pytest.mark.parametrize(
    ("revisions", "now", "wish", "goal", "passed"),
    [
        ((TWO, ONE), TWO, "", "aaa", []),
        (ALL, TWICE, "", "aaa", ["ccc", "bbb"]),
        (ALL, AGAIN, "", "aaa", ["bbb"]),
        (ALL, TWICE, "3", "ccc", []),
        (ALL, TWICE, "bbb", "bbb", []),
        (ALL, TWICE, "api-aaa", "aaa", []),
        (ALL, ONE, "ddd", "ddd", []),
        ((kept(5, "1", "api:5"), kept(1, "e", "api:1")), None, "1", "1", []),
        ((TWO, ONE), None, "", "bbb", []),
    ],
    ids=[
        "the one before",
        "restarts are passed over",
        "what is newer than now is not older",
        "by number",
        "by hash",
        "by name",
        "forward too",
        "a hash of digits goes before a number",
        "of what is not kept yet the newest",
    ],
)
def test_a_wish_means_one_revision(
    revisions: tuple[Revision, ...], now: Revision | None, wish: str, goal: str, passed: list[str]
) -> None:
    choice = choose(revisions, now, template("api:9") if now is None else now.template, wish)

    assert (choice.goal.hash, [one.hash for one in choice.passed]) == (goal, passed)
    assert choice.now is now


@pytest.mark.parametrize(
    ("revisions", "wish", "said"),
    [
        ((TWO,), "", "There is no older revision to roll back to. Nothing was done."),
        ((AGAIN, TWO), "", "Revisions: 2 (bbb). To roll back to one anyway, name it."),
        (ALL, "7", "It has no revision 7. Nothing was done. Revisions: 4 (ddd), 3 (ccc), 2 (bbb), 1 (aaa)."),
        ((), "7", "Revisions: none."),
        ((TWO, ONE), "2", "It is already at revision 2 (bbb). Nothing was done."),
        ((TWO, ONE), "bbb", "It is already at revision 2 (bbb). Nothing was done."),
    ],
)
def test_what_cannot_be_gone_back_to_is_refused_in_words(revisions: tuple[Revision, ...], wish: str, said: str) -> None:
    now = revisions[0] if revisions else TWO

    with pytest.raises(Rejected) as refused:
        choose(revisions, now, now.template, wish)

    assert said in refused.value.message


def workload(image: str, restarted: str = "", *, observed: int = 1) -> dict[str, Any]:
    meta = {"name": "api", "generation": 2}
    return {
        "metadata": meta,
        "spec": {"template": template(image, restarted)},
        "status": {"observedGeneration": observed},
    }


def test_the_current_revision_is_that_of_the_template_and_none_is_while_it_is_not_made() -> None:
    assert current(ALL, workload("api:2", "monday")) is AGAIN
    assert current(ALL, workload("api:3")) is None
    assert current((), workload("api:3", observed=2)) is None


def test_of_a_template_that_its_controller_has_seen_the_newest_is_it_whatever_fields_it_lacks() -> None:
    assert current(ALL, workload("api:3", observed=2)) is TWICE
