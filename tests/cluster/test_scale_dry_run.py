"""scale sends its write as a dry run while planning: a refusal of admission is known before any approval."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bot.core.plan import Result
from bot.workloads.objects import kinds
from tests.cluster.scale_world import SCALE, Meddled, deployed, refused, replicas, to
from tests.cluster.world import World

_NO_DRY_RUN = 'admission webhook "limits.example.com" does not support dry run'


def dry_run(world: World, **answer: Any) -> Meddled:
    """A cluster that answers each dry run like this, and writes as ever."""
    fake = world.fake
    return Meddled(world, dry=lambda: fake.answer_next(path="/scale", **answer))


def test_where_a_webhook_takes_no_dry_run_the_plan_says_so_and_stands(world: World) -> None:
    deployed(world)
    said = {"kind": "Status", "code": 400, "reason": "BadRequest", "message": _NO_DRY_RUN}
    world.place(cluster=dry_run(world, status=400, body=json.dumps(said).encode()))

    plan = world.plan(SCALE, to(5))
    outcome = world.run(SCALE, to(5), plan)

    told = f"Only the write itself shows whether it is accepted. Cluster main answered 400: {_NO_DRY_RUN}."
    assert told in plan.effect
    assert (outcome.result, replicas(world)) == (Result.DONE, 5)


@pytest.mark.parametrize("answer", [{"status": 500}, {"status": 503}, {"reset": True}], ids=str)
def test_a_dry_run_without_an_answer_leaves_the_plan_standing(world: World, answer: dict[str, Any]) -> None:
    deployed(world)
    world.place(cluster=dry_run(world, **answer))

    plan = world.plan(SCALE, to(5))

    assert "It is unknown whether the cluster accepts it: it did not answer a dry run." in plan.effect


@pytest.mark.parametrize("status", [400, 403, 422, 429])
def test_what_admission_refuses_is_found_out_while_planning(world: World, status: int) -> None:
    deployed(world)
    world.place(cluster=dry_run(world, status=status))

    assert f"answered {status}" in refused(world, to(5))
    assert replicas(world) == 3


def test_what_changes_between_the_look_and_the_dry_run_is_refused_in_words(world: World) -> None:
    deployed(world)
    world.place(cluster=Meddled(world, dry=lambda: world.merge(kinds.DEPLOYMENT, "api", {"spec": {"replicas": 4}})))

    assert "changed during planning" in refused(world, to(5))
