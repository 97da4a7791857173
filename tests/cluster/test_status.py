"""status: the state of a workload for people, and what can be done next."""

from __future__ import annotations

import pytest

from bot.core.kubernetes import ResourceKind
from bot.core.plan import Outcome, Result
from bot.workloads.objects import kinds
from commands.abort import AbortArgs as Service
from commands.abort import action as abort
from commands.status import StatusArgs
from commands.status import action as status
from tests.cluster.manifests import ONE, TWO, daemonset, deployment, statefulset
from tests.cluster.rollouts import PAUSE, canary, state, weight
from tests.cluster.world import World

_API = StatusArgs(service="prod/api")


def asked(world: World) -> Outcome:
    return world.run(status, _API, world.plan(status, _API))


def test_a_canary_tells_its_step_its_weight_and_its_pods(world: World) -> None:
    before = canary(world, weight(25), PAUSE)

    outcome = asked(world)

    assert (outcome.result, outcome.live) == (Result.DONE, False)
    lines = outcome.message.splitlines()
    assert lines[0] == "Rollout api: Paused, CanaryPauseStep."
    assert f"{before.current} has 25% of the traffic" in lines[1]
    assert "It waits until somebody promotes it." in lines
    assert "4 of 4 pods are ready." in lines
    assert f"The pods of {before.current} run {TWO}." in lines
    assert dict(outcome.buttons) == {
        "Promote": "promote prod/api",
        "Abort": "abort prod/api",
        "Pause": "pause prod/api",
    }


def test_a_pause_with_a_time_counts_down_and_moves(world: World) -> None:
    canary(world, weight(25), {"pause": {"duration": "1h"}})

    outcome = asked(world)

    assert "It continues by itself in 5" in outcome.message
    assert outcome.live


def test_what_was_aborted_can_be_tried_again_or_go_back(world: World) -> None:
    canary(world, weight(25), PAUSE)
    world.run(abort, Service(service="prod/api"))

    outcome = asked(world)

    assert "was aborted" in outcome.message
    assert dict(outcome.buttons) == {"Retry": "retry prod/api", "Roll back": "rollback prod/api"}


def test_what_is_paused_by_hand_can_be_resumed(world: World) -> None:
    canary(world, weight(25), PAUSE)
    world.merge(kinds.ROLLOUT, "api", {"spec": {"paused": True}})
    world.until(lambda: state(world).message == "manually paused", "the pause")

    assert dict(asked(world).buttons) == {"Resume": "resume prod/api"}


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (kinds.DEPLOYMENT, deployment("api")),
        (kinds.STATEFULSET, statefulset("api")),
        (kinds.DAEMONSET, daemonset("api")),
    ],
    ids=lambda one: one.title if isinstance(one, ResourceKind) else "",
)
def test_whatever_else_runs_tells_how_far_it_is(world: World, kind: ResourceKind, body: dict[str, object]) -> None:
    world.needs_rollouts()
    world.create(kind, "api", **body)
    world.place(kind=kind)
    world.until(lambda: not asked(world).live, "the end of its rollout")

    outcome = asked(world)

    assert "healthy" in outcome.message
    assert "pods are ready." in outcome.message


def test_a_pod_that_does_not_come_up_says_why(world: World) -> None:
    world.fake.broken_images.add(ONE)
    world.create(kinds.DEPLOYMENT, "api", **deployment())
    world.place()
    world.until(lambda: "ImagePullBackOff" in asked(world).message, "the reason")

    assert "0 of 3 pods are ready." in asked(world).message
