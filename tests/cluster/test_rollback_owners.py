"""rollback: the tool that manages a workload decides how it is rolled back, or that the bot cannot."""

from __future__ import annotations

from typing import Any

import pytest

from bot.core.errors import Conflict, Rejected
from bot.core.plan import Plan
from bot.workloads.objects import kinds
from commands.rollback import RollbackArgs, action
from tests.cluster.manifests import ONE, TWO
from tests.cluster.revising import deployed
from tests.cluster.world import World

ARGS = RollbackArgs(service="prod/api")
_TEMPLATE = {"metadata": {"labels": {"app": "api"}}, "spec": {"containers": [{"name": "api", "image": ONE}]}}
_SPEC = {"replicas": 0, "selector": {"matchLabels": {"app": "api"}}, "template": _TEMPLATE}
_FLUX = {"kustomize.toolkit.fluxcd.io/name": "apps", "kustomize.toolkit.fluxcd.io/namespace": "flux-system"}


def placed(world: World, **metadata: Any) -> None:
    world.create(kinds.DEPLOYMENT, "api", spec=_SPEC, metadata=metadata)
    world.place()


def refusal(world: World) -> str:
    with pytest.raises(Rejected) as refused:
        world.plan(action, ARGS)
    return refused.value.message


def test_what_flux_keeps_is_refused_and_it_is_said_what_to_do(world: World) -> None:
    placed(world, labels=_FLUX)

    said = refusal(world)

    assert f"Deployment {world.namespace}/api is managed by Flux (Kustomization flux-system/apps)" in said
    assert "Nothing was done. By hand: revert the commit in git, or suspend it first" in said


def test_what_flux_is_suspended_for_goes_back_by_itself_until_it_is_resumed(world: World) -> None:
    world.fake.put("Kustomization", "apps", "flux-system", spec={"interval": "10m", "suspend": True})
    deployed(world, ONE, TWO)
    world.merge(kinds.DEPLOYMENT, "api", {"metadata": {"labels": _FLUX}})

    plan = world.plan(action, ARGS)
    world.fake.change("Kustomization", "apps", {"spec": {"suspend": False}}, namespace="flux-system")

    assert (
        "is suspended: a change of /spec/template stays until it is resumed. So one of its own revisions is restored"
        in plan.effect[-1]
    )
    with pytest.raises(Rejected, match="is managed by Flux"):
        world.run(action, ARGS, plan)


def test_what_an_operator_keeps_is_refused_and_names_its_object(world: World) -> None:
    owner = world.create(kinds.CONFIG, "database")
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "database", "uid": owner["metadata"]["uid"]}
    placed(world, ownerReferences=[{**reference, "controller": True}])

    said = refusal(world)

    assert f"is managed by an operator (ConfigMap {world.namespace}/database)" in said
    assert "By hand: roll back the object that the operator reads." in said


def test_a_label_that_only_may_be_argo_cd_s_is_nobody_s_where_no_application_has_it(world: World) -> None:
    placed(world, labels={"app.kubernetes.io/instance": "shop"})

    assert "There is no older revision to roll back to." in refusal(world)


def test_a_plan_whose_workload_changed_hands_is_not_run(world: World) -> None:
    placed(world)
    plan = Plan(target="prod/api", effect=(), blast_radius="", preconditions={"way": "deployment"})
    world.merge(kinds.DEPLOYMENT, "api", {"metadata": {"labels": _FLUX}})

    with pytest.raises((Conflict, Rejected), match="is managed by Flux"):
        world.run(action, ARGS, plan)


def test_a_plan_of_a_way_that_is_gone_is_not_run(world: World) -> None:
    placed(world)
    plan = Plan(target="prod/api", effect=(), blast_radius="", preconditions={"way": "by carrier pigeon"})

    with pytest.raises(Rejected, match="cannot run this plan any more"):
        world.run(action, ARGS, plan)


def test_a_service_without_a_cluster_is_refused_in_words(world: World) -> None:
    assert refusal(world).startswith("The settings have no service prod/api.")
