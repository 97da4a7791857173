"""A change is watched until it holds: ready, and for as long as the soak; or why it does not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot.clusters import Thing
from bot.workloads import kinds
from bot.workloads.status import Standing
from bot.workloads.watching import watched
from tests.cluster import manifests
from tests.cluster.world import World, fake_world

_MINUTE = timedelta(minutes=1)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with fake_world(tmp_path) as made:
        made.create(kinds.DEPLOYMENT, "api", **manifests.deployment(replicas=2))
        made.place(soak=timedelta(seconds=10))
        yield made


class Told:
    """Says one standing after the other, and the last one for ever."""

    def __init__(self, *standings: Standing) -> None:
        self._standings = list(standings)

    def __call__(self, _: Thing) -> Standing:
        return self._standings.pop(0) if len(self._standings) > 1 else self._standings[0]


_READY = Standing(said="2 of 2 are ready", done=True)
_HALF = Standing(said="1 of 2 are ready")


def seen(world: World, *standings: Standing, patience: timedelta = _MINUTE) -> str:
    return watched(world.places["prod/api"], world.tools, Told(*standings), patience=patience)


def test_what_is_ready_and_stays_so_is_well_and_how_it_went_was_told(world: World) -> None:
    began = world.clock.at

    why = seen(world, _HALF, _READY)

    assert why == ""
    assert world.clock.at - began >= timedelta(seconds=10)
    assert world.reports[:2] == ["1 of 2 are ready", "2 of 2 are ready; watched for 10s"]


def test_what_does_not_get_ready_in_time_says_how_far_it_was(world: World) -> None:
    assert seen(world, _HALF) == "1 of 2 are ready. That is so 1m after the change."


def test_what_cannot_come_to_its_end_is_told_at_once(world: World) -> None:
    began = world.clock.at

    why = seen(world, Standing(said="bad", failed="Pod api-1: ImagePullBackOff."))

    assert why == "Pod api-1: ImagePullBackOff."
    assert world.clock.at - began < timedelta(seconds=5)


def test_what_falls_back_while_it_soaks_soaks_anew_or_is_not_well(world: World) -> None:
    assert seen(world, _READY, _HALF, _READY) == ""
    assert seen(world, _READY, _READY, _HALF).startswith("1 of 2 are ready. That is so")


def test_what_is_deleted_meanwhile_is_gone(world: World) -> None:
    world.remove(kinds.DEPLOYMENT, "api")

    assert seen(world, _READY) == f"Deployment {world.namespace}/api is gone."


def test_a_cluster_that_does_not_answer_is_looked_at_again(world: World) -> None:
    world.fake.answer_next(status=503, retry_after=0, times=3, path="/api")

    assert seen(world, _READY) == ""


def test_a_cluster_that_never_answers_again_is_what_is_told(world: World) -> None:
    world.fake.answer_next(status=403, times=500, path="/api")

    why = seen(world, _READY)

    assert why.startswith("Cluster main answered 403: ")
    assert why.endswith("That is so 1m after the change.")


def test_a_cluster_that_refuses_at_once_is_not_asked_without_a_pause(world: World) -> None:
    world.fake.answer_next(status=403, times=5000, path="/api")
    pace = timedelta(seconds=0.05)
    tools = replace(world.tools, now=lambda: datetime.now(UTC), pace=pace)

    watched(world.places["prod/api"], tools, Told(_READY), patience=timedelta(seconds=0.5))

    assert len([one for one in world.fake.received if one.path.endswith("/deployments/api")]) <= 12
