"""Restarts of Argo Rollouts in the fake Kubernetes, as rollout/restart.go: a pod at a time, while all are available."""

from __future__ import annotations

from tests.fakes.kubernetes_controllers_base import Controller, changed
from tests.fakes.kubernetes_insides import Insides
from tests.fakes.kubernetes_kinds import kind_of
from tests.fakes.kubernetes_rollouts_turn import MANAGER
from tests.fakes.kubernetes_store import Thing
from tests.fakes.ticking import read


class Restarts(Controller):
    """Deletes pods that are older than `restartAt`, and says so once there is none."""

    kind = "Rollout"
    owns = ("ReplicaSet",)
    leaves = True

    def keep(self, fake: Insides, thing: Thing) -> None:
        at, told = thing["spec"].get("restartAt"), (thing.get("status") or {}).get("restartedAt")
        if not at or at == told:
            return
        self.again(thing)
        sets = fake.objects.owned(thing["metadata"]["uid"], kind_of("ReplicaSet"))
        if fake.clock.at < read(at) or any(not _whole(one) for one in sets):
            return
        pods = [pod for one in sets for pod in fake.objects.owned(one["metadata"]["uid"], kind_of("Pod"))]
        older = [pod for pod in pods if pod["metadata"]["creationTimestamp"] < at]
        if older:
            fake.objects.delete(kind_of("Pod"), older[0])
        else:
            changed(fake, thing, {"status": {"restartedAt": at}}, by=MANAGER, sub="status")


def _whole(one: Thing) -> bool:
    return int((one.get("status") or {}).get("availableReplicas") or 0) == int(one["spec"].get("replicas", 0))
