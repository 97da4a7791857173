"""promote and abort of blue-green by Argo Rollouts."""

from __future__ import annotations

import pytest

from bot.core.errors import Rejected
from bot.core.plan import Result
from bot.workloads.objects import kinds
from bot.workloads.objects.argo_rollout import HASH, Phase
from commands.abort import AbortArgs as Service
from commands.abort import action as abort
from commands.promote import PromoteArgs
from commands.promote import action as promote
from tests.cluster.rollouts import analysis, blue_green, judge, pods_of, state
from tests.cluster.world import World

_API = PromoteArgs(service="prod/api")
_ANALYSIS = {"templates": [{"templateName": "errors"}]}


def selected(world: World, service: str = "active") -> str:
    return str(world.get(kinds.SERVICE, service)["spec"]["selector"][HASH])


def test_a_promotion_switches_the_service_over(world: World) -> None:
    before = blue_green(world)
    assert (selected(world), selected(world, "preview")) == (before.stable, before.current)

    plan = world.plan(promote, _API)
    outcome = world.run(promote, _API, plan)

    assert (outcome.result, outcome.degraded) == (Result.DONE, "")
    assert selected(world) == before.current
    assert (state(world).stable, state(world).phase) == (before.current, Phase.HEALTHY)
    assert plan.undo_command == f"rollback prod/api to {before.stable}"


def test_a_small_preview_grows_before_the_switch(world: World) -> None:
    before = blue_green(world, previewReplicaCount=1)
    assert len(pods_of(world, before.current)) == 1

    outcome = world.run(promote, _API)

    assert outcome.degraded == ""
    assert len(pods_of(world, before.current)) == 2


def test_in_full_it_does_not_wait_for_its_analysis(world: World) -> None:
    analysis(world)
    before = blue_green(world, postPromotionAnalysis=_ANALYSIS)

    outcome = world.run(promote, PromoteArgs(service="prod/api", far="full"))

    assert (outcome.degraded, selected(world)) == ("", before.current)


def test_an_abort_before_the_switch_leaves_the_traffic_where_it_is(world: World) -> None:
    before = blue_green(world)

    outcome = world.run(abort, Service(service="prod/api"))

    assert (outcome.result, outcome.degraded) == (Result.DONE, "")
    assert (selected(world), state(world).phase) == (before.stable, Phase.DEGRADED)


def test_an_analysis_that_fails_after_the_switch_is_why_it_does_not_hold(world: World) -> None:
    analysis(world)
    before = blue_green(world, postPromotionAnalysis=_ANALYSIS)
    world.merge(kinds.ROLLOUT, "api", {"status": {"pauseConditions": None}}, sub="status")
    judge(world, "Failed", what="post-promotion")

    world.until(lambda: selected(world) == before.stable, "the way back")

    assert state(world).aborted


def test_what_is_not_waiting_is_not_promoted(world: World) -> None:
    analysis(world)
    blue_green(world, postPromotionAnalysis=_ANALYSIS)
    world.merge(kinds.ROLLOUT, "api", {"status": {"pauseConditions": None}}, sub="status")
    world.until(lambda: state(world).analysis("post-promotion"), "the analysis after the switch")

    with pytest.raises(Rejected, match="Nothing was done") as why:
        promote.plan(_API, world.tools)

    assert why.value.code == "not_paused"
