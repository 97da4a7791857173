"""scale works with the Role that `vakhta check --cluster` prints, and with nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bot.core.kubernetes import ResourceKind
from bot.core.site import ReplicaLimits
from bot.integrations.kubernetes.client import KubernetesClient
from bot.integrations.kubernetes.settings import ClusterSettings
from bot.workloads import rbac
from bot.workloads.objects import kinds
from bot.workloads.rbac import grants_for
from tests.cluster import manifests
from tests.cluster.scale_world import SCALE, deployed, refused, replicas, stateful, to
from tests.cluster.world import World, kubeconfig

_NARROW = "narrow-token"


def narrow(world: World, place: Path, kind: ResourceKind) -> None:
    """From here on whoever scales has the rights of that Role alone."""
    fake = world.fake
    fake.rights.users[_NARROW] = "narrow"
    fake.rights.apply(rbac.role_documents(grants_for("scale", world.ref(kind, "api")), "narrow"))
    folder = place / _NARROW
    folder.mkdir()
    file = kubeconfig(fake.url, folder, _NARROW)
    cluster = KubernetesClient("main", ClusterSettings(kubeconfig=str(file)))
    world.place(kind=kind, cluster=cluster, replicas=ReplicaLimits(minimum=0, maximum=20))


def test_a_deployment_up_and_down_beside_quotas_budgets_and_nodes(world: World, tmp_path: Path) -> None:
    fake = world.fake
    deployed(world)
    world.create(kinds.QUOTA, "team", **manifests.quota(pods="9"))
    world.create(kinds.PDB, "api", **manifests.pdb(minAvailable=1))
    ready = [{"type": "Ready", "status": "True"}]
    fake.put("Node", "n1", spec={}, status={"conditions": ready, "allocatable": {"cpu": "4", "memory": "8Gi"}})
    narrow(world, tmp_path, kinds.DEPLOYMENT)

    plan = world.plan(SCALE, to(5))
    up = world.run(SCALE, to(5), plan)
    down = world.run(SCALE, to(3), run="6a" * 16)

    assert (up.degraded, down.degraded, replicas(world)) == ("", "", 3)
    assert not any("not known" in said for said in plan.effect)


@pytest.mark.parametrize(
    ("kind", "body"),
    [(kinds.HPA, manifests.hpa()), (kinds.SCALED, manifests.scaled_object())],
    ids=["an autoscaler", "KEDA"],
)
def test_whoever_scales_it_by_itself(world: World, tmp_path: Path, kind: ResourceKind, body: dict[str, Any]) -> None:
    fake = world.fake
    deployed(world)
    world.create(kind, "api", **body)
    fake.settle()
    narrow(world, tmp_path, kinds.DEPLOYMENT)

    floor = world.run(SCALE, to(5))
    off = world.run(SCALE, to(0), run="6a" * 16)

    assert (floor.degraded, off.degraded, replicas(world)) == ("", "", 0)


def test_a_statefulset_with_volumes(world: World, tmp_path: Path) -> None:
    assert world.fake
    stateful(world, count=2, volumeClaimTemplates=[manifests.claim_template()])
    world.create(kinds.QUOTA, "team", **manifests.quota(requests_storage="1Gi"))
    narrow(world, tmp_path, kinds.STATEFULSET)

    assert world.run(SCALE, to(3)).degraded == ""


def test_of_another_workload_nothing_is_granted(world: World, tmp_path: Path) -> None:
    assert world.fake
    deployed(world)
    narrow(world, tmp_path, kinds.STATEFULSET)
    world.place(cluster=world.places["prod/api"].cluster)

    assert "answered 403" in refused(world, to(5))
