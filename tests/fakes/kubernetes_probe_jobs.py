"""The Job controller of the fake Kubernetes, for Jobs that try a connection (nc) or read a volume (grep).

`network` says what answers; a NetworkPolicy that denies all keeps pods from it, where the network enforces policies.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.fakes.kubernetes_controllers_base import Controller, event, made, told
from tests.fakes.kubernetes_insides import Insides
from tests.fakes.kubernetes_kinds import kind_of
from tests.fakes.kubernetes_store import Thing


@dataclass
class PretendNetwork:
    """What pods can connect to, and what their volumes hold."""

    answers: set[str] = field(default_factory=set)  #: HOST:PORT
    enforces: bool = True  #: NetworkPolicies
    volumes: dict[str, int] = field(default_factory=dict)  #: bytes, by "namespace/claim"


class ProbeJobs(Controller):
    """A Job's pod is made at one step, and has ended at the next."""

    kind = "Job"
    owns = ("Pod",)

    def __init__(self, network: PretendNetwork) -> None:
        super().__init__()
        self.network = network

    def keep(self, fake: Insides, thing: Thing) -> None:
        if (thing.get("status") or {}).get("conditions") or not thing["spec"]["template"]["spec"].get("containers"):
            return
        pods = fake.objects.owned(thing["metadata"]["uid"], kind_of("Pod"))
        if not pods:
            self._start(fake, thing)
            return
        [pod] = pods
        [status] = pod["status"]["containerStatuses"]
        if "terminated" in status["state"]:
            kind = "Failed" if status["state"]["terminated"]["exitCode"] else "Complete"
            told(fake, thing, {"conditions": [{"type": kind, "status": "True"}]})

    def _start(self, fake: Insides, job: Thing) -> None:
        name, template = job["metadata"]["name"], job["spec"]["template"]
        [container] = template["spec"]["containers"]
        labels = {**(template["metadata"].get("labels") or {}), "job-name": name}
        pod = made(fake, job, "Pod", {"metadata": {"name": f"{name}-x1", "labels": labels}, "spec": template["spec"]})
        if container["image"] in fake.broken_images:
            state: Thing = {"waiting": {"reason": "ErrImagePull", "message": "not found"}}
            event(fake, pod, "Failed", "Error: ErrImagePull", by="kubelet")
            phase = "Pending"
        else:
            code = self._code(fake, job["metadata"]["namespace"], labels, template["spec"], container["command"])
            state, phase = {"terminated": {"exitCode": code, "reason": "Error"}}, "Failed" if code else "Succeeded"
        statuses = [{"name": container["name"], "image": container["image"], "state": state}]
        told(fake, pod, {"phase": phase, "containerStatuses": statuses})

    def _code(self, fake: Insides, namespace: str, labels: dict[str, str], spec: Thing, argv: list[str]) -> int:
        if argv[0] == "nc":
            host, port = argv[-2:]
            denied = self.network.enforces and any(
                _selects(one, labels) and not _lets(one, int(port))
                for one in fake.objects.all(kind_of("NetworkPolicy"), namespace)
            )
            return 1 if denied or f"{host}:{port}" not in self.network.answers else 0
        if argv[0] == "grep":
            [volume] = spec["volumes"]
            claim = volume["persistentVolumeClaim"]["claimName"]
            return 0 if self.network.volumes.get(f"{namespace}/{claim}") else 1
        return 127


def _lets(policy: Thing, port: int) -> bool:
    ports = [one["port"] for rule in policy["spec"].get("egress") or () for one in rule.get("ports") or ()]
    return port in ports


def _selects(policy: Thing, labels: dict[str, str]) -> bool:
    """Whether it is about the egress of such a pod. Only `matchLabels` are understood."""
    chosen = policy["spec"]["podSelector"].get("matchLabels") or {}
    return "Egress" in policy["spec"]["policyTypes"] and chosen.items() <= labels.items()
