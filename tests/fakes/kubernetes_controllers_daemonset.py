"""DaemonSets, as pkg/controller/daemon of Kubernetes keeps them: a pod on each node, or on a pretended one."""

from __future__ import annotations

from collections.abc import Iterator

from tests.fakes.kubernetes_controllers_base import Controller, available, event, filled, ready, told
from tests.fakes.kubernetes_controllers_history import forget, recorded
from tests.fakes.kubernetes_controllers_pod import PRETEND, unfit
from tests.fakes.kubernetes_controllers_replicaset import create_pod
from tests.fakes.kubernetes_controllers_sets import share
from tests.fakes.kubernetes_controllers_statefulset import REVISION, revision_of
from tests.fakes.kubernetes_insides import Insides
from tests.fakes.kubernetes_kinds import kind_of
from tests.fakes.kubernetes_store import Change, Key, Thing, key_of, random_name

_POD = "Pod"


class DaemonSets(Controller):
    """A pod that is not available is replaced at once; of those that are, no more than `maxUnavailable` at a time."""

    kind = "DaemonSet"
    owns = (_POD,)
    leaves = True

    def woken(self, fake: Insides, change: Change) -> Iterator[Key]:
        if change.resource.kind == "Node":
            yield from map(key_of, fake.objects.all(kind_of(self.kind)))
        else:
            yield from super().woken(fake, change)

    def keep(self, fake: Insides, thing: Thing) -> None:
        if "template" not in thing["spec"]:
            return
        known = recorded(fake, thing, REVISION)["metadata"]["labels"][REVISION]
        nodes = _nodes(fake, thing)
        self._place(fake, thing, nodes, known)
        if thing["spec"]["updateStrategy"]["type"] == "RollingUpdate":
            self._roll(fake, thing, len(nodes), known)
        pods = _pods(fake, thing)
        status = self._status(fake, thing, len(nodes), known)
        told(fake, thing, status)
        prefix = thing["metadata"]["name"]
        forget(fake, thing, {f"{prefix}-{one}" for one in (known, *map(revision_of, pods))})
        if status.get("numberAvailable", 0) < status["numberReady"]:
            self.again(thing)

    @staticmethod
    def _place(fake: Insides, thing: Thing, nodes: list[str], known: str) -> None:
        held = {one["spec"].get("nodeName", ""): one for one in _pods(fake, thing)}
        for node in nodes:
            if node not in held:
                template = thing["spec"]["template"]
                labels = {**template["metadata"]["labels"], REVISION: known}
                template = {**template, "metadata": {**template["metadata"], "labels": labels}}
                name = f"{thing['metadata']['name']}-{random_name()}"
                create_pod(fake, thing, name, template=template, nodeName=node)
        for node, pod in held.items():
            if node not in nodes:
                fake.objects.delete(kind_of(_POD), pod)

    @staticmethod
    def _roll(fake: Insides, thing: Thing, count: int, known: str) -> None:
        most = max(1, share(thing["spec"]["updateStrategy"]["rollingUpdate"]["maxUnavailable"], count, up=True))
        pods = _pods(fake, thing)
        well = [one for one in pods if _well(fake, thing, one)]
        old = [one for one in pods if revision_of(one) != known]
        unwell = [one for one in old if one not in well]
        for one in unwell:
            fake.objects.delete(kind_of(_POD), one)
        room = max(0, most - (len(pods) - len(well)))
        for one in [one for one in old if one in well][:room]:
            fake.objects.delete(kind_of(_POD), one)
            said = f"Deleted pod: {one['metadata']['name']}"
            event(fake, thing, "SuccessfulDelete", said, warning=False)

    @staticmethod
    def _status(fake: Insides, thing: Thing, count: int, known: str) -> Thing:
        pods = _pods(fake, thing)
        well = sum(_well(fake, thing, one) for one in pods)
        counts = {
            "updatedNumberScheduled": sum(revision_of(one) == known for one in pods),
            "numberAvailable": well,
            "numberUnavailable": count - well,
        }
        return {
            "currentNumberScheduled": len(pods),
            "numberMisscheduled": 0,
            "desiredNumberScheduled": count,
            "numberReady": sum(map(ready, pods)),
            "observedGeneration": thing["metadata"]["generation"],
            **filled(counts),
        }


def _pods(fake: Insides, thing: Thing) -> list[Thing]:
    return fake.objects.owned(thing["metadata"]["uid"], kind_of(_POD))


def _well(fake: Insides, thing: Thing, pod: Thing) -> bool:
    return available(pod, thing["spec"].get("minReadySeconds") or 0, fake.clock.at)


def _nodes(fake: Insides, thing: Thing) -> list[str]:
    """Where one belongs: a node that takes no new pods takes these."""
    nodes = list(fake.objects.all(kind_of("Node")))
    if not nodes:
        return [PRETEND]
    borne = [{"key": f"node.kubernetes.io/{one}"} for one in ("unschedulable", "not-ready", "unreachable")]
    spec = thing["spec"]["template"]["spec"]
    pod = {"spec": {**spec, "tolerations": [*(spec.get("tolerations") or ()), *borne]}}
    open_ones = [{**one, "spec": {**(one.get("spec") or {}), "unschedulable": False}} for one in nodes]
    return [one["metadata"]["name"] for one in open_ones if not unfit(one, pod, {})]
