"""`ground`: a namespace with a cluster of CloudNativePG, its ObjectStore and its schedule."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.core.backup import CopyState, CopyStatus, EngineParts, RestorePoint, RestoreTask
from bot.integrations.cloudnativepg.backups import CloudNativePgEngine
from bot.integrations.cloudnativepg.settings import CloudNativePgSettings
from bot.integrations.kubernetes.client import KubernetesClient
from bot.integrations.kubernetes.settings import ClusterSettings
from tests.cluster.world import kubeconfig
from tests.fakes.kubernetes import FakeKubernetes
from tests.fakes.kubernetes_cnpg import BACKUP, CloudNativePg
from tests.fakes.kubernetes_controllers_garbage import Garbage
from tests.fakes.kubernetes_probe_jobs import PretendNetwork, ProbeJobs
from tests.fakes.ticking import Ticking

RUN = "5f2e3d4c" * 4
COPY = "orders-restore-5f2e3d4c"
DB = "10.96.0.20:5432"


@dataclass
class CnpgGround:
    fake: FakeKubernetes
    operator: CloudNativePg
    network: PretendNetwork
    clock: Ticking
    cluster: KubernetesClient
    said: dict[str, Any] = field(
        default_factory=lambda: {
            "cluster": "main",
            "namespace": "shop",
            "name": "orders",
            "url": "postgresql://bot:secret@{name}-rw.invalid/app",
        }
    )

    @property
    def engine(self) -> CloudNativePgEngine:
        """A new one, as another process has it."""
        parts = EngineParts(store="orders", now=self.clock, pause=self.fake.later, cluster=lambda _: self.cluster)
        return CloudNativePgEngine(CloudNativePgSettings.model_validate(self.said), parts)

    def backed_up(self, name: str = "daily-1", **status: Any) -> None:
        spec = {"cluster": {"name": "orders"}, "method": "plugin"}
        self.fake.put(BACKUP, name, spec=spec)
        self.until(lambda: (self.fake.now(BACKUP, name).get("status") or {}).get("phase") == "completed")
        if status:
            self.fake.change(BACKUP, name, {"status": status}, sub="status")

    def task(self, *, drill: bool = True, point: RestorePoint | None = None) -> RestoreTask:
        asked = point or RestorePoint()
        shown = self.engine.preview(asked, drill=drill)
        latest = not asked.backup_id and asked.at is None
        resolved = RestorePoint(backup_id=shown.backup_id, at=asked.at, latest=latest)
        return RestoreTask(run=RUN, store="orders", point=resolved, drill=drill, facts=shown.facts)

    def ended(self, task: RestoreTask) -> CopyStatus:
        found: list[CopyStatus] = []

        def over() -> bool:
            found.append(self.engine.look(task))
            return found[-1].state in (CopyState.RESTORED, CopyState.FAILED)

        self.until(over)
        return found[-1]

    def until(self, holds: Callable[[], object]) -> None:
        """By the fake's clock."""
        for _ in range(200):
            if holds():
                return
            self.fake.later(timedelta(seconds=5))
            with self.fake._lock:
                self.fake.step()
        raise AssertionError("it did not come true")


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[CnpgGround]:
    clock = Ticking()
    with FakeKubernetes(clock=clock) as fake:
        network, operator = PretendNetwork(answers={DB}), CloudNativePg()
        fake.controllers = [ProbeJobs(network), operator, Garbage()]
        cluster = KubernetesClient("main", ClusterSettings(kubeconfig=str(kubeconfig(fake.url, tmp_path))))
        fake.put("Namespace", "shop")
        fake.put("ObjectStore", "minio", spec={"configuration": {"destinationPath": "s3://backups/"}})
        plugin = {"name": "barman-cloud.cloudnative-pg.io", "isWALArchiver": True}
        spec = {
            "instances": 3,
            "imageName": "ghcr.io/cloudnative-pg/postgresql:17.5",
            "storage": {"size": "10Gi", "storageClass": "fast"},
            "postgresql": {"parameters": {"max_connections": "300", "archive_timeout": "2min"}},
            "plugins": [{**plugin, "parameters": {"barmanObjectName": "minio"}}],
            "managed": {"roles": [{"name": "app"}]},
            "superuserSecret": {"name": "orders-superuser"},
        }
        status = {"phase": "Cluster in healthy state", "readyInstances": 3, "systemID": "7431", "timelineID": 4}
        fake.put("Cluster", "orders", spec=spec, status=status)
        fake.put("Service", "orders-rw", spec={"clusterIP": "10.96.0.20", "ports": [{"port": 5432}]})
        fake.put(
            "ScheduledBackup",
            "daily",
            spec={"schedule": "0 0 2 * * *", "cluster": {"name": "orders"}, "method": "plugin"},
        )
        yield CnpgGround(fake=fake, operator=operator, network=network, clock=clock, cluster=cluster)
