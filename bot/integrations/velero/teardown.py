"""Finds and removes copies, by the label with their run.

The promise: nothing is deleted that does not carry the run's label, and no live namespace. The trap: Velero gives a
restored volume the reclaim policy that its original had; with Retain it would stay when its namespace goes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from bot.core.backup import DRILL_LABEL, OWNER_LABEL, Copy
from bot.core.errors import Conflict, Rejected
from bot.core.kubernetes import KubernetesObject, ObjectRef, PatchType, ResourceKind
from bot.integrations.kubernetes.resources import (
    CONFIG,
    NAMESPACE,
    VOLUME,
    created_at,
    labels_of,
    name_of,
)
from bot.integrations.velero.facts import restore_name
from bot.integrations.velero.manifests import STORE_NOTE
from bot.integrations.velero.site import RESTORE, VeleroSite


def copies(site: VeleroSite) -> Sequence[Copy]:
    """Of this store, by the namespaces that carry the label. Raises `Rejected`."""
    by_run: Mapping[str, list[KubernetesObject]] = defaultdict(list)
    for one in _ours(site, OWNER_LABEL):
        by_run[labels_of(one)[OWNER_LABEL]].append(one)
    return [_copy(run, found) for run, found in sorted(by_run.items())]


def remove_run(site: VeleroSite, run: str) -> None:
    """Everything of that run. What is gone is fine. Raises `Rejected`, `Conflict`, `OutcomeUnknown`."""
    namespaces = list(_ours(site, f"{OWNER_LABEL}={run}"))
    for one in namespaces:
        if name_of(one) in site.where.included:
            raise Rejected(f"Namespace {name_of(one)} is a live one. Nothing was removed.", code="live")
    for volume in _kept_volumes(site, {name_of(one) for one in namespaces}):
        patch = {"spec": {"persistentVolumeReclaimPolicy": "Delete"}}
        ref = ObjectRef(kind=VOLUME, namespace="", name=name_of(volume))
        site.cluster.patch(ref, patch, how=PatchType.MERGE, by=f"vakhta-{run[:8]}")
    for one in namespaces:
        _delete(site, NAMESPACE, "", name_of(one), run)
    _delete(site, CONFIG, site.where.namespace, restore_name(run), run)
    _delete(site, RESTORE, site.where.namespace, restore_name(run), run)


def _ours(site: VeleroSite, chosen: str) -> Iterator[KubernetesObject]:
    for one in site.cluster.find(NAMESPACE, "", labels=chosen):
        if (one["metadata"].get("annotations") or {}).get(STORE_NOTE) == site.store:
            yield one


def _kept_volumes(site: VeleroSite, namespaces: set[str]) -> Iterator[KubernetesObject]:
    for one in site.cluster.find(VOLUME, "") if namespaces else ():
        spec = one.get("spec") or {}
        claimed = (spec.get("claimRef") or {}).get("namespace") in namespaces
        if claimed and spec.get("persistentVolumeReclaimPolicy") == "Retain":
            yield one


def _copy(run: str, namespaces: Sequence[KubernetesObject]) -> Copy:
    times = [at for one in namespaces if (at := created_at(one))]
    return Copy(
        run=run,
        name=f"namespace{'s' if len(namespaces) > 1 else ''} {', '.join(name_of(one) for one in namespaces)}",
        created_at=min(times, default=None),
        drill=any(DRILL_LABEL in labels_of(one) for one in namespaces),
    )


def _delete(site: VeleroSite, kind: ResourceKind, namespace: str, name: str, run: str) -> None:
    ref = ObjectRef(kind=kind, namespace=namespace, name=name)
    found = site.cluster.get(ref)
    if found is None:
        return
    if labels_of(found).get(OWNER_LABEL) != run:
        raise Rejected(f"{ref} does not carry the label of run {run}. It was not removed.", code="not_ours")
    if found["metadata"].get("deletionTimestamp"):
        return
    try:
        site.cluster.delete(ref, uid=found["metadata"]["uid"])
    except Conflict:
        if site.cluster.get(ref) is not None:
            raise
