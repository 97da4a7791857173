"""Restarts of Argo Rollouts in the fake Kubernetes, as rollout/restart.go: as many at once as may be unavailable.

The trap that it has too: it says that all are restarted in the pass in which it takes away the last ones, before there
is anything in their place.
"""

from __future__ import annotations

from tests.fakes.kubernetes_controllers_base import Controller, available, changed
from tests.fakes.kubernetes_controllers_sets import share
from tests.fakes.kubernetes_insides import Insides
from tests.fakes.kubernetes_kinds import kind_of
from tests.fakes.kubernetes_rollouts_turn import MANAGER
from tests.fakes.kubernetes_store import Thing
from tests.fakes.ticking import read


class Restarts(Controller):
    """Deletes pods that are older than `restartAt`."""

    kind = "Rollout"
    owns = ("ReplicaSet",)
    leaves = True

    def keep(self, fake: Insides, thing: Thing) -> None:
        at, told = thing["spec"].get("restartAt"), (thing.get("status") or {}).get("restartedAt")
        if not at or at == told:
            return
        self.again(thing)
        sets = fake.objects.owned(thing["metadata"]["uid"], kind_of("ReplicaSet"))
        if fake.clock.at < read(at):
            return
        pods = [pod for one in sets for pod in fake.objects.owned(one["metadata"]["uid"], kind_of("Pod"))]
        older = [pod for pod in pods if pod["metadata"]["creationTimestamp"] < at]
        may_go = max(0, _may_go(fake, thing, sets, pods))
        for pod in older[:may_go]:
            fake.objects.delete(kind_of("Pod"), pod)
        if len(older) <= may_go:
            changed(fake, thing, {"status": {"restartedAt": at}}, by=MANAGER, sub="status")


def _may_go(fake: Insides, thing: Thing, sets: list[Thing], pods: list[Thing]) -> int:
    """One at least, also where none may be unavailable."""
    wanted, least = int(thing["spec"].get("replicas", 1)), thing["spec"].get("minReadySeconds") or 0
    how = (thing["spec"]["strategy"].get("canary") or {}).get("maxUnavailable", "25%")
    there = sum(int(one["spec"].get("replicas", 0)) for one in sets)
    well = sum(available(pod, least, fake.clock.at) for pod in pods)
    return well - (max(wanted, there) - max(1, share(how, wanted, up=False)))
