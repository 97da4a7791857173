"""Objects that are being deleted are left alone: the API accepts writes to them, but no controller acts on them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from bot.core.errors import Rejected
from bot.core.kubernetes import ResourceAccess, ResourceKind
from bot.core.plan import Outcome
from bot.workloads.objects import kinds
from commands.abort import AbortArgs as Abort
from commands.abort import action as abort
from commands.autosync import AutosyncArgs as Autosync
from commands.autosync import action as autosync
from commands.cordon import CordonArgs as Cordon
from commands.cordon import action as cordon
from commands.pause import RolloutArgs as Pause
from commands.pause import action as pause
from commands.promote import PromoteArgs as Promote
from commands.promote import action as promote
from commands.restart import RestartArgs as Restart
from commands.restart import action as restart
from commands.rollback import RollbackArgs as Rollback
from commands.rollback import action as rollback
from commands.status import StatusArgs as Status
from commands.status import action as status
from tests.cluster import manifests
from tests.cluster.manifests import ONE, TWO
from tests.cluster.revising import deployed
from tests.cluster.rollouts import PAUSE, canary, weight
from tests.cluster.scale_world import SCALE, to
from tests.cluster.wedges import Wedged
from tests.cluster.world import World

_HELD = "vakhta.dev/test-holds-it"
_RESTART, _ROLLBACK = (restart, Restart(service="prod/api")), (rollback, Rollback(service="prod/api"))
_ROLLOUTS = [
    (abort, Abort(service="prod/api")),
    (pause, Pause(service="prod/api")),
    (promote, Promote(service="prod/api")),
]


@contextmanager
def going(world: World, kind: ResourceKind, name: str = "api") -> Iterator[None]:
    """Somebody deletes it, and a finalizer holds it."""
    world.merge(kind, name, {"metadata": {"finalizers": [_HELD]}})
    world.remove(kind, name)
    try:
        assert world.get(kind, name)["metadata"]["deletionTimestamp"]
        yield
    finally:
        world.merge(kind, name, {"metadata": {"finalizers": None}})


def refused(world: World, action: Any, args: object) -> str:
    with pytest.raises(Rejected) as caught:
        world.plan(action, args)
    assert caught.value.code == "going"
    return caught.value.message


@pytest.mark.parametrize("kind", [kinds.DEPLOYMENT, kinds.STATEFULSET, kinds.DAEMONSET], ids=lambda kind: kind.title)
def test_a_workload_that_is_being_deleted_is_refused_in_the_plan_and_in_the_run(
    world: World, kind: ResourceKind
) -> None:
    deployed(world, ONE, TWO, kind=kind)
    acts = [_RESTART, _ROLLBACK, *([] if kind is kinds.DAEMONSET else [(SCALE, to(4))])]
    plans = [world.plan(action, args) for action, args in acts]

    with going(world, kind):
        said = [refused(world, action, args) for action, args in acts]
        for (action, args), plan in zip(acts, plans, strict=True):
            with pytest.raises(Rejected, match="is being deleted"):
                world.run(action, args, plan)
        template = world.get(kind, "api")["spec"]["template"]

    told = f"{world.ref(kind, 'api')} is being deleted, so a change has no effect. Nothing was done."
    assert set(said) == {f"{told} Finalizers that delay its deletion: {_HELD}."}
    assert "restartedAt" not in str(template)


@pytest.mark.parametrize(("action", "args"), _ROLLOUTS, ids=lambda one: getattr(one, "verb", ""))
def test_a_rollout_that_is_being_deleted_is_neither_promoted_nor_stopped(world: World, action: Any, args: Any) -> None:
    canary(world, weight(25), PAUSE)
    plan = world.plan(action, args)

    with going(world, kinds.ROLLOUT):
        assert "Rollout" in refused(world, action, args)
        with pytest.raises(Rejected, match="is being deleted"):
            world.run(action, args, plan)


@pytest.mark.parametrize(("kind", "body"), [(kinds.HPA, manifests.hpa()), (kinds.SCALED, manifests.scaled_object())])
def test_an_autoscaler_that_is_being_deleted_is_not_given_other_bounds(
    world: World, kind: ResourceKind, body: Mapping[str, Any]
) -> None:
    if not world.serves(kind):
        pytest.skip(f"{kind.title} is not installed there")
    deployed(world, ONE)
    world.create(kind, "api", **body)

    with going(world, kind):
        assert refused(world, SCALE, to(5)).startswith(f"{kind.title} {world.namespace}/api is being deleted")


def test_a_node_that_is_being_deleted_is_not_closed(world: World) -> None:
    world.create(kinds.NODE, f"{world.namespace}-one", spec={})
    name = f"{world.namespace}-one"
    world.place()

    with going(world, kinds.NODE, name):
        assert f"Node {name} is being deleted" in refused(world, cordon, Cordon(node=f"{world.admin.name}/{name}"))


def test_an_application_that_is_being_deleted_keeps_its_policy(world: World) -> None:
    fake = world.fake
    tracked = manifests.tracked(f"{world.namespace}_shop", f"apps/Deployment:{world.namespace}/api")
    world.create(kinds.DEPLOYMENT, "api", metadata={"annotations": tracked}, **manifests.deployment())
    kept = {"group": "apps", "version": "v1", "kind": "Deployment", "namespace": world.namespace, "name": "api"}
    body = manifests.application(world.namespace, automated={})
    world.create(kinds.APPLICATION, "shop", status={"resources": [kept]}, **body)
    world.granted.append(
        ResourceAccess(verb="patch", group="argoproj.io", resource="applications", namespace=world.namespace)
    )
    world.place()
    fake.settle()

    with going(world, kinds.APPLICATION, "shop"):
        assert "shop is being deleted" in refused(world, autosync, Autosync(service="prod/api", state="off"))


def test_in_a_namespace_that_is_being_deleted_nothing_is_begun(world: World) -> None:
    """A real one deletes what is in it within moments; a plan may be made, and approved, in one of them."""
    fake = world.fake
    deployed(world, ONE)
    plan = world.plan(restart, _RESTART[1])
    fake.change("Namespace", world.namespace, {"metadata": {"finalizers": [_HELD]}})
    fake.remove("Namespace", world.namespace)

    said = refused(world, *_RESTART)
    with pytest.raises(Rejected, match="is being deleted"):
        world.run(restart, _RESTART[1], plan)
    fake.change("Namespace", world.namespace, {"metadata": {"finalizers": None}})

    assert said.startswith(
        f"Namespace {world.namespace} of cluster main is being deleted: no pod can be created in it."
    )


def test_without_the_right_to_see_the_namespace_the_workload_alone_is_looked_at(world: World) -> None:
    deployed(world, ONE)
    world.fake.rights.denied["vakhta"] = {("get", "namespaces")}

    assert world.plan(restart, _RESTART[1]).blast_radius.startswith("all pods of Deployment")


def test_what_somebody_deletes_while_it_is_watched_ends_the_watch_with_that(world: World) -> None:
    deployed(world, ONE)
    world.merge(kinds.DEPLOYMENT, "api", {"metadata": {"finalizers": [_HELD]}})
    world.place(cluster=Wedged(world, then=lambda: world.remove(kinds.DEPLOYMENT, "api")))
    try:
        outcome = world.run(restart, _RESTART[1])
    finally:
        world.merge(kinds.DEPLOYMENT, "api", {"metadata": {"finalizers": None}})

    assert outcome.degraded == f"Deployment {world.namespace}/api is being deleted."


def test_status_tells_that_it_is_being_deleted(world: World) -> None:
    deployed(world, ONE)

    with going(world, kinds.DEPLOYMENT):
        told: Outcome = world.run(status, Status(service="prod/api"))

    assert told.message.splitlines()[0] == (
        f"Deployment {world.namespace}/api is being deleted, delayed by its finalizers {_HELD}."
    )
    assert not told.live
