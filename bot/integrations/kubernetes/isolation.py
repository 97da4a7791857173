"""Small Jobs with a fixed image and a fixed vector of arguments: do connections get out, can a volume be read.

The promise: a Job of a name is made once; what counts is the exit code of its container. One that could not run is
`Rejected` with the reason, never taken for an answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from bot.core.errors import Conflict, OutcomeUnknown, Rejected
from bot.core.kubernetes import Cluster, KubernetesObject, ObjectRef
from bot.integrations.kubernetes.resources import EVENT, JOB, POD, labels_of
from bot.integrations.programs.job_state import judge

_PATIENCE, _POLL = timedelta(minutes=5), timedelta(seconds=2)
_NC_S = 5
_NOBODY = 65534
_MOUNT = "/restored"


@dataclass(frozen=True, kw_only=True, slots=True)
class JobRunner:
    """`labels`: of each Job and its pod. `now` and `pause`: the clock."""

    cluster: Cluster
    image: str
    labels: Mapping[str, str]
    by: str  #: the field manager
    now: Callable[[], datetime]
    pause: Callable[[timedelta], None]

    def connects(self, namespace: str, name: str, target: str, *, pod_labels: Mapping[str, str] | None = None) -> bool:
        """Whether a pod there can connect to HOST:PORT. Raises `Rejected` where that could not be tried."""
        host, _, port = target.rpartition(":")
        argv = ["nc", "-z", "-w", str(_NC_S), host.strip("[]"), port]
        code = self._run(namespace, name, _pod(self.image, argv, user=_NOBODY), pod_labels or {})
        if code not in (0, 1):
            raise Rejected(
                f"The probe {namespace}/{name} ended with code {code}: the image {self.image} has no usable nc. Whether"
                f" {target} can be reached is not known. Nothing else was done. Name another image in the settings."
            )
        return code == 0

    def readable(self, namespace: str, name: str, claim: str) -> bool:
        """Whether that claim's volume has at least one file with contents that can be read. Raises `Rejected`."""
        pod = _pod(self.image, ["grep", "-rqm1", "", _MOUNT], user=0)
        [container] = pod["containers"]
        container["securityContext"]["capabilities"]["add"] = ["DAC_OVERRIDE"]  # To read others' files.
        container["volumeMounts"] = [{"name": "restored", "mountPath": _MOUNT, "readOnly": True}]
        pod["volumes"] = [{"name": "restored", "persistentVolumeClaim": {"claimName": claim, "readOnly": True}}]
        code = self._run(namespace, name, pod, {})
        if code not in (0, 1):
            raise Rejected(f"The Job {namespace}/{name} ended with code {code}: volume {claim} could not be read.")
        return code == 0

    def _run(self, namespace: str, name: str, pod: dict[str, Any], pod_labels: Mapping[str, str]) -> int:
        """The exit code. The Job is removed at the end; one of that name that was left by a crash is used."""
        meta = {"name": name, "labels": dict(self.labels)}
        template = {"metadata": {"labels": {**self.labels, **pod_labels}}, "spec": pod}
        spec = {
            "backoffLimit": 0,
            "activeDeadlineSeconds": int(_PATIENCE.total_seconds()),
            "ttlSecondsAfterFinished": 600,
            "template": template,
        }
        try:
            self.cluster.create(JOB, namespace, {"metadata": meta, "spec": spec}, by=self.by)
        except Rejected as refused:
            if refused.code != "exists":
                raise
        except (Conflict, OutcomeUnknown):
            pass  # It is looked for next.
        try:
            return self._ended(namespace, name)
        finally:
            self._remove(ObjectRef(kind=JOB, namespace=namespace, name=name))

    def _ended(self, namespace: str, name: str) -> int:
        begun, ref = self.now(), ObjectRef(kind=JOB, namespace=namespace, name=name)
        while (job := self.cluster.get(ref)) is not None:
            if any(labels_of(job).get(key) != value for key, value in self.labels.items()):
                raise Rejected(f"{ref} exists and is not of this run. Nothing else was done.", code="not_ours")
            found = judge(
                job,
                self.cluster.find(POD, namespace, labels=f"job-name={name}"),
                [str(one.get("message") or "") for one in self._warnings(ref)],
                waited=self.now() >= begun + _PATIENCE,
            )
            if isinstance(found, int):
                return found
            if found is not None:
                raise Rejected(
                    f"{ref} with the image {self.image} did not run: {found.why} What it was to find out is not known.",
                    code="not_tried",
                )
            self.pause(_POLL)
        raise Rejected(f"{ref} is gone. What it was to find out is not known.", code="not_tried")

    def _warnings(self, ref: ObjectRef) -> Sequence[KubernetesObject]:
        return self.cluster.find(
            EVENT, ref.namespace, fields=f"involvedObject.kind=Job,involvedObject.name={ref.name},type=Warning"
        )

    def _remove(self, ref: ObjectRef) -> None:
        """The cluster removes it after ten minutes in any case."""
        try:
            job = self.cluster.get(ref)
            if job is not None:
                self.cluster.delete(ref, uid=job["metadata"]["uid"])
        except (Conflict, OutcomeUnknown, Rejected):
            return


def _pod(image: str, argv: list[str], *, user: int) -> dict[str, Any]:
    """Fit for a namespace that enforces Pod Security; as root only where files of others are read."""
    container: dict[str, Any] = {
        "name": "probe",
        "image": image,
        "command": argv,
        "resources": {
            "requests": {"cpu": "10m", "memory": "16Mi"},
            "limits": {"cpu": "500m", "memory": "64Mi"},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    safety: dict[str, Any] = {"runAsUser": user, "seccompProfile": {"type": "RuntimeDefault"}}
    safety |= {"runAsNonRoot": True} if user else {}
    return {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "securityContext": safety,
        "containers": [container],
    }
