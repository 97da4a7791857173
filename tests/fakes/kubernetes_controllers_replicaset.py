"""ReplicaSets, as pkg/controller/replicaset of Kubernetes keeps them: so many pods of one template."""

from __future__ import annotations

from tests.fakes.kubernetes_admission import admitted
from tests.fakes.kubernetes_controllers_base import (
    Controller,
    active,
    available,
    condition_of,
    event,
    filled,
    made,
    ready,
    told,
    with_condition,
    without_condition,
)
from tests.fakes.kubernetes_insides import Insides
from tests.fakes.kubernetes_kinds import kind_of
from tests.fakes.kubernetes_store import Refused, Thing, random_name


class ReplicaSets(Controller):
    """Makes what is missing and removes what is too much; whatever a quota refuses is tried again at every step."""

    kind = "ReplicaSet"
    owns = ("Pod",)
    leaves = True

    def keep(self, fake: Insides, thing: Thing) -> None:
        if "template" not in thing["spec"]:
            return
        pods = [one for one in fake.objects.owned(thing["metadata"]["uid"], kind_of("Pod")) if active(one)]
        missing = thing["spec"]["replicas"] - len(pods)
        refused = ""
        try:
            for _ in range(missing):
                create_pod(fake, thing, f"{thing['metadata']['name']}-{random_name()}")
        except Refused as error:
            refused = error.said
        for one in sorted(pods, key=_first_to_go)[: max(0, -missing)]:
            fake.objects.delete(kind_of("Pod"), one)
        self._say(fake, thing, refused)

    def _say(self, fake: Insides, thing: Thing, refused: str) -> None:
        pods = [one for one in fake.objects.owned(thing["metadata"]["uid"], kind_of("Pod")) if active(one)]
        least = thing["spec"].get("minReadySeconds") or 0
        well = sum(available(one, least, fake.clock.at) for one in pods)
        counts = {"readyReplicas": sum(map(ready, pods)), "availableReplicas": well, "fullyLabeledReplicas": len(pods)}
        held = list((thing.get("status") or {}).get("conditions") or ())
        if refused:
            failure = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": refused}
            if not condition_of(thing, "ReplicaFailure"):
                event(fake, thing, "FailedCreate", f"Error creating: {refused}")
            held = with_condition(held, failure, fake.clock.stamp)
        elif held:
            held = without_condition(held, "ReplicaFailure")
        seen = {"replicas": len(pods), "observedGeneration": thing["metadata"]["generation"]}
        told(fake, thing, {**seen, **filled({**counts, "conditions": held})})
        if refused or counts["readyReplicas"] > well:
            self.again(thing)


def create_pod(fake: Insides, owner: Thing, name: str, *, template: Thing | None = None, **spec: object) -> Thing:
    """A pod of the owner's template. Raises `Refused` where admission does not let it in."""
    template = template or owner["spec"]["template"]
    meta = {
        name: value for name, value in (template.get("metadata") or {}).items() if name in ("labels", "annotations")
    }
    pod = {
        "metadata": {"namespace": owner["metadata"]["namespace"], "name": name, **meta},
        "spec": {**template["spec"], **spec},
        "status": {"phase": "Pending", "qosClass": "Burstable"},
    }
    return made(fake, owner, "Pod", admitted(fake, pod))


def _first_to_go(pod: Thing) -> tuple[bool, bool, str, str]:
    """Not running before running, not ready before ready, and then the newest."""
    running = (pod.get("status") or {}).get("phase") == "Running"
    born = pod["metadata"]["creationTimestamp"]
    return running, ready(pod), "".join(chr(255 - ord(one)) for one in born), pod["metadata"]["name"]
