"""After a run's process died, the wait resumes: the changed workload is judged, and nothing is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from bot.core.plan import Outcome, Plan, Result
from bot.workloads.objects import kinds
from bot.workloads.objects.status import NOT_OBSERVED
from bot.workloads.objects.wait import UNKNOWN_AFTER_RESTART
from commands import abort, promote, restart, rollback
from tests.cluster import manifests
from tests.cluster.manifests import ONE, THREE, TWO
from tests.cluster.revising import deploy, deployed
from tests.cluster.rollouts import PAUSE, canary, state, weight
from tests.cluster.rollouts import deploy as deploy_rollout
from tests.cluster.scale_world import SCALE, to
from tests.cluster.scale_world import deployed as scalable
from tests.cluster.wedges import Died, Wedged
from tests.cluster.world import World
from tests.house import ANA

_RUN = "5f" * 16
_API = rollback.RollbackArgs(service="prod/api")
_RESTART = restart.RestartArgs(service="prod/api")
_PROMOTE = promote.PromoteArgs(service="prod/api")


def died(world: World, action: Any, args: object, plan: Plan) -> Mapping[str, str]:
    """The process ends right after the write; returns what it noted for the watch."""
    noted: dict[str, str] = {}
    world.place(kind=world.places["prod/api"].workload.kind, cluster=Wedged(world, after=Died()))
    with pytest.raises(Died):
        action.run(args, plan, _RUN, ANA, replace(world.tools, remember=noted.update))
    return noted


def watched_on(world: World, action: Any, args: object, plan: Plan, noted: Mapping[str, str], **more: Any) -> Outcome:
    """Another process looks; it may write nothing."""
    hands = Wedged(world)
    world.place(kind=world.places["prod/api"].workload.kind, cluster=hands)

    def told(said: str) -> None:
        world.reports.append(said)
        if world.real and said == NOT_OBSERVED.message:
            world.stir()

    outcome = action.probe(
        args, plan, _RUN, replace(world.tools, by=None, remembered=noted, report_progress=told, **more)
    )
    assert (hands.patched, hands.deleted) == (0, []), "a look has changed something"
    assert isinstance(outcome, Outcome)
    return outcome


def is_unpulled(said: str) -> bool:
    return "ErrImagePull" in said or "ImagePullBackOff" in said


def test_scaled_to_pods_whose_image_cannot_be_pulled_it_is_not_well(world: World) -> None:
    scalable(world)
    plan = world.plan(SCALE, to(5))
    world.fake.broken_images.add(ONE)

    outcome = watched_on(world, SCALE, to(5), plan, died(world, SCALE, to(5), plan))

    assert (outcome.result, outcome.message) == (Result.DONE, "prod/api is scaled to 5.")
    assert is_unpulled(outcome.degraded), outcome.degraded


def test_what_comes_up_is_well_only_once_it_has_stayed_so(world: World) -> None:
    scalable(world)
    plan = world.plan(SCALE, to(5))
    noted = died(world, SCALE, to(5), plan)
    began = world.tools.now()

    outcome = watched_on(world, SCALE, to(5), plan, noted)

    assert (outcome.result, outcome.degraded, outcome.expected_state) == (Result.DONE, "", {"replicas": "5"})
    assert world.tools.now() - began >= world.places["prod/api"].soak


def test_a_rollback_to_an_image_that_cannot_be_pulled_is_not_well(world: World) -> None:
    deployed(world, ONE, TWO)
    plan = world.plan(rollback.action, _API)
    world.fake.broken_images.add(ONE)

    outcome = watched_on(world, rollback.action, _API, plan, died(world, rollback.action, _API, plan))

    assert (outcome.result, is_unpulled(outcome.degraded)) == (Result.DONE, True)


@pytest.mark.parametrize("kind", [kinds.STATEFULSET, kinds.DAEMONSET], ids=lambda kind: kind.title)
def test_a_set_that_goes_back_to_such_an_image_is_not_well_and_nothing_is_deleted(world: World, kind: Any) -> None:
    deployed(world, ONE, TWO, kind=kind)
    plan = world.plan(rollback.action, _API)
    world.fake.broken_images.add(ONE)

    outcome = watched_on(world, rollback.action, _API, plan, died(world, rollback.action, _API, plan))

    assert (outcome.result, is_unpulled(outcome.degraded)) == (Result.DONE, True)


def test_a_rollback_over_which_somebody_has_deployed_since_is_not_called_well(world: World) -> None:
    deployed(world, ONE, TWO)
    plan = world.plan(rollback.action, _API)
    noted = died(world, rollback.action, _API, plan)
    deploy(world, THREE)

    outcome = watched_on(world, rollback.action, _API, plan, noted)

    assert (outcome.result, outcome.degraded) == (Result.DONE, "Its template was changed since by somebody.")


def test_a_restart_whose_new_pods_cannot_be_pulled_is_not_well(world: World) -> None:
    deployed(world, ONE)
    plan = world.plan(restart.action, _RESTART)
    world.fake.broken_images.add(ONE)

    outcome = watched_on(world, restart.action, _RESTART, plan, died(world, restart.action, _RESTART, plan))

    assert (outcome.result, is_unpulled(outcome.degraded)) == (Result.DONE, True)


def test_of_a_restart_only_the_pods_that_came_after_it_are_judged(world: World) -> None:
    world.fake.crashing_images.add(ONE)
    world.create(kinds.DEPLOYMENT, "api", **manifests.deployment(image=ONE))
    world.place()
    world.until(lambda: "CrashLoopBackOff" in str(world.every(kinds.POD)), "its pods crash")
    plan = world.plan(restart.action, _RESTART)
    noted = died(world, restart.action, _RESTART, plan)
    world.fake.crashing_images.clear()

    assert watched_on(world, restart.action, _RESTART, plan, noted).degraded == ""


def test_a_restart_over_which_somebody_else_restarted_it_is_not_called_well(world: World) -> None:
    deployed(world, ONE)
    plan = world.plan(restart.action, _RESTART)
    noted = died(world, restart.action, _RESTART, plan)
    mark = {"kubectl.kubernetes.io/restartedAt": "2030-01-01T00:00:00Z"}
    world.merge(kinds.DEPLOYMENT, "api", {"spec": {"template": {"metadata": {"annotations": mark}}}})

    outcome = watched_on(world, restart.action, _RESTART, plan, noted)

    assert outcome.degraded == "It was restarted or changed since by somebody."


def test_a_promotion_is_watched_on_to_the_stop_that_its_plan_named(world: World) -> None:
    canary(world, weight(25), PAUSE, weight(50), PAUSE)
    plan = world.plan(promote.action, _PROMOTE)

    outcome = watched_on(world, promote.action, _PROMOTE, plan, died(world, promote.action, _PROMOTE, plan))

    assert (outcome.result, outcome.degraded, state(world).step) == (Result.DONE, "", 3)
    assert outcome.message.startswith("Promoted.")


def test_a_promotion_whose_pods_do_not_come_up_is_not_well(world: World) -> None:
    canary(world, weight(25), PAUSE, weight(50), PAUSE)
    plan = world.plan(promote.action, _PROMOTE)
    world.fake.broken_images.add(TWO)

    outcome = watched_on(world, promote.action, _PROMOTE, plan, died(world, promote.action, _PROMOTE, plan))

    assert (outcome.result, is_unpulled(outcome.degraded)) == (Result.DONE, True)
    assert outcome.message.startswith("Done, but not as planned.")


def test_a_promotion_over_which_somebody_has_pushed_another_version_is_not_well(world: World) -> None:
    canary(world, weight(25), PAUSE, weight(50), PAUSE)
    plan = world.plan(promote.action, _PROMOTE)
    noted = died(world, promote.action, _PROMOTE, plan)
    world.until(lambda: state(world).step == 3, "its next stop")
    deploy_rollout(world, THREE)
    world.until(lambda: state(world).current != plan.preconditions["template"], "its controller has seen it")

    outcome = watched_on(world, promote.action, _PROMOTE, plan, noted)

    assert outcome.result is not Result.DONE or "changed its template meanwhile" in outcome.degraded


def test_an_abort_is_watched_on_until_what_is_stable_has_all_the_traffic(world: World) -> None:
    canary(world, weight(25), PAUSE)
    plan = world.plan(abort.action, abort.AbortArgs(service="prod/api"))
    noted = died(world, abort.action, abort.AbortArgs(service="prod/api"), plan)

    outcome = watched_on(world, abort.action, abort.AbortArgs(service="prod/api"), plan, noted)

    assert (outcome.result, outcome.degraded, state(world).aborted) == (Result.DONE, "", True)
    assert outcome.expected_state == {"template": plan.preconditions["template"]}


def test_a_rollout_that_goes_back_is_watched_on(world: World) -> None:
    canary(world, weight(25))
    world.until(lambda: state(world).done, "the second version is stable")
    plan = world.plan(rollback.action, _API)
    noted = died(world, rollback.action, _API, plan)

    well = watched_on(world, rollback.action, _API, plan, noted)

    assert (well.result, well.degraded, well.expected_state) == (
        Result.DONE,
        "",
        {"template": plan.preconditions["goal"]},
    )


def test_a_watch_that_was_cut_off_too_often_says_that_it_is_not_known_to_hold(world: World) -> None:
    scalable(world)
    plan = world.plan(SCALE, to(5))
    noted = died(world, SCALE, to(5), plan)

    outcome = watched_on(world, SCALE, to(5), plan, noted, deadline=lambda _: None)

    assert (outcome.result, outcome.degraded) == (Result.DONE, UNKNOWN_AFTER_RESTART)


def test_what_is_not_up_when_its_deadline_has_passed_is_told_after_one_look(world: World) -> None:
    scalable(world)
    plan = world.plan(SCALE, to(5))
    world.fake.controllers = []
    noted = died(world, SCALE, to(5), plan)
    over = world.clock.at - timedelta(minutes=20)
    world.reports.clear()

    outcome = watched_on(world, SCALE, to(5), plan, noted, deadline=lambda _: over)

    assert outcome.degraded.startswith("Not ready 31 min")
    assert world.reports == []
