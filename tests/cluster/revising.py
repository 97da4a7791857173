"""What people and pipelines do before a rollback: deploy, deploy again, restart."""

from __future__ import annotations

from bot.core.kubernetes import KubernetesObject, PatchType, ResourceKind
from bot.workloads.objects import kinds
from bot.workloads.objects.status import status_of
from tests.cluster import manifests
from tests.cluster.world import World

_MADE = {
    kinds.DEPLOYMENT: manifests.deployment,
    kinds.STATEFULSET: manifests.statefulset,
    kinds.DAEMONSET: manifests.daemonset,
}


def deployed(
    world: World, *images: str, kind: ResourceKind = kinds.DEPLOYMENT, name: str = "api", **spec: object
) -> None:
    """One image after the other, each until it runs; `prod/api` is there from then on."""
    world.needs_pods()
    first, *later = images
    world.create(kind, name, **_MADE[kind](name, image=first, **spec))
    settled(world, kind, name)
    for image in later:
        deploy(world, image, kind=kind, name=name)
        settled(world, kind, name)
    world.place(kind=kind, name=name)


def deploy(world: World, image: str, *, kind: ResourceKind = kinds.DEPLOYMENT, name: str = "api") -> None:
    world.patch(kind, name, manifests.images(name, image), how=PatchType.STRATEGIC)


def restart(world: World, when: str, *, kind: ResourceKind = kinds.DEPLOYMENT, name: str = "api") -> None:
    """As `kubectl rollout restart` does it."""
    notes = {"kubectl.kubernetes.io/restartedAt": when}
    world.merge(kind, name, {"spec": {"template": {"metadata": {"annotations": notes}}}})
    settled(world, kind, name)


def settled(world: World, kind: ResourceKind = kinds.DEPLOYMENT, name: str = "api") -> None:
    world.until(lambda: status_of(kind, world.get(kind, name)).done, f"{name} runs as it is wanted")


def image_of(thing: KubernetesObject) -> str:
    return str(thing["spec"]["template"]["spec"]["containers"][0]["image"])
