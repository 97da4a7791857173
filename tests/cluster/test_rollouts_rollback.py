"""rollback of an Argo Rollout: an update in progress is aborted, otherwise an older template is restored."""

from __future__ import annotations

from typing import Any

import pytest

from bot.core.errors import Conflict, Rejected
from bot.core.plan import Plan, Result
from bot.workloads.objects import kinds
from bot.workloads.objects.argo_rollout import HASH, Phase
from commands.abort import AbortArgs as Abort
from commands.abort import action as abort
from commands.promote import PromoteArgs as Promote
from commands.promote import action as promote
from commands.rollback import RollbackArgs, action
from tests.cluster.manifests import TWO, deployment, rollout
from tests.cluster.rollouts import PAUSE, blue_green, canary, state, weight
from tests.cluster.world import World

_API = RollbackArgs(service="prod/api")
_FULL = Promote(service="prod/api", far="full")
_STEPS = (weight(25), PAUSE, weight(50), PAUSE)


def told(plan: Plan, words: str) -> bool:
    return any(words in line for line in plan.effect)


def image(world: World, kind: Any = kinds.ROLLOUT) -> str:
    return str(world.get(kind, "api")["spec"]["template"]["spec"]["containers"][0]["image"])


def test_an_update_on_its_way_is_aborted(world: World) -> None:
    before = canary(world, *_STEPS)

    plan = world.plan(action, _API)
    outcome = world.run(action, _API, plan)

    assert told(plan, "so the rollback is its abort")
    assert plan.undo_command == "retry prod/api"
    assert (outcome.result, outcome.degraded) == (Result.DONE, "")
    assert (state(world).aborted, state(world).current) == (True, before.current)


def test_after_an_abort_it_goes_back_to_what_is_stable_without_steps(world: World) -> None:
    before = canary(world, *_STEPS)
    world.run(abort, Abort(service="prod/api"))

    plan = world.plan(action, _API)
    outcome = world.run(action, _API, plan, run="6e" * 16)

    assert told(plan, "skips all steps")
    assert (outcome.result, outcome.degraded) == (Result.DONE, "")
    now = state(world)
    assert (now.current, now.phase, now.aborted) == (before.stable, Phase.HEALTHY, False)
    assert plan.undo_command == f"rollback prod/api to {before.current}"


def test_by_name_an_update_on_its_way_goes_back_to_what_is_stable_without_an_abort(world: World) -> None:
    before = canary(world, *_STEPS)

    plan = world.plan(action, RollbackArgs(service="prod/api", revision=before.stable))
    outcome = world.run(action, RollbackArgs(service="prod/api", revision=before.stable), plan)

    assert told(plan, "skips all steps")
    assert outcome.degraded == ""
    assert (state(world).current, state(world).phase) == (before.stable, Phase.HEALTHY)


def test_what_was_promoted_runs_all_its_steps_again_on_the_way_back(world: World) -> None:
    before = canary(world, *_STEPS)
    promoted = world.run(promote, _FULL)

    plan = world.plan(action, _API)
    outcome = world.run(action, _API, plan, run="6e" * 16)

    assert {name: plan.preconditions[name] for name in promoted.expected_state} == dict(promoted.expected_state)
    assert told(plan, "a new rollout with all 4 steps")
    assert (outcome.result, outcome.degraded) == (Result.DONE, "")
    now = state(world)
    assert (now.current, now.phase, now.step) == (before.stable, Phase.PAUSED, 1)
    assert (plan.undo_command, outcome.expected_state) == (
        f"rollback prod/api to {before.current}",
        {"template": before.stable},
    )


def test_within_its_window_it_goes_back_without_steps(world: World) -> None:
    before = canary(world, *_STEPS, rollbackWindow={"revisions": 3})
    world.run(promote, _FULL)

    plan = world.plan(action, _API)
    outcome = world.run(action, _API, plan, run="6e" * 16)

    assert told(plan, "within the Rollout's rollbackWindow")
    assert outcome.degraded == ""
    assert (state(world).stable, state(world).phase) == (before.stable, Phase.HEALTHY)


def test_blue_green_goes_back_at_once_while_its_pods_still_run(world: World) -> None:
    before = blue_green(world, scaleDownDelaySeconds=600)
    world.run(promote, Promote(service="prod/api"))
    world.until(lambda: _dated(world, before.stable), "the mark until when the older pods stay")

    plan = world.plan(action, _API)
    outcome = world.run(action, _API, plan, run="6e" * 16)

    assert told(plan, "Its pods still run, until ")
    assert outcome.degraded == ""
    assert (state(world).stable, state(world).phase) == (before.stable, Phase.HEALTHY)


def test_a_template_of_another_object_is_put_back_there(world: World) -> None:
    world.needs_rollouts()
    world.create(kinds.DEPLOYMENT, "api", **deployment(replicas=0))
    body = rollout(replicas=2, strategy={"canary": {"steps": [*_STEPS]}})
    body["spec"].pop("template")
    body["spec"]["workloadRef"] = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "api"}
    world.create(kinds.ROLLOUT, "api", **body)
    world.place(kind=kinds.ROLLOUT, cluster=world.admin)  # Which Deployment that is, no Role can know beforehand.
    world.until(lambda: state(world).done, "the first version")
    old = image(world, kinds.DEPLOYMENT)
    containers = [{**world.get(kinds.DEPLOYMENT, "api")["spec"]["template"]["spec"]["containers"][0], "image": TWO}]
    world.merge(kinds.DEPLOYMENT, "api", {"spec": {"template": {"spec": {"containers": containers}}}})
    world.until(lambda: state(world).phase is Phase.PAUSED, "the pause of the second version")
    stable = RollbackArgs(service="prod/api", revision=state(world).stable)

    outcome = world.run(action, stable)

    assert (outcome.result, outcome.degraded) == (Result.DONE, "")
    assert image(world, kinds.DEPLOYMENT) == old
    assert state(world).done


def test_what_moved_since_the_plan_is_not_put_back(world: World) -> None:
    before = canary(world, *_STEPS)
    stable = RollbackArgs(service="prod/api", revision=before.stable)
    plan = world.plan(action, stable)
    world.run(action, stable, plan)

    with pytest.raises(Conflict):
        world.run(action, stable, plan, run="6e" * 16)


def test_what_is_paused_by_hand_does_not_go_back(world: World) -> None:
    canary(world, *_STEPS)
    world.merge(kinds.ROLLOUT, "api", {"spec": {"paused": True}})

    with pytest.raises(Rejected, match="`resume prod/api` first"):
        action.plan(_API, world.tools)


def test_a_run_that_died_after_its_write_is_found_again(world: World) -> None:
    canary(world, *_STEPS)
    world.run(promote, _FULL)
    plan = world.plan(action, _API)
    before = world.probe(action, _API, plan, run="6e" * 16)
    world.run(action, _API, plan, run="6e" * 16)

    after = world.probe(action, _API, plan, run="6e" * 16)

    assert (before.result, after.result) == (Result.FAILED, Result.DONE)


def _dated(world: World, template: str) -> bool:
    (found,) = world.every(kinds.REPLICASET, f"{HASH}={template}")
    return "scale-down-deadline" in (found["metadata"].get("annotations") or {})
