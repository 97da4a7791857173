"""Compares the objects of a release's version with the cluster: their field owners, and whether they match.

The comparison is a dry run of Helm's own write, a server-side apply in Helm's name: only the API server knows defaults,
quantities and field owners. The trap: Helm's version number shows what Helm was asked for, not what happened to the
objects; a rollback that stopped half-way has created a version too.
https://kubernetes.io/docs/reference/using-api/server-side-apply/#conflicts
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bot.core.errors import Conflict, Rejected
from bot.core.kubernetes import Cluster, KubernetesObject, ObjectRef, PatchType, ResourceKind
from bot.workloads.objects import run_markers
from bot.workloads.objects.owners import Owner
from bot.workloads.rollback import helm_history
from bot.workloads.rollback.helm_history import Release

_CONFLICT = re.compile(
    r'conflicts? with "(?P<who>[^"]+)"(?: with subresource "(?P<sub>[^"]+)")?[^:]*:(?P<fields>(?:\s+(?:- )?\.\S+)+)'
)
_COUNT = re.compile(r"Apply failed with (\d+) conflict")
_REPLICAS = ".spec.replicas"
#: Fields of a spec whose values are shown; others may be secrets.
_SHOWN_VALUES = (".replicas", ".image")
_SHOWN = 6


@dataclass(frozen=True, kw_only=True, slots=True)
class ReleaseObject:
    """One object of a release: its place, and its manifest."""

    ref: ObjectRef
    thing: KubernetesObject


@dataclass(frozen=True, kw_only=True, slots=True)
class FieldConflict:
    """A field that Helm would set, and that another manager owns with another value."""

    ref: ObjectRef
    manager: str  #: the manager
    field: str  #: ".spec.replicas"
    sub: str = ""  #: the subresource through which it wrote

    def __str__(self) -> str:
        return f"{self.field} of {self.ref} is owned by {run_markers.manager_name(self.manager, self.sub)}"


@dataclass(frozen=True, kw_only=True, slots=True)
class ReleaseDiff:
    """The comparison of a release's objects with the cluster: a few words each."""

    same: tuple[str, ...] = ()
    different: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()  #: objects that could not be read


def release_objects(cluster: Cluster, release: Release, namespace: str) -> Sequence[ReleaseObject]:
    """Its objects of kinds that the cluster serves. Raises `Rejected` if those kinds cannot be read."""
    known: dict[tuple[str, str], Mapping[str, tuple[ResourceKind, bool]]] = {}
    found = []
    for thing in helm_history.objects(release.manifest):
        group, _, version = str(thing.get("apiVersion", "")).rpartition("/")
        if (group, version) not in known:
            known[group, version] = _served(cluster, group, version)
        kind, namespaced = known[group, version].get(str(thing.get("kind", "")), (None, False))
        meta = thing.get("metadata") or {}
        if kind is not None and meta.get("name"):
            where = str(meta.get("namespace") or namespace) if namespaced else ""
            found.append(ReleaseObject(ref=ObjectRef(kind=kind, namespace=where, name=str(meta["name"])), thing=thing))
    return found


def conflicts(
    cluster: Cluster, objects: Sequence[ReleaseObject], owner: Owner
) -> tuple[list[FieldConflict], list[str]]:
    """The conflicts that would stop Helm's server-side apply half-way; Helm takes over fields of its older writes."""
    found, unseen = [], []
    for one in objects:
        try:
            if cluster.get(one.ref) is not None:
                _dry_apply(cluster, one, owner)
        except Conflict as conflict:
            found += [held for held in _held(one.ref, conflict.message) if held.manager != run_markers.HELM]
        except Rejected:
            unseen.append(str(one.ref))
    return found, unseen


def compare(
    cluster: Cluster, objects: Sequence[ReleaseObject], owner: Owner, *, but: ObjectRef | None = None
) -> ReleaseDiff:
    """Whether they match the release. `but`: an object whose replicas differ on purpose."""
    alike, unlike, unseen = [], [], []
    for one in objects:
        called = f"{one.ref.kind.title} {one.ref.name}"
        try:
            live = cluster.get(one.ref)
            fields = ["does not exist"] if live is None else _unlike(cluster, one, live, owner)
        except Rejected:
            unseen.append(called)
            continue
        scaled = one.ref == but or (live is not None and run_markers.is_autoscaled(live))
        fields = [message for message in fields if not (scaled and message.startswith(_REPLICAS))]
        if fields:
            more = f" and {len(fields) - _SHOWN} more" if len(fields) > _SHOWN else ""
            unlike.append(f"{called} ({', '.join(fields[:_SHOWN])}{more})")
        else:
            alike.append(called)
    return ReleaseDiff(same=tuple(alike), different=tuple(unlike), unreadable=tuple(unseen))


def existing(cluster: Cluster, objects: Sequence[ReleaseObject]) -> list[ObjectRef]:
    """Those that exist; one that may not be read is assumed to exist."""
    found = []
    for one in objects:
        try:
            there = cluster.get(one.ref) is not None
        except Rejected:
            there = True
        if there:
            found.append(one.ref)
    return found


def _served(cluster: Cluster, group: str, version: str) -> Mapping[str, tuple[ResourceKind, bool]]:
    """By the kind's name: its place in the API, and whether it is namespaced."""
    listing_ref = ObjectRef(
        kind=ResourceKind(group=group, version=version, plural="", title="APIResourceList"), namespace="", name=""
    )
    listing = cluster.get(listing_ref) or {}
    return {
        str(row["kind"]): (
            ResourceKind(group=group, version=version, plural=str(row["name"]), title=str(row["kind"])),
            bool(row.get("namespaced")),
        )
        for row in listing.get("resources") or ()
        if "/" not in str(row["name"])
    }


def _dry_apply(cluster: Cluster, one: ReleaseObject, owner: Owner) -> KubernetesObject:
    meta = one.thing.get("metadata") or {}
    # Helm adds these to everything that it writes.
    labels = {**(meta.get("labels") or {}), "app.kubernetes.io/managed-by": "Helm"}
    notes = {"meta.helm.sh/release-name": owner.name, "meta.helm.sh/release-namespace": owner.namespace}
    marked = {**meta, "labels": labels, "annotations": {**(meta.get("annotations") or {}), **notes}}
    return cluster.patch(one.ref, {**one.thing, "metadata": marked}, how=PatchType.APPLY, by=run_markers.HELM, dry=True)


def _held(ref: ObjectRef, message: str) -> Iterator[FieldConflict]:
    """Parses the API server's message, whose end may be cut off."""
    count = 0
    for found in _CONFLICT.finditer(message):
        for field in found["fields"].split():
            if field != "-":
                count += 1
                yield FieldConflict(ref=ref, manager=found["who"], sub=found["sub"] or "", field=field)
    total = _COUNT.search(message)
    if total is not None and int(total[1]) > count:
        yield FieldConflict(ref=ref, manager="others", field=f"more ({int(total[1]) - count})")


def _unlike(cluster: Cluster, one: ReleaseObject, live: KubernetesObject, owner: Owner) -> list[str]:
    try:
        would = _dry_apply(cluster, one, owner)
    except Conflict as conflict:
        fields = [held.field for held in _held(one.ref, conflict.message)]
        return [_describe_difference(field, live, one.thing) for field in fields] or ["it differs"]
    message = {part: one.thing[part] for part in one.thing.keys() - {"apiVersion", "kind", "metadata", "status"}}
    fields = [
        field for name in message for field in _fields(message[name], live.get(name), would.get(name), f".{name}")
    ]
    return [_describe_difference(field, live, one.thing) for field in fields]


def _fields(wanted: Any, live: Any, would: Any, path: str) -> Iterator[str]:
    """The fields that the release sets and that the write would change."""
    if isinstance(wanted, Mapping) and wanted and isinstance(live, Mapping) and isinstance(would, Mapping):
        for name, value in wanted.items():
            yield from _fields(value, live.get(name), would.get(name), f"{path}.{name}")
    elif isinstance(live, list) and isinstance(would, list) and _of_names(live) and _of_names(live) == _of_names(would):
        for had, has in zip(live, would, strict=True):
            yield from _fields(has, had, has, f'{path}[name="{has["name"]}"]')
    elif live != would:
        yield path


def _of_names(some: list[Any]) -> list[str]:
    """The names of its items; empty if they have none."""
    return [str(one["name"]) for one in some if isinstance(one, Mapping) and "name" in one]


def _describe_difference(field: str, live: KubernetesObject, wanted: KubernetesObject) -> str:
    if not (field.startswith(".spec.") and field.endswith(_SHOWN_VALUES)):
        return field
    return f"{field} is {_at(live, field)}, not {_at(wanted, field)}"


def _at(thing: Any, field: str) -> Any:
    for part in re.findall(r'\.([^.\[]+)|\[name="([^"]*)"\]', field):
        name, item = part
        thing = next((one for one in thing or () if one.get("name") == item), None) if item else (thing or {}).get(name)
    return thing
