"""Which tool manages an object: Argo CD, Flux, Helm, or an operator. Pure; the first mark that is found decides.

Each tool is known by its own mark, checked in a fixed order. A tracking annotation of Argo CD that names another object
was copied and does not count. Argo CD's older label is shared with Helm charts: the caller has to ask Argo CD whether
the application has the object.
https://argo-cd.readthedocs.io/en/stable/user-guide/resource_tracking/
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from bot.core.kubernetes import KubernetesObject, ObjectRef

_TRACKED = "argocd.argoproj.io/tracking-id"
_INSTANCES = ("argocd.argoproj.io/instance", "app.kubernetes.io/instance")
_ID = re.compile(r"(?P<app>[^:]+):(?P<group>[^/]*)/(?P<kind>[^:]+):(?P<namespace>[^/]*)/(?P<name>.+)")


class ManagedBy(StrEnum):
    """The kinds of owners."""

    NOBODY = "nobody"
    ARGOCD = "Argo CD"
    FLUX = "Flux"
    HELM = "Helm"
    OPERATOR = "an operator"


@dataclass(frozen=True, kw_only=True, slots=True)
class Owner:
    """The manager of an object. `name` in `namespace`: application, Kustomization, HelmRelease, release or resource.

    `is_certain`: False where the mark may belong to something else (the label that Helm charts set as well).
    """

    by: ManagedBy
    name: str = ""
    namespace: str = ""
    kind: str = ""  #: "Application", "Kustomization", "HelmRelease", "release", or the custom resource's kind
    is_certain: bool = True

    def __str__(self) -> str:
        if self.by is ManagedBy.NOBODY:
            return "nobody else"
        return f"{self.by} ({self.kind} {f'{self.namespace}/' if self.namespace else ''}{self.name})"


UNMANAGED = Owner(by=ManagedBy.NOBODY)


def owner_of(thing: KubernetesObject, ref: ObjectRef) -> Owner:
    """The manager of the object at `ref`."""
    meta = thing.get("metadata") or {}
    labels, notes = meta.get("labels") or {}, meta.get("annotations") or {}
    return (
        _argocd(notes, ref)
        or _flux(labels)
        or _operator(meta)
        or _helm(labels, notes)
        or _argocd_by_label(labels)
        or UNMANAGED
    )


def _argocd(notes: KubernetesObject, ref: ObjectRef) -> Owner | None:
    """Parses `<app>:<group>/<kind>:<namespace>/<name>`; an app outside Argo CD's namespace is `<namespace>_<app>`."""
    found = _ID.fullmatch(str(notes.get(_TRACKED, "")))
    if found is None:
        return None
    tracked = (found["group"], found["kind"], found["namespace"], found["name"])
    if tracked != (ref.kind.group, ref.kind.title, ref.namespace, ref.name):
        return None
    namespace, _, name = found["app"].rpartition("_")
    return Owner(by=ManagedBy.ARGOCD, name=name, namespace=namespace, kind="Application")


def _argocd_by_label(labels: KubernetesObject) -> Owner | None:
    for label in _INSTANCES:
        if labels.get(label):
            namespace, _, name = str(labels[label]).rpartition("_")
            certain = label == _INSTANCES[0]
            return Owner(by=ManagedBy.ARGOCD, name=name, namespace=namespace, kind="Application", is_certain=certain)
    return None


def _flux(labels: KubernetesObject) -> Owner | None:
    for tool, kind in (("kustomize", "Kustomization"), ("helm", "HelmRelease")):
        name = labels.get(f"{tool}.toolkit.fluxcd.io/name")
        if name:
            namespace = str(labels.get(f"{tool}.toolkit.fluxcd.io/namespace", ""))
            return Owner(by=ManagedBy.FLUX, name=str(name), namespace=namespace, kind=kind)
    return None


def _operator(meta: KubernetesObject) -> Owner | None:
    for one in meta.get("ownerReferences") or ():
        if one.get("controller"):
            return Owner(
                by=ManagedBy.OPERATOR, name=one["name"], namespace=str(meta.get("namespace", "")), kind=one["kind"]
            )
    return None


def _helm(labels: KubernetesObject, notes: KubernetesObject) -> Owner | None:
    name = notes.get("meta.helm.sh/release-name")
    if labels.get("app.kubernetes.io/managed-by") != "Helm" or not name:
        return None
    return Owner(
        by=ManagedBy.HELM, name=name, namespace=notes.get("meta.helm.sh/release-namespace", ""), kind="release"
    )
