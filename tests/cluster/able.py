"""What a real cluster supports, tried once for all tests; a test that needs more is skipped with the reason."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from bot.core.kubernetes import KubernetesObject
from bot.workloads.objects import kinds
from tests.cluster import manifests

if TYPE_CHECKING:
    from tests.cluster.world import World

#: Why a container waits for ever.
_FOR_EVER = {"ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "CrashLoopBackOff"}
_WITHIN_S = 60.0
_NO_NODE_S = 10.0


@dataclass
class Able:
    _why_not: dict[str, str] = field(default_factory=dict)

    def needs(self, what: str, why_not: Callable[[], str]) -> None:
        """Skip the test if there is a reason to; it is looked for once."""
        if what not in self._why_not:
            self._why_not[what] = why_not()
        if self._why_not[what]:
            pytest.skip(self._why_not[what])


def why_no_pods(world: World) -> str:
    """Why none gets ready, or nothing. Tried with all images, in a namespace of its own."""
    if not any(_runs(node) for node in world.admin.find(kinds.NODE, "")):
        return "no node of this cluster is ready to run pods"
    template = manifests.template("able")
    [like] = template["spec"]["containers"]
    images = enumerate(manifests.IMAGES)
    template["spec"]["containers"] = [{**like, "name": f"image-{number}", "image": image} for number, image in images]
    body = manifests.deployment("able", replicas=1, template=template)
    with world.beside() as aside:
        aside.create(kinds.DEPLOYMENT, "able", **body)
        return _waited(aside)


def _waited(world: World) -> str:
    begun = time.monotonic()
    while not _status(world.get(kinds.DEPLOYMENT, "able")).get("availableReplicas"):
        waited = time.monotonic() - begun
        pods = world.every(kinds.POD, "app=able")
        why = next((said for pod in pods if (said := why_stuck(pod, waited))), "")
        if not why and waited > _WITHIN_S:
            why = "it is not ready" if pods else "no controller has made it"
        if why:
            return f"no pod comes up on this cluster: after {waited:.0f} s {why}"
        time.sleep(0.2)
    return ""


def why_stuck(pod: KubernetesObject, waited: float) -> str:
    """Why it will not come up, where that is known after so many seconds."""
    for one in _status(pod).get("containerStatuses") or ():
        waiting = (one.get("state") or {}).get("waiting") or {}
        if waiting.get("reason") in _FOR_EVER:
            return f"{waiting['reason']} of {one['image']} (VAKHTA_TEST_IMAGES names others)"
    for one in _status(pod).get("conditions") or ():
        if one.get("reason") == "Unschedulable" and waited > _NO_NODE_S:
            return f"it is Unschedulable, {one.get('message')}"
    return ""


def why_no_rollouts(world: World) -> str:
    """Why nobody keeps a Rollout of Argo, or nothing."""
    if not world.serves(kinds.ROLLOUT):
        return "Argo Rollouts is not installed there"
    with world.beside() as aside:
        aside.create(kinds.ROLLOUT, "able", **manifests.rollout("able", replicas=0))
        until = time.monotonic() + _WITHIN_S
        while time.monotonic() < until:
            if _status(aside.get(kinds.ROLLOUT, "able")).get("observedGeneration"):
                return ""
            time.sleep(0.2)
    return f"Rollouts of Argo are served there, but nothing looks at one within {_WITHIN_S:.0f} s"


def _status(thing: KubernetesObject) -> dict[str, Any]:
    return dict(thing.get("status") or {})


def _runs(node: KubernetesObject) -> bool:
    ready = any(one["type"] == "Ready" and one["status"] == "True" for one in _status(node).get("conditions") or ())
    return ready and not (node.get("spec") or {}).get("unschedulable")
