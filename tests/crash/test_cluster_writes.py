"""Each step of a run that writes to a cluster, at which the process dies: one write at most, and its end found again.

As `test_runs` does it with a silence: what is looked at afterwards is the cluster's own objects, with their managers.
"""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.config import settings
from bot.workloads.objects.wait import UNKNOWN_AFTER_RESTART
from tests.cluster import manifests
from tests.cluster.world import kubeconfig
from tests.crash.doing import Doing, Rows, say
from tests.crash.test_failpoints import FAILPOINTS
from tests.crash.test_runs import _DONE, STEPS
from tests.fakes.calls import Answer, Call
from tests.fakes.kubernetes import FakeKubernetes
from tests.fakes.kubernetes_controllers import usual
from tests.fakes.ticking import Ticking
from tests.running import until

pytestmark = pytest.mark.crash

_WISH = "scale prod/api 4"
#: Another one: the same one would be answered with the plan that waits.
_OTHER_WISH = "scale prod/api 5"


class Scaled(FakeKubernetes):
    """`called` has each write that arrived: its run, and whether that run's intent was sealed at this moment."""

    def __init__(self, url: str) -> None:
        super().__init__(clock=Ticking())
        self.controllers = usual()
        self.rows = Rows(url)
        self.called: list[tuple[str, bool]] = []
        self.loses = False  #: the answers to what it has written

    def answer(self, call: Call) -> Answer:
        if call.verb == "PATCH" and "dryRun" not in call.query:
            run = call.query["fieldManager"].removeprefix("vakhta-")
            self.called.append((run, self.rows.sealed_intent(run)))
            if self.loses:
                super().answer(call)
                return Answer(status=504)
        return super().answer(call)

    @property
    def replicas(self) -> object:
        return self.now("Deployment", "api")["spec"]["replicas"]


class Scaling(Doing):
    """The operator scales a Deployment."""

    def __init__(self, place: Path, url: str, world: Scaled) -> None:
        super().__init__(place, url, world)  # type: ignore[arg-type]  # of its world only `called` is looked at
        self.cluster = world
        service: dict[str, Any] = {"name": "prod/api", "match": {"app": "api"}, "cluster": "main", "namespace": "shop"}
        service |= {"workload": "deployment/api", "soak": 1}
        told = {
            "store": {"url": url},
            "services": [service],
            "clusters": {"main": {"kubeconfig": str(kubeconfig(world.url, place))}},
        }
        self._config.write_text(json.dumps(told))
        self.settings, _ = settings.read_settings(self._config, os.environ)

    def planned(self) -> str:
        shown: list[str] = re.findall(r"`yes ([0-9a-f]+)`", self.says(_WISH).text)
        return shown[-1]

    def unwell(self, run: str) -> str:
        (found,) = self.rows.ask("SELECT unwell FROM run WHERE id = :id", id=run)
        return str(found["unwell"])


@pytest.fixture
def doing(tmp_path: Path, store_url: str) -> Iterator[Scaling]:
    with Scaled(store_url) as world:
        world.put("Deployment", "api", **manifests.deployment(replicas=3))
        world.settle()
        yield Scaling(tmp_path, store_url, world)


@pytest.mark.parametrize("name", STEPS)
def test_it_is_written_once_at_most_and_found_again_when_the_process_is_killed_at(name: str, doing: Scaling) -> None:
    handle = doing.planned()

    doing.dies(_OTHER_WISH if name == "gate.showing" else f"yes {handle}", name)

    assert (len(doing.cluster.called), doing.cluster.replicas) == ((1, 4) if name in _DONE else (0, 3))
    for _ in range(2):
        with doing.later() as house:
            house.upkeep.tick()
            say(house, f"yes {handle}")
            house.runner.stop(timedelta(seconds=30))
    assert len(doing.cluster.called) <= 1
    doing.check()


def test_an_answer_that_is_lost_is_made_up_for_by_looking(doing: Scaling) -> None:
    handle = doing.planned()
    doing.cluster.loses = True

    reply = doing.says(f"yes {handle}")

    assert (reply.ok, len(doing.cluster.called), doing.cluster.replicas) == (True, 1, 4)
    doing.check()


WATCHING = [name for name in FAILPOINTS if name.startswith("watch.")]


@pytest.mark.parametrize("name", WATCHING)
def test_a_run_whose_bot_was_killed_around_its_watch_is_watched_on_and_not_called_well(
    name: str, doing: Scaling
) -> None:
    """Nothing moves before it dies; then the pods that it asked for can't be pulled."""
    handle = doing.planned()
    doing.cluster.controllers = []
    doing.dies(f"yes {handle}", name)
    doing.cluster.broken_images.add(manifests.ONE)
    doing.cluster.controllers = usual()

    with doing.later() as house:
        house.upkeep.tick()
        house.runner.stop(timedelta(seconds=60))

    (run,) = doing.rows.runs()
    wrote = name not in ("watch.noting", "watch.noted")
    assert (doing.rows.runs()[run], len(doing.cluster.called)) == (("done", 1) if wrote else ("failed", 0))
    assert doing.rows.outcomes(run) == ["VK124W" if wrote else "VK122E"]
    assert doing.rows.held() == []
    if wrote:
        assert re.search("ErrImagePull|ImagePullBackOff", doing.unwell(run))
        assert [title.partition(":")[0] for title in doing.rows.titles()] == ["RunUnwell"]


def test_the_watch_of_a_run_goes_on_in_another_process_only_once_its_lease_is_over(doing: Scaling) -> None:
    handle = doing.planned()
    doing.dies(f"yes {handle}", "watch.begun")

    with doing.later(minutes=1) as house:
        house.upkeep.tick()
        house.runner.stop(timedelta(seconds=60))
    before = list(doing.rows.runs().values())
    with doing.later() as house:
        house.upkeep.tick()
        house.runner.stop(timedelta(seconds=60))

    assert (before, list(doing.rows.runs().values())) == (["intended"], ["done"])
    doing.check()


def test_a_watch_that_goes_on_has_the_deadline_that_it_had(doing: Scaling) -> None:
    """Of pods that nobody makes: the first look after an hour is the last one."""
    handle = doing.planned()
    doing.cluster.controllers = []
    doing.dies(f"yes {handle}", "watch.begun")
    (before,) = doing.rows.ask("SELECT watch_until FROM run")

    with doing.later(minutes=60) as house:
        house.upkeep.tick()
        house.runner.stop(timedelta(seconds=60))

    (after,) = doing.rows.ask("SELECT id, watch_until, watches FROM run")
    assert (after["watch_until"], after["watches"]) == (before["watch_until"], 2)
    assert re.search(r"Not ready (59 min|1 h)", doing.unwell(after["id"]))


def test_a_watch_that_is_cut_off_each_time_ends_as_not_known_to_be_well_and_pages(doing: Scaling) -> None:
    handle = doing.planned()
    doing.dies(f"yes {handle}", "watch.begun")
    doing.rows.set("UPDATE run SET watches = 5")

    with doing.later() as house:
        house.upkeep.tick()
        house.runner.stop(timedelta(seconds=60))

    (run,) = doing.rows.runs()
    assert (doing.unwell(run), doing.rows.outcomes(run)) == (UNKNOWN_AFTER_RESTART, ["VK124W"])
    assert [title.partition(":")[0] for title in doing.rows.titles()] == ["RunUnwell"]


def test_an_answer_that_is_lost_is_made_up_for_by_watching_like_any_other(doing: Scaling) -> None:
    handle = doing.planned()
    doing.cluster.broken_images.add(manifests.ONE)
    doing.cluster.loses = True

    reply = doing.says(f"yes {handle}")

    (run,) = doing.rows.runs()
    assert (reply.ok, len(doing.cluster.called), doing.rows.outcomes(run)) == (False, 1, ["VK124W"])
    assert "NOT WELL" in reply.text


def test_a_run_that_was_judged_while_its_process_was_frozen_before_the_write_writes_nothing(doing: Scaling) -> None:
    handle = doing.planned()

    with doing.asked(f"yes {handle}", "watch.noting=stall") as frozen:
        until(lambda: "failpoint reached" in frozen.said(), "it is about to write")
        frozen.signal(signal.SIGSTOP)
        with doing.later() as house:
            house.upkeep.tick()
            house.runner.stop(timedelta(seconds=60))
        frozen.signal(signal.SIGCONT)
        until(lambda: not frozen.alive(), "the frozen one has ended")

    assert "was held up so long that it was given up. Nothing was changed." in frozen.said()
    assert (doing.cluster.called, doing.cluster.replicas) == ([], 3)
    doing.check()
