"""Who takes a change back, and when: Argo CD, Flux, operators and Helm, as tables."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bot.core.kubernetes import KubernetesObject
from bot.workloads.gitops.conflict import GitOpsConflict, gitops_conflict_over
from bot.workloads.objects import kinds
from bot.workloads.objects.owners import owner_of
from tests.cluster import manifests
from tests.cluster.world import World, fake_world

_HEALS = {"automated": {"prune": True, "selfHeal": True}}
_RESPECTED = {**_HEALS, "syncOptions": ["CreateNamespace=true", "RespectIgnoreDifferences=true"]}
_FLUX = {"kustomize.toolkit.fluxcd.io/name": "apps", "kustomize.toolkit.fluxcd.io/namespace": "flux-system"}
_FLUX_HELM = {"helm.toolkit.fluxcd.io/name": "api", "helm.toolkit.fluxcd.io/namespace": "flux-system"}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with fake_world(tmp_path) as made:
        yield made


def api(world: World, **metadata: Any) -> KubernetesObject:
    world.place()
    return world.create(kinds.DEPLOYMENT, "api", **manifests.deployment(replicas=2), metadata=metadata)


def tracked(world: World, **notes: str) -> KubernetesObject:
    mark = {"argocd.argoproj.io/tracking-id": f"shop:apps/Deployment:{world.namespace}/api"}
    return api(world, annotations={**mark, **notes})


def application(
    world: World, policy: Any = None, *, name: str = "shop", namespace: str = "argocd", **parts: Any
) -> None:
    spec = {"destination": {"namespace": world.namespace}, **({"syncPolicy": policy} if policy else {})}
    meta = {"annotations": parts.pop("annotations", {})}
    resources = parts.pop("resources", None)
    status = {"status": {"resources": resources}} if resources is not None else {}
    world.fake.put("Application", name, namespace, spec={**spec, **parts}, metadata=meta, **status)


def fight(world: World, thing: KubernetesObject, path: str = "/spec/replicas") -> GitOpsConflict | None:
    site = world.places["prod/api"]
    return gitops_conflict_over(site, thing, owner_of(thing, site.workload), path)


def ignoring(**what: Any) -> list[dict[str, Any]]:
    return [{"group": "apps", "kind": "Deployment", **what}]


@pytest.mark.parametrize(
    ("policy", "ignored", "refuse", "said"),
    [
        (_HEALS, [], True, "heals itself: a change of /spec/replicas is taken back within seconds."),
        ({"automated": {"enabled": True, "selfHeal": True}}, [], True, "within seconds"),
        ({"automated": {"enabled": False, "selfHeal": True}}, [], False, "when somebody asks: it will be OutOfSync"),
        ({"automated": {}}, [], False, "the next change of git sets /spec/replicas back."),
        ({"automated": {"prune": True}}, [], False, "the next change of git"),
        (None, [], False, "it will be OutOfSync, and that sync sets /spec/replicas back."),
        ({"syncOptions": ["CreateNamespace=true"]}, [], False, "it will be OutOfSync"),
        (_HEALS, ignoring(jsonPointers=["/spec/replicas"]), False, "its next sync sets it to what git has."),
        (_RESPECTED, ignoring(jsonPointers=["/spec/replicas"]), False, "leaves /spec/replicas to others: the change"),
        (_RESPECTED, ignoring(jsonPointers=["/spec"]), False, "leaves /spec/replicas to others"),
        (_RESPECTED, ignoring(jsonPointers=["/spec/replicas/0"]), True, "within seconds"),
        (_RESPECTED, ignoring(jsonPointers=["/spec/rep"]), True, "within seconds"),
        (_RESPECTED, ignoring(jsonPointers=[""]), True, "within seconds"),
        (_HEALS, ignoring(jqPathExpressions=[".spec.replicas"]), False, "its next sync"),
        (_HEALS, ignoring(jqPathExpressions=['.spec["replicas"]']), False, "its next sync"),
        (_HEALS, ignoring(jqPathExpressions=[".spec.template.spec.containers[] | .image"]), True, "within seconds"),
        (_RESPECTED, ignoring(managedFieldsManagers=["kube-controller-manager"]), True, "within seconds"),
        (_RESPECTED, ignoring(name="web", jsonPointers=["/spec/replicas"]), True, "within seconds"),
        (_RESPECTED, ignoring(name="api", jsonPointers=["/spec/replicas"]), False, "to others"),
        (_RESPECTED, ignoring(namespace="other", jsonPointers=["/spec/replicas"]), True, "within seconds"),
        (_RESPECTED, [{"group": "*", "kind": "*", "jsonPointers": ["/spec/replicas"]}], False, "to others"),
        (_RESPECTED, [{"kind": "Deployment", "jsonPointers": ["/spec/replicas"]}], True, "within seconds"),
        (_RESPECTED, [{"group": "apps", "kind": "StatefulSet", "jsonPointers": ["/spec/replicas"]}], True, "within"),
    ],
)
def test_argo_cd_takes_back_what_its_application_says(
    world: World, policy: Any, ignored: list[dict[str, Any]], said: str, *, refuse: bool
) -> None:
    thing = tracked(world)
    application(world, policy, ignoreDifferences=ignored)

    found = fight(world, thing)

    assert found is not None
    assert found.refuses is refuse
    assert said in found.message


def test_a_fight_that_is_lost_says_what_to_do_first(world: World) -> None:
    thing = tracked(world)
    application(world, _HEALS)

    found = fight(world, thing, "/spec/template")

    assert found is not None
    assert found.refusal == (
        f"Argo CD (Application shop) keeps Deployment {world.namespace}/api and heals itself:"
        " a change of /spec/template is taken back within seconds. Nothing was done."
        " Say `autosync prod/api off for 2h` first, or change it in git."
    )


def test_what_git_does_not_name_is_never_taken_back(world: World) -> None:
    applied = json.dumps({"spec": {"template": {}}})
    thing = tracked(world, **{"kubectl.kubernetes.io/last-applied-configuration": applied})
    application(world, _HEALS)

    left, fought = fight(world, thing), fight(world, thing, "/spec/template")

    assert left is not None
    assert fought is not None
    assert (left.refuses, fought.refuses) == (False, True)
    assert "git says nothing about /spec/replicas: the change stays." in left.message


def test_a_copy_of_what_was_applied_is_not_believed_where_the_server_applies(world: World) -> None:
    thing = tracked(world, **{"kubectl.kubernetes.io/last-applied-configuration": "{}"})
    application(world, {**_HEALS, "syncOptions": ["ServerSideApply=true"]})

    found = fight(world, thing)

    assert found is not None
    assert found.refuses


def test_an_application_that_argo_cd_is_told_to_skip_takes_nothing_back(world: World) -> None:
    thing = tracked(world)
    application(world, _HEALS, annotations={"argocd.argoproj.io/skip-reconcile": "true"})

    found = fight(world, thing)

    assert found is not None
    assert not found.refuses
    assert "is told to leave it alone" in found.message


def test_an_application_that_is_not_there_is_taken_for_one_that_fights(world: World) -> None:
    found = fight(world, tracked(world))

    assert found is not None
    assert found.refuses
    assert found.advice.startswith("Set clusters.main.argocd.url and .token, or clusters.main.argocd.namespace")


def test_an_application_that_may_not_be_read_is_taken_for_one_that_fights(world: World) -> None:
    thing = tracked(world)
    application(world, None)
    world.fake.rights.denied["vakhta"] = {("get", "applications")}

    found = fight(world, thing)

    assert found is not None
    assert found.refuses
    assert "cannot be read, so that nobody can tell what it takes back. Cluster main answered 403" in found.message


def test_an_application_in_a_namespace_of_its_own_is_found_there(world: World) -> None:
    mark = f"team_shop:apps/Deployment:{world.namespace}/api"
    thing = api(world, annotations={"argocd.argoproj.io/tracking-id": mark})
    application(world, _HEALS, namespace="team")

    found = fight(world, thing)

    assert found is not None
    assert "Application team/shop" in found.message


def test_argo_cds_own_namespace_is_the_settings(world: World) -> None:
    thing = tracked(world)
    application(world, _HEALS, namespace="gitops")
    site = world.place(argocd_namespace="gitops")

    found = gitops_conflict_over(site, thing, owner_of(thing, site.workload), "/spec/replicas")

    assert found is not None
    assert "heals itself" in found.message


@pytest.mark.parametrize("listed", [True, False])
def test_a_shared_label_is_argo_cds_only_where_the_application_lists_the_object(world: World, *, listed: bool) -> None:
    thing = api(world, labels={"app.kubernetes.io/instance": "shop"})
    mine = {"group": "apps", "kind": "Deployment", "namespace": world.namespace, "name": "api"}
    application(world, _HEALS, resources=[mine if listed else {**mine, "name": "web"}])

    found = fight(world, thing)

    assert (found is not None and found.refuses) is listed
    assert (found is None) is not listed


def test_a_shared_label_without_an_application_is_nobodys(world: World) -> None:
    assert fight(world, api(world, labels={"app.kubernetes.io/instance": "shop"})) is None


@pytest.mark.parametrize(
    ("labels", "kind", "spec", "refuse", "said"),
    [
        (_FLUX, "Kustomization", {"interval": "10m0s"}, True, "is taken back within 10m0s."),
        (_FLUX, "Kustomization", {"interval": "1m", "suspend": False}, True, "within 1m"),
        (_FLUX, "Kustomization", {"suspend": True}, False, "is suspended: a change of /spec/replicas stays until"),
        (_FLUX_HELM, "HelmRelease", {"interval": "5m"}, True, "is taken back by its next upgrade."),
        (_FLUX_HELM, "HelmRelease", {"interval": "5m", "driftDetection": {"mode": "warn"}}, True, "next upgrade"),
        (_FLUX_HELM, "HelmRelease", {"interval": "5m", "driftDetection": {"mode": "enabled"}}, True, "within 5m."),
        (_FLUX_HELM, "HelmRelease", {"suspend": True}, False, "is suspended"),
    ],
)
def test_flux_takes_back_what_is_not_suspended(
    world: World, labels: dict[str, str], kind: str, spec: dict[str, Any], said: str, *, refuse: bool
) -> None:
    thing = api(world, labels=labels)
    world.fake.put(kind, "apps" if kind == "Kustomization" else "api", "flux-system", spec=spec)

    found = fight(world, thing)

    assert found is not None
    assert found.refuses is refuse
    assert said in found.message


def test_flux_is_suspended_by_its_own_command(world: World) -> None:
    thing = api(world, labels=_FLUX)
    world.fake.put("Kustomization", "apps", "flux-system", spec={"interval": "10m"})

    found = fight(world, thing)

    assert found is not None
    assert found.advice == "`flux suspend kustomization apps -n flux-system` first, or change it in git."


def test_an_object_that_flux_is_told_to_leave_alone_is_left_alone(world: World) -> None:
    found = fight(world, api(world, labels=_FLUX, annotations={"kustomize.toolkit.fluxcd.io/reconcile": "disabled"}))

    assert found is not None
    assert not found.refuses


def test_flux_that_cannot_be_found_or_read_is_taken_for_one_that_fights(world: World) -> None:
    thing = api(world, labels=_FLUX)

    gone = fight(world, thing)
    world.fake.rights.denied["vakhta"] = {("get", "kustomizations")}
    hidden = fight(world, thing)

    assert gone is not None
    assert hidden is not None
    assert (gone.refuses, hidden.refuses) == (True, True)
    assert "there is none" in gone.message
    assert "answered 403" in hidden.message


def test_what_an_operator_makes_is_changed_where_it_is_made_of(world: World) -> None:
    owner = world.create(kinds.CONFIG, "database")
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "database", "uid": owner["metadata"]["uid"]}

    found = fight(world, api(world, ownerReferences=[{**reference, "controller": True}]))

    assert found is not None
    assert found.refuses
    assert found.advice == "Change ConfigMap database, of which it is made."


def test_what_helm_made_is_only_noted(world: World) -> None:
    release = {"meta.helm.sh/release-name": "api", "meta.helm.sh/release-namespace": world.namespace}

    found = fight(world, api(world, labels={"app.kubernetes.io/managed-by": "Helm"}, annotations=release))

    assert found is not None
    assert not found.refuses
    assert "its next `helm upgrade` or rollback may set .spec.replicas back." in found.message


def test_what_nobody_keeps_is_nobodys_fight(world: World) -> None:
    assert fight(world, api(world)) is None
