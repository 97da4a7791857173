"""The manager of an object: each tool is known by its own mark, never by a copied one."""

from __future__ import annotations

from typing import Any

import pytest

from bot.core.kubernetes import ObjectRef
from bot.workloads.objects import kinds
from bot.workloads.objects.owners import UNMANAGED, ManagedBy, Owner, owner_of

_REF = ObjectRef(kind=kinds.DEPLOYMENT, namespace="shop", name="api")
_TRACKED = "argocd.argoproj.io/tracking-id"
_HELM = {"meta.helm.sh/release-name": "shop", "meta.helm.sh/release-namespace": "shop"}
_BY_HELM = {"app.kubernetes.io/managed-by": "Helm", "app.kubernetes.io/instance": "shop"}
_CONTROLLER = {"kind": "ClickHouseInstallation", "name": "events", "controller": True}


def thing(**meta: Any) -> dict[str, Any]:
    return {"metadata": {"name": "api", "namespace": "shop", **meta}}


@pytest.mark.parametrize(
    ("meta", "owner"),
    [
        ({}, UNMANAGED),
        (
            {"annotations": {_TRACKED: "store:apps/Deployment:shop/api"}},
            Owner(by=ManagedBy.ARGOCD, name="store", kind="Application"),
        ),
        (
            {"annotations": {_TRACKED: "team_store:apps/Deployment:shop/api"}},
            Owner(by=ManagedBy.ARGOCD, name="store", namespace="team", kind="Application"),
        ),
        ({"annotations": {_TRACKED: "store:apps/Deployment:shop/web"}}, UNMANAGED),
        ({"annotations": {_TRACKED: "store:apps/StatefulSet:shop/api"}}, UNMANAGED),
        (
            {"labels": {"argocd.argoproj.io/instance": "store"}},
            Owner(by=ManagedBy.ARGOCD, name="store", kind="Application"),
        ),
        (
            {"labels": {"app.kubernetes.io/instance": "store"}},
            Owner(by=ManagedBy.ARGOCD, name="store", kind="Application", is_certain=False),
        ),
        (
            {"labels": {"kustomize.toolkit.fluxcd.io/name": "apps", "kustomize.toolkit.fluxcd.io/namespace": "flux"}},
            Owner(by=ManagedBy.FLUX, name="apps", namespace="flux", kind="Kustomization"),
        ),
        (
            {"labels": {**_BY_HELM, "helm.toolkit.fluxcd.io/name": "shop"}, "annotations": _HELM},
            Owner(by=ManagedBy.FLUX, name="shop", kind="HelmRelease"),
        ),
        (
            {"labels": _BY_HELM, "annotations": _HELM},
            Owner(by=ManagedBy.HELM, name="shop", namespace="shop", kind="release"),
        ),
        (
            {"labels": _BY_HELM},
            Owner(by=ManagedBy.ARGOCD, name="shop", kind="Application", is_certain=False),
        ),
        (
            {"labels": _BY_HELM, "annotations": _HELM, "ownerReferences": [_CONTROLLER]},
            Owner(by=ManagedBy.OPERATOR, name="events", namespace="shop", kind="ClickHouseInstallation"),
        ),
        ({"ownerReferences": [{"kind": "Thing", "name": "x"}]}, UNMANAGED),
    ],
)
def test_an_owner_is_known_by_its_mark(meta: dict[str, Any], owner: Owner) -> None:
    assert owner_of(thing(**meta), _REF) == owner


def test_an_owner_is_named_with_what_it_keeps_the_object_by() -> None:
    assert str(Owner(by=ManagedBy.ARGOCD, name="store", kind="Application")) == "Argo CD (Application store)"
    assert (
        str(Owner(by=ManagedBy.FLUX, name="apps", namespace="flux", kind="Kustomization"))
        == "Flux (Kustomization flux/apps)"
    )
    assert str(UNMANAGED) == "nobody else"
