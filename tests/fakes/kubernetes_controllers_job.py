"""Jobs of the fake Kubernetes: one pod each, whose program a test plays; and the kubelet that runs it.

A Job is complete when its pod has succeeded; with backoffLimit 0 it has failed with its first pod, whichever way that
one is lost; at activeDeadlineSeconds its pods are deleted and it has failed. From pkg/controller/job of
kubernetes/kubernetes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta

from tests.fakes.kubernetes_admission import admitted
from tests.fakes.kubernetes_controllers_base import Controller, condition_of, event, made, told
from tests.fakes.kubernetes_controllers_pod import Pods
from tests.fakes.kubernetes_insides import Insides
from tests.fakes.kubernetes_kinds import kind_of
from tests.fakes.kubernetes_store import Refused, Thing, copied, random_name
from tests.fakes.ticking import read

#: How a program of that vector and environment ended, and what it printed; None while it runs. Environment variables
#: from Secrets are given as `SECRET/KEY`. `FileNotFoundError`: the image has no such program.
Plays = Callable[[Sequence[str], Mapping[str, str]], tuple[int, str] | None]


class Jobs(Controller):
    """Makes the pod of each Job, and says how it ended."""

    kind = "Job"
    owns = ("Pod",)

    def keep(self, fake: Insides, thing: Thing) -> None:
        status = thing.get("status") or {}
        if any(condition_of(thing, one).get("status") == "True" for one in ("Complete", "Failed")):
            return
        if not status.get("startTime"):
            thing = told(fake, thing, {**status, "startTime": fake.clock.stamp, "active": 0})
        pods = fake.objects.owned(thing["metadata"]["uid"], kind_of("Pod"))
        deadline = thing["spec"].get("activeDeadlineSeconds")
        started = read(thing["status"]["startTime"])
        if deadline and fake.clock.at - started >= timedelta(seconds=deadline):
            for pod in pods:
                fake.objects.delete(kind_of("Pod"), pod)
            self._ended(fake, thing, "Failed", "DeadlineExceeded", "Job was active longer than specified deadline")
        elif thing["status"].get("active") and not pods:
            self._ended(fake, thing, "Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit")
        elif not pods:
            self._make(fake, thing)
        else:
            self._judge(fake, thing, pods[0])

    def _make(self, fake: Insides, job: Thing) -> None:
        template = copied(job["spec"]["template"])
        name = job["metadata"]["name"]
        labels = {**(template["metadata"].get("labels") or {}), "job-name": name, "batch.kubernetes.io/job-name": name}
        meta = {"name": f"{name}-{random_name()}", "namespace": job["metadata"]["namespace"], "labels": labels}
        pod = {**template, "kind": "Pod", "apiVersion": "v1", "metadata": meta, "status": {"phase": "Pending"}}
        try:
            made(fake, job, "Pod", admitted(fake, pod), by="job-controller")
        except Refused as refused:
            event(fake, job, "FailedCreate", f"Error creating: {refused.args[0] if refused.args else refused}")
            self.again(job)
            return
        told(fake, job, {**job["status"], "active": 1})

    def _judge(self, fake: Insides, job: Thing, pod: Thing) -> None:
        self.again(job)
        phase = (pod.get("status") or {}).get("phase")
        if phase == "Succeeded":
            self._ended(fake, job, "Complete", "CompletionsReached", "Reached expected number of succeeded pods")
        elif phase == "Failed":
            self._ended(fake, job, "Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit")

    @staticmethod
    def _ended(fake: Insides, job: Thing, kind: str, reason: str, said: str) -> None:
        at = fake.clock.stamp
        condition = {"type": kind, "status": "True", "reason": reason, "message": said, "lastTransitionTime": at}
        told(fake, job, {**job["status"], "active": 0, "conditions": [condition]})


class JobPods(Pods):
    """The kubelet: starts a pod's one program when its Secrets are there, and ends the pod with it."""

    def __init__(self, plays: Plays) -> None:
        super().__init__()
        self._plays = plays

    def keep(self, fake: Insides, thing: Thing) -> None:
        status = thing.get("status") or {}
        if status.get("phase") in ("Succeeded", "Failed"):
            return
        if thing["spec"].get("nodeName"):
            missing = _missing_secret(fake, thing)
            if missing:
                self.again(thing)
                self._wait(fake, thing, missing)
                return
            if status.get("phase") == "Running":
                self._run(fake, thing)
                return
        super().keep(fake, thing)

    def _run(self, fake: Insides, pod: Thing) -> None:
        container = pod["spec"]["containers"][0]
        self.again(pod)
        try:
            ended = self._plays(container["command"], _environment(container))
        except FileNotFoundError:
            said = f'exec: "{container["command"][0]}": executable file not found in $PATH'
            self._end(fake, pod, {"exitCode": 128, "reason": "StartError", "message": said})
            return
        if ended is not None:
            code, printed = ended
            fake.logs[pod["metadata"]["namespace"], pod["metadata"]["name"]] = printed
            self._end(fake, pod, {"exitCode": code, "reason": "Error" if code else "Completed"})

    @staticmethod
    def _end(fake: Insides, pod: Thing, terminated: Thing) -> None:
        container = pod["spec"]["containers"][0]
        state = {"name": container["name"], "image": container["image"], "state": {"terminated": terminated}}
        phase = "Failed" if terminated["exitCode"] else "Succeeded"
        told(fake, pod, {**(pod.get("status") or {}), "phase": phase, "containerStatuses": [state]}, by="kubelet")

    @staticmethod
    def _wait(fake: Insides, pod: Thing, secret: str) -> None:
        container = pod["spec"]["containers"][0]
        waiting = {"reason": "CreateContainerConfigError", "message": f'secret "{secret}" not found'}
        state = {"name": container["name"], "image": container["image"], "state": {"waiting": waiting}}
        told(fake, pod, {**(pod.get("status") or {}), "phase": "Pending", "containerStatuses": [state]}, by="kubelet")


def _environment(container: Thing) -> dict[str, str]:
    found = {}
    for one in container.get("env") or ():
        ref = (one.get("valueFrom") or {}).get("secretKeyRef")
        found[one["name"]] = f"{ref['name']}/{ref['key']}" if ref else one["value"]
    return found


def _missing_secret(fake: Insides, pod: Thing) -> str:
    for one in pod["spec"]["containers"][0].get("env") or ():
        ref = (one.get("valueFrom") or {}).get("secretKeyRef")
        if ref and fake.objects.find(kind_of("Secret"), pod["metadata"]["namespace"], ref["name"]) is None:
            return str(ref["name"])
    return ""
