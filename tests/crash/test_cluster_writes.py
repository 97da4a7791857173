"""Each step of a run that writes to a cluster, at which the process dies: one write at most, and its end found again.

As `test_runs` does it with a silence: what is looked at afterwards is the cluster's own objects, with their managers.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bot import settings
from tests.cluster import manifests
from tests.cluster.world import kubeconfig
from tests.crash.doing import Doing, Rows, say
from tests.crash.test_runs import _DONE, STEPS
from tests.fakes.calls import Answer, Call
from tests.fakes.kubernetes import FakeKubernetes
from tests.fakes.kubernetes_controllers import usual
from tests.fakes.ticking import Ticking

pytestmark = pytest.mark.crash

_WISH = "scale prod/api 4"


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
        self.settings, _ = settings.read(self._config, os.environ)

    def planned(self) -> str:
        shown: list[str] = re.findall(r"`yes ([0-9a-f]+)`", self.says(_WISH).said)
        return shown[-1]


@pytest.fixture
def doing(tmp_path: Path, store_url: str) -> Iterator[Scaling]:
    with Scaled(store_url) as world:
        world.put("Deployment", "api", **manifests.deployment(replicas=3))
        world.settle()
        yield Scaling(tmp_path, store_url, world)


@pytest.mark.parametrize("name", STEPS)
def test_it_is_written_once_at_most_and_found_again_when_the_process_is_killed_at(name: str, doing: Scaling) -> None:
    handle = doing.planned()

    doing.dies(_WISH if name == "gate.showing" else f"yes {handle}", name)

    assert (len(doing.cluster.called), doing.cluster.replicas) == ((1, 4) if name in _DONE else (0, 3))
    for _ in range(2):
        with doing.later() as house:
            house.tending.tend()
            say(house, f"yes {handle}")
            house.runs.stop(timedelta(seconds=30))
    assert len(doing.cluster.called) <= 1
    doing.check()


def test_an_answer_that_is_lost_is_made_up_for_by_looking(doing: Scaling) -> None:
    handle = doing.planned()
    doing.cluster.loses = True

    reply = doing.says(f"yes {handle}")

    assert (reply.ok, len(doing.cluster.called), doing.cluster.replicas) == (True, 1, 4)
    doing.check()
