"""StatefulSets, as pkg/controller/statefulset of Kubernetes keeps them: one pod after the other, by number.

With OrderedReady whatever is not ready holds up all that comes after it, a new revision too: a pod that a bad revision
broke stays broken when the template is brought back, until somebody deletes it (kubernetes/kubernetes#67250).
"""

from __future__ import annotations

from collections.abc import Mapping

from tests.fakes.kubernetes_controllers_base import Controller, available, event, filled, owned_by, ready, told
from tests.fakes.kubernetes_controllers_history import forget, history_of, recorded, template_of
from tests.fakes.kubernetes_controllers_replicaset import create_pod
from tests.fakes.kubernetes_insides import Insides
from tests.fakes.kubernetes_kinds import kind_of
from tests.fakes.kubernetes_store import Refused, Thing

REVISION = "controller-revision-hash"
_HASH = "controller.kubernetes.io/hash"


class StatefulSets(Controller):
    """One step at each look: it makes one pod, removes one, or waits."""

    kind = "StatefulSet"
    owns = ("Pod",)
    leaves = True

    def keep(self, fake: Insides, thing: Thing) -> None:
        if "template" not in thing["spec"]:
            return
        update = recorded(fake, thing, _HASH)
        names = {one["metadata"]["name"]: one for one in history_of(fake, thing)}
        current = names.get((thing.get("status") or {}).get("currentRevision", ""), update)
        step = _Step(fake, thing, current, update)
        try:
            step.take()
        except Refused as refused:
            said = f"create Pod {refused.details.get('name')} in StatefulSet {thing['metadata']['name']} failed error: "
            event(fake, thing, "FailedCreate", said + refused.said)
            self.again(thing)
        status = step.status()
        told(fake, thing, status)
        used = {status["currentRevision"], status["updateRevision"], *map(revision_of, step.pods().values())}
        forget(fake, thing, used)
        if status.get("availableReplicas", 0) < status.get("readyReplicas", 0):
            self.again(thing)


class _Step:
    def __init__(self, fake: Insides, thing: Thing, current: Thing, update: Thing) -> None:
        self._fake, self._thing, self._spec = fake, thing, thing["spec"]
        self._current, self._update = current, update

    def pods(self) -> Mapping[int, Thing]:
        found = self._fake.objects.owned(self._thing["metadata"]["uid"], kind_of("Pod"))
        return dict(sorted((int(one["metadata"]["name"].rpartition("-")[2]), one) for one in found))

    def take(self) -> None:
        ordered = self._spec["podManagementPolicy"] == "OrderedReady"
        if self._make(ordered=ordered) or self._condemn(ordered=ordered):
            return
        if self._spec["updateStrategy"]["type"] == "RollingUpdate":
            self._roll()

    def _make(self, *, ordered: bool) -> bool:
        """Whether that is all for now."""
        for number in range(self._spec["replicas"]):
            pod = self.pods().get(number)
            if pod is None:
                self._create(number)
            if ordered and (pod is None or not self._well(pod)):
                return True
        return False

    def _condemn(self, *, ordered: bool) -> bool:
        pods = self.pods()
        unwell = next((number for number, one in pods.items() if not ready(one)), None)
        for number in sorted((one for one in pods if one >= self._spec["replicas"]), reverse=True):
            if ordered and not ready(pods[number]) and number != unwell:
                return True
            self._remove(pods[number], number)
            if ordered:
                return True
        return False

    def _roll(self) -> None:
        """From the highest number down to the partition, and never past one that is not well."""
        pods, partition = self.pods(), self._spec["updateStrategy"]["rollingUpdate"]["partition"]
        for number in sorted((one for one in pods if one >= partition), reverse=True):
            if revision_of(pods[number]) != self._update["metadata"]["name"]:
                self._fake.objects.delete(kind_of("Pod"), pods[number])
                return
            if not self._well(pods[number]):
                return

    def _create(self, number: int) -> None:
        revision = self._revision_for(number)
        name = f"{self._thing['metadata']['name']}-{number}"
        template = template_of(revision)
        labels = {"statefulset.kubernetes.io/pod-name": name, "apps.kubernetes.io/pod-index": str(number)}
        template["metadata"]["labels"] |= labels | {REVISION: revision["metadata"]["name"]}
        claims = {one["metadata"]["name"]: f"{one['metadata']['name']}-{name}" for one in self._claims()}
        for one in self._claims():
            self._claim(one, claims[one["metadata"]["name"]])
        volumes = [{"name": one, "persistentVolumeClaim": {"claimName": claim}} for one, claim in claims.items()]
        more = {"volumes": [*(template["spec"].get("volumes") or ()), *volumes]} if volumes else {}
        domain = self._spec.get("serviceName") or ""
        create_pod(self._fake, self._thing, name, template=template, hostname=name, subdomain=domain, **more)

    def _revision_for(self, number: int) -> Thing:
        rolling = self._spec["updateStrategy"].get("rollingUpdate")
        return self._current if rolling and number < rolling["partition"] else self._update

    def _claim(self, wanted: Thing, name: str) -> None:
        resource, namespace = kind_of("PersistentVolumeClaim"), self._thing["metadata"]["namespace"]
        if self._fake.objects.find(resource, namespace, name) is not None:
            return
        kept = self._spec["persistentVolumeClaimRetentionPolicy"]["whenDeleted"] == "Retain"
        meta = {"name": name, "namespace": namespace, "labels": dict(self._spec["selector"]["matchLabels"])}
        meta |= {} if kept else {"ownerReferences": [owned_by(self._thing)]}
        body = {"metadata": meta, "spec": wanted["spec"], "status": {"phase": "Bound"}}
        self._fake.objects.create(resource, body, "kube-controller-manager")

    def _remove(self, pod: Thing, number: int) -> None:
        """A claim of it goes too where `whenScaled` says Delete: whatever was on it is lost."""
        self._fake.objects.delete(kind_of("Pod"), pod)
        if self._spec["persistentVolumeClaimRetentionPolicy"]["whenScaled"] != "Delete":
            return
        resource = kind_of("PersistentVolumeClaim")
        for one in self._claims():
            name = f"{one['metadata']['name']}-{self._thing['metadata']['name']}-{number}"
            claim = self._fake.objects.find(resource, self._thing["metadata"]["namespace"], name)
            if claim is not None:
                self._fake.objects.delete(resource, claim)

    def _claims(self) -> list[Thing]:
        return list(self._spec.get("volumeClaimTemplates") or ())

    def _well(self, pod: Thing) -> bool:
        return available(pod, self._spec.get("minReadySeconds") or 0, self._fake.clock.at)

    def status(self) -> Thing:
        pods, wanted = list(self.pods().values()), self._spec["replicas"]
        current, update = self._current["metadata"]["name"], self._update["metadata"]["name"]
        updated, well = sum(revision_of(one) == update for one in pods), sum(map(ready, pods))
        rolling = self._spec["updateStrategy"]["type"] == "RollingUpdate"
        if rolling and updated == well == len(pods) == wanted:
            current = update
        counts = {
            "readyReplicas": well,
            "currentReplicas": sum(revision_of(one) == current for one in pods),
            "updatedReplicas": updated,
        }
        return {
            "observedGeneration": self._thing["metadata"]["generation"],
            "replicas": len(pods),
            "availableReplicas": sum(map(self._well, pods)),
            **filled(counts),
            "currentRevision": current,
            "updateRevision": update,
            "collisionCount": 0,
        }


def revision_of(pod: Thing) -> str:
    return str((pod["metadata"].get("labels") or {}).get(REVISION, ""))
