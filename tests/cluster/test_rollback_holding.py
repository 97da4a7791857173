"""rollback where another manager uses server-side apply: it meets a conflict until the rollback is undone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.core.errors import Conflict
from bot.core.kubernetes import KubernetesObject, PatchType
from bot.workloads.objects import kinds, run_markers
from commands.rollback import RollbackArgs, action
from tests.cluster import manifests
from tests.cluster.manifests import ONE, THREE, TWO
from tests.cluster.revising import image_of, settled
from tests.cluster.world import World
from tests.house import ANA

ARGS = RollbackArgs(service="prod/api")
_FIRST, _SECOND = "5c" * 16, "6d" * 16


def applied(world: World, image: str) -> KubernetesObject:
    """`kubectl apply --server-side`."""
    body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "api"}}
    said = {**body, **manifests.deployment(replicas=2, image=image)}
    return world.admin.patch(world.ref(kinds.DEPLOYMENT, "api"), said, how=PatchType.APPLY, by="kubectl")


def test_kubectl_is_told_of_a_conflict_over_a_rollback_and_of_none_after_its_undo(world: World) -> None:
    world.needs_pods()
    world.place()
    for image in (ONE, TWO):
        applied(world, image)
        settled(world)

    plan = world.plan(action, ARGS)
    assert world.run(action, ARGS, plan, run=_FIRST).degraded == ""

    said = "kubectl sets it by server-side apply, and meets a conflict until it forces that, or this is undone."
    assert said in plan.effect
    with pytest.raises(Conflict, match=r"conflict with \"vakhta-5c5c.*\.image"):
        applied(world, THREE)

    tools = replace(world.tools, undo_of=_FIRST)
    back = RollbackArgs(service="prod/api", revision=plan.undo_command.rpartition(" ")[2])
    undo = action.plan(back, tools)
    outcome = action.run(back, undo, _SECOND, ANA, tools)

    assert outcome.degraded == ""
    assert run_markers.written_by(world.get(kinds.DEPLOYMENT, "api"), _SECOND)
    assert image_of(applied(world, THREE)) == THREE
