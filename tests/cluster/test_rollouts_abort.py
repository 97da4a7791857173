"""abort, retry, pause and resume of an Argo Rollout."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from bot.core.errors import Conflict, Rejected
from bot.core.kubernetes import KubernetesObject, ObjectRef
from bot.core.plan import Result
from bot.workloads.argo_rollouts.transitions import RolloutWrite
from bot.workloads.argo_rollouts.write import observe, write
from bot.workloads.objects import kinds
from bot.workloads.objects.argo_rollout import LOOK_AGAIN, Phase
from commands.abort import AbortArgs
from commands.abort import action as abort
from commands.pause import RolloutArgs
from commands.pause import action as pause
from commands.promote import PromoteArgs as Promotion
from commands.promote import action as promote
from commands.resume import action as resume
from commands.retry import action as retry
from tests.cluster.manifests import THREE, deployment
from tests.cluster.rollouts import (
    ANALYSIS,
    PAUSE,
    analysis,
    canary,
    deploy,
    judge,
    overlook,
    pods_of,
    rests_at,
    settled,
    state,
    weight,
)
from tests.cluster.wedges import Wedged
from tests.cluster.world import World

_API = AbortArgs(service="prod/api")
_RETRY, _PAUSE, _RESUME = (
    RolloutArgs(service="prod/api"),
    RolloutArgs(service="prod/api"),
    RolloutArgs(service="prod/api"),
)


def code(world: World, action: Any, args: object) -> str:
    with pytest.raises(Rejected) as why:
        action.plan(args, world.tools)
    assert "Nothing was done." in why.value.message
    return why.value.code


def test_an_abort_gives_all_traffic_back_and_says_that_it_stays_degraded(world: World) -> None:
    before = canary(world, weight(50), PAUSE)

    plan = world.plan(abort, _API)
    outcome = world.run(abort, _API, plan)

    assert (outcome.result, outcome.degraded) == (Result.DONE, "")
    now = state(world)
    assert (now.aborted, now.step, now.weight, now.phase) == (True, 0, 0, Phase.DEGRADED)
    assert now.message.startswith("RolloutAborted: Rollout aborted update to revision 2")
    world.until(lambda: not pods_of(world, before.current), "no pod of the version that was given up")
    assert len(pods_of(world, before.stable)) == 4
    assert (plan.undo_command, plan.check) == ("retry prod/api", "")
    assert any("show it as degraded" in line for line in plan.effect)


def test_what_was_aborted_is_tried_again_from_its_first_step(world: World) -> None:
    before = canary(world, weight(25), PAUSE, weight(50), PAUSE)
    world.run(promote, Promotion(service="prod/api"))
    aborted = world.run(abort, _API, run="6e" * 16)

    plan = world.plan(retry, _RETRY)
    outcome = world.run(retry, _RETRY, plan, run="7d" * 16)

    assert {name: plan.preconditions[name] for name in aborted.expected_state} == dict(aborted.expected_state)
    assert (outcome.result, outcome.degraded) == (Result.DONE, "")
    now = state(world)
    assert (now.aborted, now.step, now.phase, now.current) == (False, 1, Phase.PAUSED, before.current)
    assert plan.undo_command == "abort prod/api"


def test_the_undo_of_a_promotion_sees_what_the_promotion_left(world: World) -> None:
    canary(world, weight(25), PAUSE, weight(50), PAUSE)
    done = world.run(promote, Promotion(service="prod/api"))

    plan = world.plan(abort, _API)

    assert {name: plan.preconditions[name] for name in done.expected_state} == dict(done.expected_state)


def test_what_is_not_aborted_is_not_retried_and_what_is_aborted_is_not_aborted_again(world: World) -> None:
    canary(world, weight(25), PAUSE)
    assert code(world, retry, _RETRY) == "not_aborted"
    world.run(abort, _API)

    assert code(world, abort, _API) == "aborted"


def test_what_is_stable_is_not_aborted(world: World) -> None:
    settled(world, strategy={"canary": {"steps": [weight(25), PAUSE]}})

    assert code(world, abort, _API) == "not_updating"


def test_an_abort_that_died_after_its_write_is_found_again(world: World) -> None:
    canary(world, weight(25), PAUSE)
    plan = world.plan(abort, _API)
    before = world.probe(abort, _API, plan)
    world.run(abort, _API, plan)

    after = world.probe(abort, _API, plan)

    assert (before.result, after.result) == (Result.FAILED, Result.DONE)


def test_an_abort_after_an_analysis_that_could_not_tell_takes_the_pods_out_as_well(world: World) -> None:
    analysis(world)
    before = canary(world, weight(25), ANALYSIS, PAUSE)
    judge(world, "Inconclusive")
    world.until(lambda: state(world).phase is Phase.PAUSED, "the pause of an analysis that could not tell")

    outcome = world.run(abort, _API)

    assert outcome.degraded == ""
    world.until(lambda: not pods_of(world, before.current), "no pod of the version that was given up")


def test_a_retry_that_fails_its_analysis_again_does_not_hold(world: World) -> None:
    analysis(world)
    canary(world, weight(25), ANALYSIS, PAUSE)
    judge(world, "Failed")
    world.until(lambda: state(world).aborted, "the abort")
    world.until(lambda: state(world).phase is Phase.DEGRADED, "the end of the abort")

    plan = world.plan(retry, _RETRY)

    assert any("Step-based analysis phase error/failed" in line for line in plan.effect)


def test_who_pauses_halts_it_and_resume_lets_it_go_on(world: World) -> None:
    canary(world, weight(25), PAUSE)

    plan = world.plan(pause, _PAUSE)
    paused = world.run(pause, _PAUSE, plan)
    halted = state(world)
    back = world.plan(resume, _RESUME)
    outcome = world.run(resume, _RESUME, back, run="6e" * 16)

    assert (paused.degraded, halted.halted, halted.message) == ("", True, "manually paused")
    assert plan.undo_command == "resume prod/api"
    assert {name: back.preconditions[name] for name in paused.expected_state} == dict(paused.expected_state)
    assert (outcome.degraded, state(world).halted, state(world).step) == ("", False, 1)
    assert back.undo_command == "pause prod/api"


def test_while_it_is_paused_by_hand_nothing_else_is_done_to_it(world: World) -> None:
    canary(world, weight(25), PAUSE)
    world.run(pause, _PAUSE)

    assert code(world, abort, _API) == "paused"
    assert code(world, pause, _PAUSE) == "paused"
    assert code(world, promote, Promotion(service="prod/api", far="full")) == "paused"


def test_a_pause_that_died_after_its_write_is_found_again_by_its_annotation(world: World) -> None:
    canary(world, weight(25), PAUSE)
    plan = world.plan(pause, _PAUSE)
    world.run(pause, _PAUSE, plan)
    world.merge(kinds.ROLLOUT, "api", {"spec": {"paused": False}})

    assert world.probe(pause, _PAUSE, plan).result is Result.DONE


def test_what_moved_since_the_plan_is_not_aborted(world: World) -> None:
    canary(world, weight(25), PAUSE)
    plan = world.plan(abort, _API)
    before = state(world).current
    deploy(world, THREE)
    world.until(lambda: state(world).observed and state(world).current != before, "its controller has seen that")

    with pytest.raises(Conflict, match="template: "):
        world.run(abort, _API, plan)


def test_a_deployment_that_flagger_does_not_keep_is_not_aborted(world: World) -> None:
    world.create(kinds.DEPLOYMENT, "api", **deployment())
    world.place()

    with pytest.raises(Rejected, match=r"Nothing was done. `rollback prod/api`"):
        abort.plan(_API, world.tools)


@pytest.mark.parametrize(("action", "args"), [(abort, _API), (pause, _PAUSE)], ids=["abort", "pause"])
def test_a_plan_to_stop_it_holds_however_far_it_gets_and_is_scaled_meanwhile(
    world: World, action: Any, args: object
) -> None:
    canary(world, weight(25), PAUSE, weight(50), PAUSE)
    plan = world.plan(action, args)
    world.run(promote, Promotion(service="prod/api"), run="6e" * 16)
    world.merge(kinds.ROLLOUT, "api", {"spec": {"replicas": 5}})
    world.until(lambda: rests_at(world, 5), "all of it is done")

    assert world.plan(action, args) == plan
    assert world.run(action, args, plan).degraded == ""


def test_a_plan_to_promote_it_holds_while_an_autoscaler_changes_how_many_there_are(world: World) -> None:
    canary(world, weight(25), PAUSE)
    plan = world.plan(promote, Promotion(service="prod/api"))
    world.merge(kinds.ROLLOUT, "api", {"spec": {"replicas": 6}})
    world.until(lambda: rests_at(world, 6), "scaled")

    assert world.plan(promote, Promotion(service="prod/api")) == plan


def test_what_somebody_else_has_paused_is_not_taken_for_the_work_of_a_run_that_died(world: World) -> None:
    canary(world, weight(25), PAUSE)
    plan = world.plan(pause, _PAUSE)
    world.merge(kinds.ROLLOUT, "api", {"spec": {"paused": True}})

    assert world.probe(pause, _PAUSE, plan).result is Result.UNKNOWN


@pytest.mark.parametrize(("action", "args"), [(abort, _API), (pause, _PAUSE)], ids=["abort", "pause"])
def test_its_controller_s_own_write_right_before_is_no_reason_to_give_up(
    world: World, action: Any, args: object
) -> None:
    canary(world, weight(25), PAUSE)
    plan = world.plan(action, args)

    def quicker() -> None:
        world.merge(kinds.ROLLOUT, "api", {"status": {"message": "3 of 4 are there"}}, sub="status")

    world.place(kind=kinds.ROLLOUT, cluster=Wedged(world, before=quicker))

    assert world.run(action, args, plan).degraded == ""


def test_who_writes_before_each_try_is_told_of(world: World) -> None:
    canary(world, weight(25), PAUSE)
    plan = world.plan(abort, _API)
    hands = Outrun(world)
    world.place(kind=kinds.ROLLOUT, cluster=hands)

    with pytest.raises(Conflict):
        world.run(abort, _API, plan)

    assert hands.patched == 5
    assert not state(world).aborted


class Outrun(Wedged):
    """Somebody is quicker each time."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._world = world

    def patch(self, ref: ObjectRef, patch: object, **more: Any) -> KubernetesObject:
        self._world.merge(kinds.ROLLOUT, "api", {"status": {"message": f"{self.patched} are there"}}, sub="status")
        return super().patch(ref, patch, **more)


@pytest.mark.parametrize(
    ("action", "args"),
    [(abort, _API), (pause, _PAUSE), (promote, Promotion(service="prod/api"))],
    ids=["abort", "pause", "promote"],
)
def test_what_its_controller_has_overlooked_is_shown_to_it_again(world: World, action: Any, args: object) -> None:
    canary(world, weight(25), PAUSE, weight(50), PAUSE)
    plan = world.plan(action, args)
    overlook(world)
    began = world.tools.now()

    outcome = world.run(action, args, plan)

    assert (outcome.result, outcome.degraded) == (Result.DONE, "")
    assert world.tools.now() - began < timedelta(minutes=2)
    assert LOOK_AGAIN in world.get(kinds.ROLLOUT, "api")["metadata"]["annotations"]


def test_what_its_controller_has_seen_is_not_shown_to_it_again(world: World) -> None:
    canary(world, weight(25), PAUSE)
    before = world.get(kinds.ROLLOUT, "api")["metadata"].get("annotations") or {}

    world.run(abort, _API)

    assert LOOK_AGAIN not in before
    after = world.get(kinds.ROLLOUT, "api")["metadata"].get("annotations") or {}
    assert world.real or LOOK_AGAIN not in after


def test_who_is_refused_for_what_was_overlooked_is_told_how_it_is_shown_again(world: World) -> None:
    canary(world, weight(25), PAUSE)
    overlook(world)
    world.merge(kinds.ROLLOUT, "api", {"spec": {"minReadySeconds": 1}})

    with pytest.raises(Rejected) as why:
        abort.plan(_API, world.tools)
    world.merge(kinds.ROLLOUT, "api", {"metadata": {"annotations": {LOOK_AGAIN: "1"}}})
    world.until(lambda: state(world).observed, "it is seen")

    assert why.value.code == "unobserved"
    assert f"`kubectl annotate rollout api --overwrite {LOOK_AGAIN}=" in why.value.message


def test_a_run_that_is_probed_shows_nothing_again(world: World) -> None:
    canary(world, weight(25), PAUSE)
    plan = world.plan(abort, _API)
    overlook(world)
    write(observe(world.tools, "prod/api"), RolloutWrite(status={"abort": True}), "5f" * 16)

    outcome = world.probe(abort, _API, plan)

    assert (outcome.result, outcome.degraded.partition(": ")[2]) == (
        Result.DONE,
        "its controller has not seen the change yet.",
    )
    assert LOOK_AGAIN not in world.get(kinds.ROLLOUT, "api")["metadata"]["annotations"]
