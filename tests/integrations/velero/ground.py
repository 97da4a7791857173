"""A cluster with Velero and the namespace shop: a Deployment, a CronJob, a Service and two volumes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bot.core.backup import CopyState, CopyStatus, EngineParts, RestorePoint, RestoreTask
from bot.integrations.kubernetes.client import KubernetesClient
from bot.integrations.kubernetes.settings import ClusterSettings
from bot.integrations.velero.backups import VeleroEngine
from bot.integrations.velero.settings import VeleroSettings
from tests.fakes.kubernetes import FakeKubernetes
from tests.fakes.kubernetes_controllers_garbage import Garbage, Quotas
from tests.fakes.kubernetes_probe_jobs import PretendNetwork, ProbeJobs
from tests.fakes.kubernetes_store import Thing
from tests.fakes.kubernetes_velero import HOME, Velero, VeleroStorage
from tests.fakes.ticking import Ticking, stamped

RUN = "5f2e3d4c" * 4
COPY = "shop-restore-5f2e3d4c"
DB = "10.96.0.10:5432"
GB = 10**9
_LONG_AGO = datetime(2026, 11, 1, tzinfo=UTC)


@dataclass
class Ground:
    fake: FakeKubernetes
    velero: Velero
    storage: VeleroStorage
    network: PretendNetwork
    clock: Ticking
    cluster: KubernetesClient
    said: dict[str, Any] = field(
        default_factory=lambda: {"cluster": "main", "included": ["shop"], "schedule": "nightly"}
    )

    @property
    def engine(self) -> VeleroEngine:
        """A new one, as another process has it."""
        return VeleroEngine(VeleroSettings.model_validate(self.said), self.parts)

    @property
    def parts(self) -> EngineParts:
        return EngineParts(store="shop", now=self.clock, pause=self.fake.later, cluster=lambda _: self.cluster)

    def claim(self, name: str, size: int = GB, *, storage_class: str = "fast", volume: Thing | None = None) -> None:
        """A bound claim of the live namespace."""
        spec = {"csi": {"driver": "csi.test"}} if volume is None else volume
        self.fake.put("PersistentVolume", f"pv-{name}", spec=spec)
        self.fake.put(
            "PersistentVolumeClaim",
            name,
            spec={"volumeName": f"pv-{name}", "storageClassName": storage_class},
            status={"phase": "Bound"},
        )
        self.network.volumes[f"shop/{name}"] = size

    def backed_up(self, name: str = "nightly-1", **spec: Any) -> Thing:
        """One by the schedule, made to its end."""
        labels = {"velero.io/schedule-name": "nightly"}
        body = {"includedNamespaces": ["shop"], "storageLocation": "default", **spec}
        self.fake.put("Backup", name, HOME, metadata={"labels": labels}, spec=body)
        self.until(lambda: self.status("Backup", name).get("phase") == "Completed")
        return self.fake.now("Backup", name, HOME)

    def told(self, kind: str, name: str, **status: Any) -> None:
        """Its status is so from here on; None takes a field away."""
        self.fake.change(kind, name, {"status": status}, namespace=HOME, by="velero")

    def status(self, kind: str, name: str) -> Thing:
        return dict(self.fake.now(kind, name, HOME).get("status") or {})

    def task(
        self, *, drill: bool = True, point: RestorePoint | None = None, engine: VeleroEngine | None = None
    ) -> RestoreTask:
        """Of a plan made now."""
        shown = (engine or self.engine).preview(point or RestorePoint(), drill=drill)
        expires = self.clock.at + timedelta(hours=8) if drill else None
        return RestoreTask(
            run=RUN,
            store="shop",
            point=RestorePoint(backup_id=shown.backup_id),
            drill=drill,
            expires_at=expires,
            facts=shown.facts,
        )

    def ended(self, task: RestoreTask) -> CopyStatus:
        """What it comes to."""
        found: list[CopyStatus] = []

        def over() -> bool:
            found.append(self.engine.look(task))
            return found[-1].state in (CopyState.RESTORED, CopyState.FAILED)

        self.until(over)
        return found[-1]

    def until(self, holds: Any) -> None:
        """By the fake's clock."""
        for _ in range(200):
            if holds():
                return
            self.fake.later(timedelta(seconds=5))
            with self.fake._lock:
                self.fake.step()
        raise AssertionError("it did not come true")


@contextmanager
def ground(place: Path, *, how: str = "data movement") -> Iterator[Ground]:
    clock = Ticking()
    with VeleroStorage() as storage, FakeKubernetes(clock=clock) as fake:
        network = PretendNetwork(answers={DB})
        velero = Velero(storage, network, how=how)
        fake.controllers = [ProbeJobs(network), velero, Garbage(), Quotas()]
        cluster = KubernetesClient("main", ClusterSettings(kubeconfig=str(_kubeconfig(fake.url, place))))
        made = Ground(fake=fake, velero=velero, storage=storage, network=network, clock=clock, cluster=cluster)
        _furnish(made)
        yield made


def _furnish(made: Ground) -> None:
    fake, now = made.fake, made.clock.at
    made.clock.at = _LONG_AGO
    for name in ("shop", HOME):
        fake.put("Namespace", name)
    fake.put("StorageClass", "fast", volumeBindingMode="Immediate")
    fake.put("StorageClass", "local", volumeBindingMode="WaitForFirstConsumer")
    template = {"metadata": {"labels": {"app": "api"}}, "spec": {"containers": [{"name": "api", "image": "api:1"}]}}
    selector = {"matchLabels": {"app": "api"}}
    fake.put("Deployment", "api", spec={"replicas": 3, "selector": selector, "template": template})
    fake.put("CronJob", "mail", spec={"schedule": "0 * * * *", "suspend": False})
    ports = [{"port": 5432, "protocol": "TCP"}]
    fake.put(
        "Service",
        "db",
        spec={"clusterIP": "10.96.0.10", "type": "LoadBalancer", "externalIPs": ["1.2.3.4"], "ports": ports},
    )
    fake.put("NetworkPolicy", "open", spec={"podSelector": {}, "policyTypes": ["Egress"], "egress": [{}]})
    volumes = [{"name": one, "persistentVolumeClaim": {"claimName": one}} for one in ("data", "logs")]
    pod = {"containers": [{"name": "db", "image": "db:1"}], "volumes": volumes}
    fake.put("Pod", "db-0", spec=pod, status={"phase": "Running"})
    made.claim("data", 5 * GB)
    made.claim("logs", GB)
    template = {"includedNamespaces": ["shop"], "storageLocation": "default"}
    fake.put(
        "Schedule", "nightly", HOME, spec={"schedule": "0 2 * * *", "template": template}, status={"phase": "Enabled"}
    )
    made.clock.at = now
    valid = {"phase": "Available", "lastValidationTime": stamped(now)}
    fake.put("BackupStorageLocation", "default", HOME, spec={"objectStorage": {"bucket": "backups"}}, status=valid)
    fake.put("BackupRepository", "shop-kopia", HOME, spec={"volumeNamespace": "shop"}, status={"phase": "Ready"})


def _kubeconfig(url: str, place: Path) -> Path:
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "main",
        "clusters": [{"name": "main", "cluster": {"server": url}}],
        "users": [{"name": "bot", "user": {"token": "k8s-token"}}],
        "contexts": [{"name": "main", "context": {"cluster": "main", "user": "bot"}}],
    }
    file = place / "kubeconfig"
    file.write_text(json.dumps(config))
    return file


def other(task: RestoreTask, run: str) -> RestoreTask:
    return replace(task, run=run)
