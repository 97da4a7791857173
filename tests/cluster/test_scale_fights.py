"""scale of what git keeps too: refused where it would be taken back at once, told where that is later."""

from __future__ import annotations

from typing import Any

import pytest

from bot.core.plan import Result
from bot.workloads.objects import kinds
from tests.cluster import manifests
from tests.cluster.scale_world import SCALE, Meddled, deployed, refused, replicas, to
from tests.cluster.world import World

_FLUX = {"kustomize.toolkit.fluxcd.io/name": "shop", "kustomize.toolkit.fluxcd.io/namespace": "flux-system"}


def applied(**spec: Any) -> str:
    """What `kubectl apply` and Argo CD write down: git says these fields."""
    return str({"apiVersion": "v1", "spec": spec}).replace("'", '"')


def kept_by_argocd(world: World, policy: dict[str, bool] | None, **spec: Any) -> None:
    """git says how many replicas `prod/api` has, and Argo CD has it from there."""
    fake = world.fake
    deployed(world)
    mark = manifests.tracked("shop", f"apps/Deployment:{world.namespace}/api")
    notes = {**mark, "kubectl.kubernetes.io/last-applied-configuration": applied(replicas=3)}
    world.merge(kinds.DEPLOYMENT, "api", {"metadata": {"annotations": notes}}, by="argocd-controller")
    fake.git["Deployment", "api"] = {"spec": {"replicas": 3}}
    world.create(kinds.APPLICATION, "shop", **manifests.application(world.namespace, automated=policy, **spec))
    world.place(argocd_namespace=world.namespace)
    fake.settle()


def ignored(*options: str) -> dict[str, Any]:
    one = {"group": "apps", "kind": "Deployment", "jsonPointers": ["/spec/replicas"]}
    return {"ignoreDifferences": [one], "syncPolicy": {"automated": {"selfHeal": True}, "syncOptions": list(options)}}


def test_what_heals_itself_is_refused_with_what_to_do(world: World) -> None:
    kept_by_argocd(world, {"selfHeal": True})

    said = refused(world, to(5))

    assert "heals itself: a change of /spec/replicas is taken back within seconds. Nothing was done." in said
    assert said.endswith("change it in git.")
    assert replicas(world) == 3


def test_what_only_syncs_with_git_is_told(world: World) -> None:
    kept_by_argocd(world, {"selfHeal": False})

    plan = world.plan(SCALE, to(5))
    outcome = world.run(SCALE, to(5), plan)

    assert any("the next change of git sets /spec/replicas back." in said for said in plan.effect)
    assert (outcome.result, outcome.degraded, replicas(world)) == (Result.DONE, "", 5)


def test_what_is_left_to_others_and_respected_stays(world: World) -> None:
    kept_by_argocd(world, None, **ignored("RespectIgnoreDifferences=true"))

    plan = world.plan(SCALE, to(5))
    outcome = world.run(SCALE, to(5), plan)

    assert any("leaves /spec/replicas to others: the change stays." in said for said in plan.effect)
    assert (outcome.degraded, replicas(world)) == ("", 5)


def test_self_heal_that_begins_after_the_plan_is_told_with_its_name(world: World) -> None:
    kept_by_argocd(world, {"selfHeal": False})
    plan = world.plan(SCALE, to(5))
    heals = {"spec": {"syncPolicy": {"automated": {"selfHeal": True}}}}
    meddled = Meddled(world, before=lambda: world.merge(kinds.APPLICATION, "shop", heals))
    world.place(cluster=meddled, argocd_namespace=world.namespace)

    outcome = world.run(SCALE, to(5), plan)

    assert outcome.result is Result.DONE
    assert outcome.degraded == "It was taken back to 3 by Argo CD."


def test_an_autoscaler_has_an_owner_of_its_own(world: World) -> None:
    """git keeps the Deployment, without a count; the autoscaler was made by hand."""
    kept_by_argocd(world, {"selfHeal": True})
    world.fake.git.clear()
    world.create(kinds.HPA, "api", **manifests.hpa(least=2, most=10))

    outcome = world.run(SCALE, to(5))

    assert (outcome.degraded, replicas(world)) == ("", 5)


def test_flux_is_refused_until_it_is_suspended(world: World) -> None:
    if not world.serves(kinds.KUSTOMIZATION):
        pytest.skip("Flux is not installed")
    world.create(kinds.DEPLOYMENT, "api", metadata={"labels": _FLUX}, **manifests.deployment())
    world.place()

    said = refused(world, to(5))

    assert "Flux (Kustomization flux-system/shop)" in said


def test_a_helm_release_is_told(world: World) -> None:
    notes = {"meta.helm.sh/release-name": "api", "meta.helm.sh/release-namespace": world.namespace}
    meta = {"labels": {"app.kubernetes.io/managed-by": "Helm"}, "annotations": notes}
    world.create(kinds.DEPLOYMENT, "api", metadata=meta, **manifests.deployment())
    world.place()

    plan = world.plan(SCALE, to(5))

    assert any("its next `helm upgrade` or rollback may set .spec.replicas back." in said for said in plan.effect)
