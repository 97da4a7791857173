"""The rights that `vakhta check --cluster` asks for are enough: the actions run with nothing else granted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from bot.core.errors import Rejected
from bot.core.kubernetes import ResourceAccess, ResourceKind
from bot.core.plan import Result
from bot.integrations.kubernetes.client import KubernetesClient
from bot.integrations.kubernetes.settings import ClusterSettings
from bot.workloads import rbac
from bot.workloads.objects import kinds
from bot.workloads.rbac import role_documents
from commands import cordon, restart, rollback
from tests.cluster.manifests import ONE, TWO
from tests.cluster.revising import deploy, deployed
from tests.cluster.world import BOT, World, kubeconfig

_BOT = "system:serviceaccount:ops:vakhta"
_SERVICE = "prod/api"


def bot_with(world: World, place: Path, granted: Sequence[ResourceAccess]) -> KubernetesClient:
    """Who may do that and nothing else."""
    world.fake.rights.users["the-bot-s-own"] = _BOT
    world.fake.rights.apply(role_documents(granted, _BOT))
    file = kubeconfig(world.fake.url, place, token="the-bot-s-own")
    return KubernetesClient(world.admin.name, ClusterSettings(kubeconfig=str(file)))


@pytest.mark.parametrize("kind", [kinds.DEPLOYMENT, kinds.STATEFULSET, kinds.DAEMONSET], ids=lambda kind: kind.title)
@pytest.mark.parametrize(
    ("action", "args"),
    [
        (rollback.action, rollback.RollbackArgs(service=_SERVICE)),
        (restart.action, restart.RestartArgs(service=_SERVICE)),
    ],
    ids=["rollback", "restart"],
)
def test_what_an_action_on_a_workload_is_granted_is_enough(
    world: World, tmp_path: Path, action: Any, args: object, kind: ResourceKind
) -> None:
    assert world.fake, "rights are given to a user of the fake"
    deployed(world, ONE, TWO, kind=kind)
    site = world.places[_SERVICE]
    needed = rbac.grants_for(action.verb, site.workload)
    world.place(kind=kind, cluster=bot_with(world, tmp_path, needed))

    outcome = world.run(action, args)

    assert (outcome.result, outcome.degraded) == (Result.DONE, "")


def test_it_is_enough_too_where_a_pod_has_to_be_deleted(world: World, tmp_path: Path) -> None:
    deployed(world, ONE, kind=kinds.STATEFULSET)
    world.fake.broken_images.add(TWO)
    deploy(world, TWO, kind=kinds.STATEFULSET)
    world.until(lambda: "ImagePullBackOff" in str(world.every(kinds.POD)), "the first pod is broken")
    needed = rbac.grants_for("rollback", world.places[_SERVICE].workload)
    world.place(kind=kinds.STATEFULSET, cluster=bot_with(world, tmp_path, needed))

    outcome = world.run(rollback.action, rollback.RollbackArgs(service=_SERVICE))

    assert (outcome.degraded, outcome.message.endswith("Deleted: api-2.")) == ("", True)


def test_the_bot_of_the_whole_suite_is_granted_nothing_that_is_not_listed(world: World) -> None:
    assert world.fake, "rights are given to a user of the fake"
    world.place()

    with pytest.raises(Rejected, match=f'User "{BOT}" cannot list resource "secrets"'):
        world.bot.find(kinds.SECRET, world.namespace)


def test_with_the_rights_of_another_verb_an_action_does_not_plan(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    assert world.fake, "rights are given to a user of the fake"
    deployed(world, ONE, TWO)
    monkeypatch.setattr(rbac, "_BY_VERB", {**rbac._BY_VERB, "restart": {kinds.DEPLOYMENT: ()}})

    with pytest.raises(Rejected, match=r"^The bot may not patch deployments\.apps in "):
        world.plan(restart.action, restart.RestartArgs(service=_SERVICE))


def test_what_closing_a_node_is_granted_is_enough(world: World, tmp_path: Path) -> None:
    ready = {"conditions": [{"type": "Ready", "status": "True"}]}
    for name in ("one", "two"):
        world.fake.put("Node", name, spec={}, status=ready)
    world.hands = bot_with(world, tmp_path, rbac.ON_NODES["cordon"])

    outcome = world.run(cordon.action, cordon.CordonArgs(node=f"{world.admin.name}/one"))

    assert outcome.result is Result.DONE
