"""What a version of a release installs, against what is there: who holds its fields, and whether they are as it says.

Asked by a dry run of Helm's own write, a server-side apply in Helm's name: the API server knows defaults, quantities
and owners of fields. The trap: Helm's version number says what was asked of it, and not what became of the objects; a
rollback that stopped half-way has made a version all the same.
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
#: Fields of a spec whose values are told; others may be secrets.
_TOLD = (".replicas", ".image")
_SHOWN = 6


@dataclass(frozen=True, kw_only=True, slots=True)
class ReleaseObject:
    """One object of a release: where it is, and what the release says of it."""

    ref: ObjectRef
    thing: KubernetesObject


@dataclass(frozen=True, kw_only=True, slots=True)
class FieldConflict:
    """A field that Helm would set, and that somebody else holds with another value."""

    ref: ObjectRef
    manager: str  #: the manager
    field: str  #: ".spec.replicas"
    sub: str = ""  #: the subresource through which it wrote

    def __str__(self) -> str:
        return f"{self.field} of {self.ref} is held by {run_markers.manager_name(self.manager, self.sub)}"


@dataclass(frozen=True, kw_only=True, slots=True)
class ReleaseDiff:
    """The objects of a release as they are: a few words each."""

    same: tuple[str, ...] = ()
    different: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()  #: which could not be looked at


def release_objects(cluster: Cluster, release: Release, namespace: str) -> Sequence[ReleaseObject]:
    """Its objects whose kinds the cluster serves. Raises `Rejected` where it does not say which those are."""
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
    """What would stop Helm's server-side apply half-way; Helm takes over what it holds by older writes."""
    found, unseen = [], []
    for one in objects:
        try:
            if cluster.get(one.ref) is not None:
                _tried(cluster, one, owner)
        except Conflict as moved:
            found += [held for held in _held(one.ref, moved.message) if held.manager != helm_history.MANAGER]
        except Rejected:
            unseen.append(str(one.ref))
    return found, unseen


def compare(
    cluster: Cluster, objects: Sequence[ReleaseObject], owner: Owner, *, but: ObjectRef | None = None
) -> ReleaseDiff:
    """Whether they are as the release says. `but`: an object whose replicas are somebody else's on purpose."""
    alike, unlike, unseen = [], [], []
    for one in objects:
        called = f"{one.ref.kind.title} {one.ref.name}"
        try:
            live = cluster.get(one.ref)
            fields = ["is not there"] if live is None else _unlike(cluster, one, live, owner)
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
    """Those of them that are there; one that may not be read is taken for that."""
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
    """By the kind's name: where it is in the API, and whether it is in namespaces."""
    place = ObjectRef(
        kind=ResourceKind(group=group, version=version, plural="", title="APIResourceList"), namespace="", name=""
    )
    told = cluster.get(place) or {}
    return {
        str(row["kind"]): (
            ResourceKind(group=group, version=version, plural=str(row["name"]), title=str(row["kind"])),
            bool(row.get("namespaced")),
        )
        for row in told.get("resources") or ()
        if "/" not in str(row["name"])
    }


def _tried(cluster: Cluster, one: ReleaseObject, owner: Owner) -> KubernetesObject:
    meta = one.thing.get("metadata") or {}
    # Helm adds these to whatever it writes.
    labels = {**(meta.get("labels") or {}), "app.kubernetes.io/managed-by": "Helm"}
    notes = {"meta.helm.sh/release-name": owner.name, "meta.helm.sh/release-namespace": owner.namespace}
    marked = {**meta, "labels": labels, "annotations": {**(meta.get("annotations") or {}), **notes}}
    return cluster.patch(
        one.ref, {**one.thing, "metadata": marked}, how=PatchType.APPLY, by=helm_history.MANAGER, dry=True
    )


def _held(ref: ObjectRef, message: str) -> Iterator[FieldConflict]:
    """From the API server's words, of which the end may be cut off."""
    count = 0
    for found in _CONFLICT.finditer(message):
        for field in found["fields"].split():
            if field != "-":
                count += 1
                yield FieldConflict(ref=ref, manager=found["who"], sub=found["sub"] or "", field=field)
    told = _COUNT.search(message)
    if told is not None and int(told[1]) > count:
        yield FieldConflict(ref=ref, manager="others", field=f"more ({int(told[1]) - count})")


def _unlike(cluster: Cluster, one: ReleaseObject, live: KubernetesObject, owner: Owner) -> list[str]:
    try:
        would = _tried(cluster, one, owner)
    except Conflict as moved:
        fields = [held.field for held in _held(one.ref, moved.message)]
        return [_told(field, live, one.thing) for field in fields] or ["it differs"]
    message = {part: one.thing[part] for part in one.thing.keys() - {"apiVersion", "kind", "metadata", "status"}}
    fields = [
        field for name in message for field in _fields(message[name], live.get(name), would.get(name), f".{name}")
    ]
    return [_told(field, live, one.thing) for field in fields]


def _fields(said: Any, live: Any, would: Any, path: str) -> Iterator[str]:
    """Where the release says something, and what is there would be changed by it."""
    if isinstance(said, Mapping) and said and isinstance(live, Mapping) and isinstance(would, Mapping):
        for name, value in said.items():
            yield from _fields(value, live.get(name), would.get(name), f"{path}.{name}")
    elif isinstance(live, list) and isinstance(would, list) and _of_names(live) and _of_names(live) == _of_names(would):
        for had, has in zip(live, would, strict=True):
            yield from _fields(has, had, has, f'{path}[name="{has["name"]}"]')
    elif live != would:
        yield path


def _of_names(some: list[Any]) -> list[str]:
    """The names of its items; none where they have no names."""
    return [str(one["name"]) for one in some if isinstance(one, Mapping) and "name" in one]


def _told(field: str, live: KubernetesObject, said: KubernetesObject) -> str:
    if not (field.startswith(".spec.") and field.endswith(_TOLD)):
        return field
    return f"{field} is {_at(live, field)}, not {_at(said, field)}"


def _at(thing: Any, field: str) -> Any:
    for part in re.findall(r'\.([^.\[]+)|\[name="([^"]*)"\]', field):
        name, item = part
        thing = next((one for one in thing or () if one.get("name") == item), None) if item else (thing or {}).get(name)
    return thing
