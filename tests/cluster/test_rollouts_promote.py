"""promote of an Argo Rollout's canary: one step, once; the refusals; in full; and how a run is found again."""

from __future__ import annotations

import json

import pytest

from bot.core.errors import Conflict, Rejected
from bot.core.plan import Result
from bot.workloads.objects import kinds
from bot.workloads.objects.argo_rollout import Phase
from commands.abort import AbortArgs as Service
from commands.abort import action as abort
from commands.promote import PromoteArgs
from commands.promote import action as promote
from tests.cluster.manifests import THREE
from tests.cluster.rollouts import ANALYSIS, PAUSE, analysis, canary, deploy, judge, settled, state, weight
from tests.cluster.wedges import Wedged
from tests.cluster.world import World

_API = PromoteArgs(service="prod/api")
_FULL = PromoteArgs(service="prod/api", far="full")


def refused(world: World, args: PromoteArgs = _API) -> Rejected:
    with pytest.raises(Rejected) as why:
        promote.plan(args, world.tools)
    assert "Nothing was done." in why.value.message
    return why.value


def test_a_paused_canary_goes_on_to_its_next_stop(world: World) -> None:
    before = canary(world, weight(25), PAUSE, weight(50), PAUSE, weight(75))

    plan = world.plan(promote, _API)
    outcome = world.run(promote, _API, plan)

    assert (outcome.result, outcome.degraded) == (Result.DONE, "")
    now = state(world)
    assert (now.step, now.phase, now.weight) == (3, Phase.PAUSED, 50)
    assert plan.undo_command == "abort prod/api"
    assert any("stops again at step 4 of 5" in line for line in plan.effect)
    assert outcome.expected_state == {"template": before.current}


def test_the_last_stop_ends_in_a_version_that_is_stable(world: World) -> None:
    before = canary(world, weight(25), PAUSE)

    plan = world.plan(promote, _API)
    outcome = world.run(promote, _API, plan)

    assert (outcome.result, outcome.degraded) == (Result.DONE, "")
    now = state(world)
    assert (now.done, now.stable) == (True, before.current)
    assert plan.undo_command == f"rollback prod/api to {before.stable}"


def test_two_promotions_of_one_plan_go_one_step(world: World) -> None:
    canary(world, weight(25), PAUSE, weight(50), PAUSE, weight(75), PAUSE)
    plan = world.plan(promote, _API)
    world.run(promote, _API, plan)

    with pytest.raises(Conflict):
        world.run(promote, _API, plan, run="6e" * 16)

    assert state(world).step == 3


def test_a_second_promotion_before_the_controller_has_seen_the_first_is_refused(world: World) -> None:
    canary(world, weight(25), PAUSE, weight(50), PAUSE)
    world.fake.held_still = True
    world.merge(kinds.ROLLOUT, "api", {"status": {"pauseConditions": None}}, sub="status")

    assert refused(world).code == "unpausing"


def test_somebody_who_was_quicker_makes_it_fail_whole(world: World) -> None:
    canary(world, weight(25), PAUSE, weight(50), PAUSE)
    plan = world.plan(promote, _API)
    world.merge(kinds.ROLLOUT, "api", {"status": {"pauseConditions": None}}, sub="status")
    world.until(lambda: state(world).step == 3, "the step that somebody else took")

    with pytest.raises(Conflict, match="step: 1 -> 3"):
        world.run(promote, _API, plan)

    assert state(world).step == 3


def test_a_change_of_what_the_plan_saw_between_the_last_look_and_the_write_is_not_overwritten(world: World) -> None:
    canary(world, weight(25), PAUSE, weight(50), PAUSE)
    plan = world.plan(promote, _API)
    spec = {"spec": {"minReadySeconds": 1}}
    world.place(kind=kinds.ROLLOUT, cluster=Wedged(world, before=lambda: world.merge(kinds.ROLLOUT, "api", spec)))

    with pytest.raises(Conflict, match="spec: "):
        world.run(promote, _API, plan)

    assert state(world).step == 1


def test_a_change_of_anything_else_right_before_the_write_is_looked_at_and_it_is_promoted_once(world: World) -> None:
    canary(world, weight(25), PAUSE, weight(50), PAUSE, weight(75), PAUSE)
    plan = world.plan(promote, _API)
    note = {"metadata": {"annotations": {"team": "shop"}}}
    world.place(kind=kinds.ROLLOUT, cluster=Wedged(world, before=lambda: world.merge(kinds.ROLLOUT, "api", note)))

    outcome = world.run(promote, _API, plan)

    assert (outcome.degraded, state(world).step) == ("", 3)


def test_what_was_aborted_is_not_promoted_but_by_retry_or_in_full(world: World) -> None:
    canary(world, weight(25), PAUSE)
    world.run(abort, Service(service="prod/api"))

    why = refused(world)

    assert why.code == "aborted"
    assert "`retry prod/api`" in why.message
    assert "`promote prod/api full`" in why.message
    assert "`rollback prod/api`" in why.message


def test_what_is_not_being_updated_is_not_promoted(world: World) -> None:
    settled(world, strategy={"canary": {"steps": [weight(25), PAUSE]}})

    assert refused(world).code == "not_updating"
    assert refused(world, _FULL).code == "not_updating"


def test_what_is_paused_by_hand_is_resumed_first(world: World) -> None:
    canary(world, weight(25), PAUSE)
    world.merge(kinds.ROLLOUT, "api", {"spec": {"paused": True}})

    why = refused(world)

    assert why.code == "paused"
    assert "`resume prod/api` first" in why.message


def test_a_pause_with_a_time_says_when_it_ends_and_can_be_cut_short(world: World) -> None:
    canary(world, weight(25), {"pause": {"duration": "1h"}}, weight(50), PAUSE)

    plan = world.plan(promote, _API)
    outcome = world.run(promote, _API, plan)

    assert any("It continues by itself at " in line for line in plan.effect)
    assert outcome.degraded == ""
    assert state(world).step == 3


def test_an_analysis_that_runs_is_skipped_by_two_people_only(world: World) -> None:
    needs = (weight(25), ANALYSIS, weight(50), PAUSE)
    analysis(world)
    canary(world, *needs)
    world.until(lambda: getattr(state(world).analysis("step"), "phase", "") == "Running", "the analysis")

    plan = world.plan(promote, _API)
    outcome = world.run(promote, _API, plan)

    assert plan.approvals_needed == 1
    assert any("is not waited for any more" in line for line in plan.effect)
    assert outcome.degraded == ""
    assert state(world).step == 3


def test_what_could_not_be_told_is_left_behind_by_a_promotion(world: World) -> None:
    analysis(world)
    canary(world, weight(25), ANALYSIS, weight(50), PAUSE)
    judge(world, "Inconclusive")
    world.until(lambda: state(world).phase is Phase.PAUSED, "the pause of an analysis that could not tell")

    plan = world.plan(promote, _API)
    outcome = world.run(promote, _API, plan)

    assert any("inconclusive" in line for line in plan.effect)
    assert outcome.degraded == ""
    assert (state(world).step, state(world).phase) == (3, Phase.PAUSED)


def test_an_analysis_that_fails_after_the_promotion_is_why_it_does_not_hold(world: World) -> None:
    analysis(world)
    canary(world, weight(25), ANALYSIS, PAUSE)
    judge(world, "Failed")
    world.until(lambda: state(world).aborted, "the abort")

    assert refused(world).code == "aborted"
    assert "Step-based analysis" in state(world).message


def test_in_full_takes_all_steps_and_wants_a_second_person_and_the_name(world: World) -> None:
    before = canary(world, weight(25), PAUSE, weight(50), PAUSE)

    plan = world.plan(promote, _FULL)
    outcome = world.run(promote, _FULL, plan)

    assert (plan.approvals_needed, plan.confirm_name) == (1, "api")
    assert any("that are left, with their pauses and analyses" in line for line in plan.effect)
    assert (outcome.result, outcome.degraded) == (Result.DONE, "")
    now = state(world)
    assert (now.done, now.stable, now.full) == (True, before.current, False)


def test_in_full_forgets_that_it_was_aborted(world: World) -> None:
    before = canary(world, weight(25), PAUSE)
    world.run(abort, Service(service="prod/api"))

    plan = world.plan(promote, _FULL)
    outcome = world.run(promote, _FULL, plan, run="6e" * 16)

    assert any("Its abort is revoked." in line for line in plan.effect)
    assert outcome.degraded == ""
    assert state(world).stable == before.current


def test_somebody_s_new_version_meanwhile_is_why_it_does_not_hold(world: World) -> None:
    canary(world, weight(25), PAUSE, weight(50), PAUSE)
    plan = world.plan(promote, _API)
    deploy(world, THREE)

    with pytest.raises(Conflict):
        world.run(promote, _API, plan)


def test_a_run_that_died_after_its_write_is_found_by_its_effect(world: World) -> None:
    canary(world, weight(25), PAUSE, weight(50), PAUSE)
    plan = world.plan(promote, _API)
    before = world.probe(promote, _API, plan)
    world.run(promote, _API, plan)

    after = world.probe(promote, _API, plan)

    assert (before.result, after.result) == (Result.FAILED, Result.DONE)


def test_a_run_in_full_that_died_after_its_write_is_found_again(world: World) -> None:
    canary(world, weight(25), PAUSE)
    plan = world.plan(promote, _FULL)
    before = world.probe(promote, _FULL, plan)
    world.run(promote, _FULL, plan)

    after = world.probe(promote, _FULL, plan)

    assert (before.result, after.result) == (Result.FAILED, Result.DONE)


def test_what_somebody_changed_since_is_not_called_a_run_s(world: World) -> None:
    canary(world, weight(25), PAUSE, weight(50), PAUSE)
    plan = world.plan(promote, _API)
    deploy(world, THREE)
    world.until(lambda: state(world).phase is Phase.PAUSED, "the newer version's pause")

    assert world.probe(promote, _API, plan).result is Result.UNKNOWN


def test_who_may_not_write_the_status_is_told_before_any_yes(world: World) -> None:
    canary(world, weight(25), PAUSE)
    world.fake.rights.denied["vakhta"] = {("patch", "rollouts/status")}

    why = refused(world)

    assert "patch rollouts/status.argoproj.io" in why.message


def test_a_weight_is_not_for_a_rollout(world: World) -> None:
    canary(world, weight(25), PAUSE)

    assert refused(world, PromoteArgs(service="prod/api", far="40%")).code == "bad_weight"


def test_where_rollouts_have_no_status_of_their_own_the_object_is_written_to(world: World) -> None:
    canary(world, weight(25), PAUSE, weight(50), PAUSE)
    plan = world.plan(promote, _API)
    world.fake.answer_next(status=404, path="/rollouts/api/status")
    world.fake.held_still = True

    outcome = world.run(promote, _API, plan)

    written = [json.loads(one.body) for one in world.fake.writes() if one.path.endswith("/rollouts/api")]
    assert [one["status"] for one in written if "status" in one] == [{"pauseConditions": None}]
    assert "has not seen the change yet" in outcome.degraded


def test_a_cluster_that_is_gone_after_the_write_does_not_make_it_a_refusal(world: World) -> None:
    canary(world, weight(25), PAUSE, weight(50), PAUSE)
    plan = world.plan(promote, _API)
    world.place(kind=kinds.ROLLOUT, cluster=Wedged(world, then=lambda: silent(world)))

    outcome = world.run(promote, _API, plan)

    assert outcome.result is Result.DONE
    assert " after the change: Cluster main answered 403: " in outcome.degraded


def silent(world: World) -> None:
    """From here on the bot is told nothing any more."""
    world.fake.answer_next(status=403, times=5000, path="/rollouts/api")


def test_what_came_to_its_end_by_itself_is_not_taken_for_the_work_of_a_run_that_died(world: World) -> None:
    canary(world, weight(25), {"pause": {"duration": "20s"}}, weight(50))
    plan = world.plan(promote, _FULL)

    world.until(lambda: state(world).done, "it ends by itself")

    assert world.probe(promote, _FULL, plan).result is Result.UNKNOWN
