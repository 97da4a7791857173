"""Runs programs as Kubernetes Jobs. Implements `bot.core.programs.Programs`.

The promise: one Job for each key, which a process that comes after a crash finds by its name; secrets are references,
never values; and a Job that could not start is deleted before that is told, so that it cannot start later.
The traps: a pod's log has stdout and stderr in one, so `Ended.stdout` has both; and a Job whose pod was lost with its
node failed, though nobody knows how far its program came.
https://kubernetes.io/docs/concepts/workloads/controllers/job/
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from time import sleep
from typing import Any

from bot.core.errors import Conflict, OutcomeUnknown, Rejected
from bot.core.kubernetes import Cluster, KubernetesObject, ObjectRef
from bot.core.programs import Ended, Program
from bot.integrations.programs.job_state import EVENTS, JOBS, PODS, Lost, NotStarted, judge
from bot.integrations.programs.output import said
from bot.integrations.programs.settings import JobSettings

#: The label of everything that is made here; its value is the name of the Job.
LABEL = "vakhta.dev/program"
_CONTAINER = "program"
_MANAGER = "vakhta"
_KEPT_FOR = timedelta(days=1)
_POLL_EVERY = timedelta(seconds=2)
_TIMED_OUT, _LOST = 124, 137


class JobPrograms:
    """`now` and `pause` are the clock and its waiting; tests bring their own."""

    def __init__(
        self,
        where: JobSettings,
        cluster: Cluster,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        pause: Callable[[timedelta], None] = lambda much: sleep(much / timedelta(seconds=1)),
    ) -> None:
        self._where = where
        self._cluster = cluster
        self._now = now
        self._pause = pause

    def run(self, program: Program) -> Ended:
        self.start(program)
        until = self._now() + program.time_limit + timedelta(seconds=self._where.wait_to_start)
        while True:
            try:
                ended, lost = self._look(program.key, program.output_limit)
            except LookupError:
                raise OutcomeUnknown(f"The Job of {program.argv[0]} was deleted while it ran.") from None
            if ended is not None or self._now() >= until:
                break
            self._pause(_POLL_EVERY)
        self.stop(program.key)
        if ended is None or ended.code == _TIMED_OUT:
            limit = int(program.time_limit / timedelta(seconds=1))
            raise OutcomeUnknown(f"{program.argv[0]} did not end within {limit} s, and its Job was deleted.")
        if lost:
            raise OutcomeUnknown(f"{program.argv[0]} was lost: {ended.stderr}")
        return ended

    def start(self, program: Program) -> None:
        manifest = self._manifest(program)
        try:
            self._cluster.create(JOBS, self._where.namespace, manifest, by=_MANAGER)
        except Rejected as refused:
            if refused.code == "exists":
                return
            raise Rejected(f"{program.argv[0]} was not started. {refused.message}", code=refused.code) from None

    def poll(self, key: str) -> Ended | None:
        return self._look(key, Program(key=key, argv=()).output_limit)[0]

    def stop(self, key: str) -> None:
        ref = self._ref(key)
        found = self._cluster.get(ref)
        if found is None:
            return
        try:
            self._cluster.delete(ref, uid=found["metadata"]["uid"])
        except Conflict:
            return  # It is gone already.

    def _look(self, key: str, most: int) -> tuple[Ended | None, bool]:
        """How it ended, and whether its pod was lost."""
        ref = self._ref(key)
        job = self._cluster.get(ref)
        if job is None:
            raise LookupError(key)
        pods = self._pods(ref.name)
        verdict = judge(job, pods, self._events(ref.name), waited=self._waited(job, pods))
        match verdict:
            case None:
                return None, False
            case NotStarted(why):
                self.stop(key)
                raise Rejected(
                    f"Job {self._where.namespace}/{ref.name} was not started, and was deleted: {why} Nothing was done.",
                    code="not_started",
                    status=HTTPStatus.SERVICE_UNAVAILABLE,
                )
            case Lost(why):
                return Ended(code=_LOST, stdout=b"", stderr=why), True
            case int(code):
                return self._ended(code, pods, most), False

    def _ended(self, code: int, pods: Sequence[KubernetesObject], most: int) -> Ended:
        text = ""
        if pods:
            pod = ObjectRef(kind=PODS, namespace=self._where.namespace, name=pods[0]["metadata"]["name"])
            text = self._cluster.read_log(pod, _CONTAINER, most_bytes=most + 1)
        if len(text.encode()) > most:
            raise Rejected(f"A program printed more than {most} bytes. Nothing of it was used.", code="too_much_output")
        failed = said(text, {}) or "its log is gone"
        if code == _TIMED_OUT:
            failed = f"stopped at its time limit\n{failed}"
        return Ended(code=code, stdout=text.encode(), stderr=failed if code else "")

    def _waited(self, job: KubernetesObject, pods: Sequence[KubernetesObject]) -> bool:
        """Whether it has waited for its start as long as it may."""
        since = job["metadata"].get("creationTimestamp")
        if not since or any((one.get("status") or {}).get("startTime") and _runs(one) for one in pods):
            return False
        return self._now() - datetime.fromisoformat(since) >= timedelta(seconds=self._where.wait_to_start)

    def _pods(self, name: str) -> Sequence[KubernetesObject]:
        found = self._cluster.find(PODS, self._where.namespace, labels=f"{LABEL}={name}")
        return sorted(found, key=lambda one: str(one["metadata"].get("creationTimestamp")), reverse=True)

    def _events(self, name: str) -> Sequence[str]:
        """Why the Job's controller could not make a pod, the newest last."""
        fields = f"involvedObject.kind=Job,involvedObject.name={name},type=Warning"
        return [
            str(one.get("message") or "") for one in self._cluster.find(EVENTS, self._where.namespace, fields=fields)
        ]

    def _ref(self, key: str) -> ObjectRef:
        return ObjectRef(kind=JOBS, namespace=self._where.namespace, name=job_name(key))

    def _manifest(self, program: Program) -> KubernetesObject:
        if program.stdin:
            raise Rejected("A Job cannot be given input. Nothing was done. Set run: local for this store.")
        name = job_name(program.key)
        labels = {LABEL: name, "app.kubernetes.io/managed-by": "vakhta"}
        meta = {"name": name, "labels": labels, "annotations": {"vakhta.dev/key": program.key}}
        spec = {
            "backoffLimit": 0,
            "completions": 1,
            "parallelism": 1,
            "activeDeadlineSeconds": max(1, int(program.time_limit / timedelta(seconds=1))),
            "ttlSecondsAfterFinished": int(_KEPT_FOR / timedelta(seconds=1)),
            "template": {"metadata": {"labels": labels}, "spec": self._pod(program)},
        }
        return {"metadata": meta, "spec": spec}

    def _pod(self, program: Program) -> Mapping[str, Any]:
        where = self._where
        account = {"serviceAccountName": where.service_account} if where.service_account else {}
        claims = {one.claim: f"volume-{number}" for number, one in enumerate(where.volumes)}
        container = {
            "name": _CONTAINER,
            "image": where.image,
            "command": list(program.argv),
            "env": self._environment(program),
            "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
            "volumeMounts": [
                {"name": claims[one.claim], "mountPath": one.path, "readOnly": one.read_only} for one in where.volumes
            ],
        }
        return {
            **account,
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": where.user,
                "runAsGroup": where.user,
                "fsGroup": where.user,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [container],
            "volumes": [
                {"name": volume, "persistentVolumeClaim": {"claimName": claim}} for claim, volume in claims.items()
            ],
        }

    def _environment(self, program: Program) -> list[Mapping[str, Any]]:
        """Secrets by reference. One that has none would have to be written into the Job, so it is refused."""
        missing = sorted(set(program.secrets) - set(self._where.secrets))
        if missing:
            raise Rejected(
                f"{program.argv[0]} needs the secret {', '.join(missing)}, which a Job gets by reference only. Nothing "
                f"was done. Set run.job.secrets.{missing[0]} to SECRET/KEY of namespace {self._where.namespace}."
            )
        plain = {"LC_ALL": "C.UTF-8", "TZ": "UTC", "HOME": "/tmp", **program.environment}  # noqa: S108 (in the pod)
        refs = {name: ref.partition("/") for name, ref in self._where.secrets.items()}
        return [{"name": name, "value": value} for name, value in plain.items() if name not in refs] + [
            {"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}
            for name, (secret, _, key) in refs.items()
        ]


def job_name(key: str) -> str:
    """The name of the Job of that key: readable, and different for every key."""
    readable = re.sub(r"[^a-z0-9]+", "-", key.lower()).strip("-")[:36].strip("-")
    return f"vakhta-{readable}-{hashlib.sha256(key.encode()).hexdigest()[:12]}"


def _runs(pod: KubernetesObject) -> bool:
    return (pod.get("status") or {}).get("phase") not in (None, "Pending")
