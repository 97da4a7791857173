"""A change is waited for until it is ready, for as long as the soak; otherwise the reason is returned."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic

import pytest

from bot.core.kubernetes import KubernetesObject
from bot.workloads.objects import kinds
from bot.workloads.objects.status import WorkloadStatus
from bot.workloads.objects.wait import wait_until_ready
from tests.cluster import manifests
from tests.cluster.world import World, fake_world

_MINUTE = timedelta(minutes=1)
_HOUR = timedelta(hours=1)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with fake_world(tmp_path) as made:
        made.create(kinds.DEPLOYMENT, "api", **manifests.deployment(replicas=2))
        made.place(soak=timedelta(seconds=10))
        yield made


class Told:
    """Says one standing after the other, and the last one for ever."""

    def __init__(self, *standings: WorkloadStatus) -> None:
        self._standings = list(standings)

    def __call__(self, _: KubernetesObject) -> WorkloadStatus:
        return self._standings.pop(0) if len(self._standings) > 1 else self._standings[0]


_READY = WorkloadStatus(message="2 of 2 are ready", done=True)
_HALF = WorkloadStatus(message="1 of 2 are ready")


def seen(world: World, *standings: WorkloadStatus, patience: timedelta = _MINUTE) -> str:
    return wait_until_ready(world.places["prod/api"], world.tools, Told(*standings), timeout=patience)


def test_what_is_ready_and_stays_so_is_well_and_how_it_went_was_told(world: World) -> None:
    began = world.clock.at

    why = seen(world, _HALF, _READY)

    assert why == ""
    assert world.clock.at - began >= timedelta(seconds=10)
    assert world.reports[:2] == ["1 of 2 are ready", "2 of 2 are ready; watched for 10 s"]


def test_what_does_not_get_ready_in_time_says_how_far_it_was(world: World) -> None:
    assert seen(world, _HALF) == "Not ready 1 min after the change: 1 of 2 are ready."


def test_what_cannot_come_to_its_end_is_told_at_once(world: World) -> None:
    began = world.clock.at

    why = seen(world, WorkloadStatus(message="bad", failed="Pod api-1: ImagePullBackOff."))

    assert why == "Pod api-1: ImagePullBackOff."
    assert world.clock.at - began < timedelta(seconds=5)


def test_what_falls_back_while_it_soaks_soaks_anew_or_is_not_well(world: World) -> None:
    assert seen(world, _READY, _HALF, _READY) == ""
    assert seen(world, _READY, _READY, _HALF).startswith("Not ready")


def test_what_is_deleted_meanwhile_is_gone(world: World) -> None:
    world.remove(kinds.DEPLOYMENT, "api")

    assert seen(world, _READY) == f"Deployment {world.namespace}/api is gone."


def test_a_cluster_that_does_not_answer_is_looked_at_again(world: World) -> None:
    world.fake.answer_next(status=503, retry_after=0, times=3, path="/api")

    assert seen(world, _READY) == ""


def test_a_cluster_that_never_answers_again_is_what_is_told(world: World) -> None:
    world.fake.answer_next(status=403, times=500, path="/api")

    why = seen(world, _READY)

    assert why.startswith("Not ready 1 min after the change: Cluster main answered 403: ")


def test_a_cluster_that_refuses_at_once_is_not_asked_without_a_pause(world: World) -> None:
    world.fake.answer_next(status=403, times=5000, path="/api")
    pace = timedelta(seconds=0.05)
    tools = replace(world.tools, now=lambda: datetime.now(UTC), elapsed=monotonic, poll_interval=pace)

    wait_until_ready(world.places["prod/api"], tools, Told(_READY), timeout=timedelta(seconds=0.5))

    assert len([one for one in world.fake.received if one.path.endswith("/deployments/api")]) <= 12


@pytest.mark.parametrize("step", [-_HOUR, _HOUR])
def test_a_clock_that_is_set_while_it_watches_neither_ends_the_watch_nor_makes_it_last(
    world: World, step: timedelta
) -> None:
    looks = 0

    def set_at_once(_: KubernetesObject) -> WorkloadStatus:
        nonlocal looks
        looks += 1
        return _HALF

    tools = replace(world.tools, now=lambda: world.clock.at + (step if looks > 1 else timedelta(0)))
    began = world.clock.at
    why = wait_until_ready(world.places["prod/api"], tools, set_at_once, timeout=_MINUTE)

    assert why == "Not ready 1 min after the change: 1 of 2 are ready."
    assert _MINUTE < world.clock.at - began < 2 * _MINUTE


@pytest.mark.parametrize("step", [-_HOUR, _HOUR])
def test_a_clock_that_is_set_while_it_soaks_changes_nothing(world: World, step: timedelta) -> None:
    looks = 0

    def ready(_: KubernetesObject) -> WorkloadStatus:
        nonlocal looks
        looks += 1
        return _READY

    tools = replace(world.tools, now=lambda: world.clock.at + (step if looks > 1 else timedelta(0)))
    began = world.clock.at

    assert wait_until_ready(world.places["prod/api"], tools, ready, timeout=_MINUTE) == ""
    assert timedelta(seconds=10) <= world.clock.at - began < _MINUTE


def test_a_deadline_that_a_clock_which_was_ahead_has_kept_gives_the_usual_patience(world: World) -> None:
    began = world.clock.at
    tools = replace(world.tools, deadline=lambda until: until + _HOUR)

    wait_until_ready(world.places["prod/api"], tools, Told(_HALF), timeout=_MINUTE)

    assert world.clock.at - began < 2 * _MINUTE
