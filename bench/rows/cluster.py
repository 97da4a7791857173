"""What a plan and a run on Kubernetes cost, and how a plan's cost grows with the pods beside its workload.

Against the strict fake in this process, over HTTP, so that milliseconds are the bot's and the fake's together: the fake
filters its lists one by one, and its controllers look at every pod. What is held to a target is what the bot causes:
the bytes that a plan has the API server send.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from itertools import cycle
from pathlib import Path
from typing import Any

from urllib3 import BaseHTTPResponse

import commands
from bench.ground import Ground
from bench.load import median
from bench.table import Line, at_most
from bot.core.kubernetes import KubernetesObject
from bot.integrations.kubernetes.client import KubernetesClient
from bot.integrations.kubernetes.settings import ClusterSettings
from bot.workloads.objects import kinds
from tests.cluster import manifests
from tests.cluster.world import World, fake_world, kubeconfig

_PODS = (10, 1_000, 10_000)
_LEAST, _AIM = 1.5, 1.1


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Of one verb in one namespace: milliseconds, and the requests of one plan."""

    plan_ms: float
    run_ms: float
    requests: int
    kilobytes: float  #: answered to one plan


class _Weighed(KubernetesClient):
    """Knows how much it was told."""

    heard = 0

    def _decoded(self, answer: BaseHTTPResponse, kind: str = "") -> KubernetesObject:
        self.heard += len(answer.data)
        return super()._decoded(answer, kind)


def measure(ground: Ground) -> list[Line]:
    return [
        _line(ground, verb, said) for verb, said in (("scale", "scale prod/api"), ("rollback", "rollback prod/api"))
    ]


def _line(ground: Ground, verb: str, what: str) -> Line:
    costs: dict[int, Cost] = {}
    for pods in _PODS:
        with _namespace(pods) as world:
            costs[pods] = _cost(world, verb, rounds=5 if ground.quick else 20)
    first, last = costs[_PODS[0]], costs[_PODS[-1]]
    grown = last.kilobytes / first.kilobytes
    told = ", ".join(f"{cost.plan_ms:.0f}" for cost in costs.values())
    answers = f"{last.requests} requests and {last.kilobytes:.0f} KB a plan ({grown:.2f} x)"
    return Line(
        what=f"`{what}` with {', '.join(f'{pods:,}' for pods in _PODS)} pods in its namespace",
        least=f"answers {_LEAST} x",
        aim=f"{_AIM} x",
        reached=f"{answers}; plan {told} ms; run with 10 pods {first.run_ms:.0f} ms",
        verdict=at_most(grown, _LEAST, _AIM),
        bound="the requests, one after the other; lists are of the workload's own pods, by selector",
        numbers={str(pods): vars(cost) for pods, cost in costs.items()},
    )


@contextmanager
def _namespace(pods: int) -> Iterator[World]:
    """One Deployment that has had two images, and so many pods of others beside it."""
    with tempfile.TemporaryDirectory() as place, fake_world(Path(place)) as world:
        world.create(kinds.DEPLOYMENT, "api", **manifests.deployment(replicas=4))
        world.fake.settle()
        world.merge(kinds.DEPLOYMENT, "api", {"spec": {"template": manifests.template("api", "vakhta.test/api:2")}})
        world.fake.settle()
        world.fake.held_still = True
        for number in range(pods):
            labels = {"labels": {"app": f"other-{number % 50}"}}
            world.fake.put(
                "Pod", f"other-{number}", world.namespace, metadata=labels, spec=manifests.template("o")["spec"]
            )
        world.fake.held_still = False
        world.fake.settle()
        section = ClusterSettings(kubeconfig=str(kubeconfig(world.fake.url, Path(place))))
        world.place(soak=timedelta(0), cluster=_Weighed("main", section))
        yield world


def _cost(world: World, verb: str, *, rounds: int) -> Cost:
    action: Any = commands.actions()[verb]
    wishes = cycle(_WISHES[verb](action))
    plans, runs = [], []
    requests = heard = 0
    cluster = world.places["prod/api"].cluster
    assert isinstance(cluster, _Weighed)
    for turn in range(rounds):
        args = next(wishes)
        before, heard, began = len(world.fake.received), cluster.heard, time.perf_counter()
        plan = action.plan(args, world.tools)
        planned = time.perf_counter()
        requests, heard = len(world.fake.received) - before, cluster.heard - heard
        outcome = action.run(args, plan, f"{turn:032x}", world.tools.by, world.tools)
        assert not outcome.unwell, outcome.unwell
        plans.append((planned - began) * 1e3)
        runs.append((time.perf_counter() - planned) * 1e3)
    return Cost(plan_ms=median(plans), run_ms=median(runs), requests=requests, kilobytes=heard / 1e3)


_WISHES: dict[str, Callable[[Any], list[object]]] = {
    "scale": lambda action: [action.args(service="prod/api", replicas=count) for count in (6, 4)],
    "rollback": lambda action: [action.args(service="prod/api")],
}
