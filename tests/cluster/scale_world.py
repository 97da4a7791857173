"""The common part of the tests of `scale`: the request, and a service that is ready."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

import commands
from bot.core.errors import Rejected
from bot.core.kubernetes import KubernetesObject, ObjectRef, PatchType, ResourceKind
from bot.integrations.kubernetes.client import KubernetesClient
from bot.workloads.objects import kinds
from commands.scale import ScaleArgs
from tests.cluster import manifests
from tests.cluster.world import World

SCALE = commands.actions()["scale"]


def to(count: int, ceiling: int | None = None, held: timedelta | None = None) -> ScaleArgs:
    """`scale prod/api <count>`"""
    return ScaleArgs(service="prod/api", replicas=count, ceiling=ceiling, held=held)


def deployed(world: World, *, replicas: int = 3, **said: Any) -> KubernetesObject:
    """`prod/api` is the Deployment api, and all of it is there."""
    world.needs_pods()
    world.create(kinds.DEPLOYMENT, "api", **manifests.deployment(replicas=replicas, **said))
    world.place()
    settled(world, replicas)
    return world.get(kinds.DEPLOYMENT, "api")


def stateful(world: World, *, count: int = 3, **spec: Any) -> None:
    """`prod/api` is a StatefulSet, and all of it is there."""
    world.needs_pods()
    world.create(kinds.STATEFULSET, "api", **manifests.statefulset("api", replicas=count, **spec))
    world.place(kind=kinds.STATEFULSET)
    settled(world, count, kinds.STATEFULSET)


def settled(world: World, count: int, kind: ResourceKind = kinds.DEPLOYMENT, name: str = "api") -> None:
    def holds() -> bool:
        thing = world.get(kind, name)
        status = thing.get("status") or {}
        seen = str(status.get("observedGeneration", "")) == str(thing["metadata"]["generation"])
        return seen and (status.get("replicas", 0), status.get("availableReplicas", 0)) == (count, count)

    world.until(holds, f"{count} available replicas of {name}")


def replicas(world: World, kind: ResourceKind = kinds.DEPLOYMENT, name: str = "api") -> int:
    return int(world.get(kind, name)["spec"]["replicas"])


def refused(world: World, args: ScaleArgs) -> str:
    """The words in which it is refused to plan that."""
    with pytest.raises(Rejected) as caught:
        world.plan(SCALE, args)
    said: str = caught.value.message
    assert "Nothing was done." in said
    return said


class Meddled(KubernetesClient):
    """The same cluster, in which something happens right before a dry run, or right before or after the one write."""

    def __init__(
        self,
        world: World,
        *,
        before: Callable[[], object] | None = None,
        after: Callable[[], object] | None = None,
        dry: Callable[[], object] | None = None,
    ) -> None:
        super().__init__(world.admin.name, world.admin._section)
        self._before, self._after, self._dry = before, after, dry

    def patch(
        self, ref: ObjectRef, patch: object, *, how: PatchType, by: str, sub: str = "", dry: bool = False
    ) -> KubernetesObject:
        if self._dry is not None and dry:
            self._dry()
        if self._before is not None and not dry:
            self._before()
        made = super().patch(ref, patch, how=how, by=by, sub=sub, dry=dry)
        if self._after is not None and not dry:
            self._after()
        return made
