"""Managed fields in the fake Kubernetes: who wrote which field, by manager, operation and subresource.

A list with merge keys is owned item by item (`k:{"name":"api"}`), a list of finalizers value by value, any other list
as a whole. An Update takes what it changes from everybody; an Apply that would is a conflict, unless it is forced.
https://kubernetes.io/docs/reference/using-api/server-side-apply/
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

Thing = dict[str, Any]
Path = tuple[str, ...]  #: as in fieldsV1: ("f:spec", "f:replicas")
_BOOKKEEPING = {"uid", "name", "namespace", "creationTimestamp", "generation", "resourceVersion", "managedFields"}
#: By the list's field name: what tells its items apart. `ports` are those of a container, or of a Service.
_KEYS = {
    "containers": ("name",),
    "initContainers": ("name",),
    "ephemeralContainers": ("name",),
    "env": ("name",),
    "volumes": ("name",),
    "volumeMounts": ("mountPath",),
    "conditions": ("type",),
    "ownerReferences": ("uid",),
    "imagePullSecrets": ("name",),
}
_MEMBER = "."  #: of an item: that it is in the list


@dataclass(frozen=True, kw_only=True)
class Write:
    """Who writes, and by which way: `sub` is "scale" or "status"."""

    by: str
    sub: str
    at: str
    api_version: str
    applies: bool = False

    @property
    def operation(self) -> str:
        return "Apply" if self.applies else "Update"

    def is_of(self, entry: Thing) -> bool:
        mine = (self.by, self.operation, self.sub)
        return (entry["manager"], entry["operation"], entry.get("subresource", "")) == mine


def managed(old: Thing, new: Thing, write: Write, held: Iterable[Thing]) -> list[Thing]:
    """The entries after an Update, `held` before: what it changed is the writer's, and nobody else's any more."""
    before, after = leaves(old), leaves(new)
    mine = {path for path, value in after.items() if path not in before or before[path] != value}
    kept: list[Thing] = []
    since = ""
    for entry in held:
        left = {path for path in paths(entry["fieldsV1"]) if path in after and path not in mine}
        if write.is_of(entry):
            mine, since = mine | left, entry.get("time", "")
        elif left:
            kept.append({**entry, "fieldsV1": tree(left)})
    if mine:
        # What is written through /scale gets no time there: the real server loses it between the two objects.
        kept.append(entry_of(write, mine, since if write.sub == "scale" else write.at))
    return kept


def entry_of(write: Write, owned: set[Path], at: str) -> Thing:
    entry = {"manager": write.by, "operation": write.operation, "apiVersion": write.api_version}
    entry |= {"time": at} if at else {}
    sub = {"subresource": write.sub} if write.sub else {}
    return {**entry, "fieldsType": "FieldsV1", "fieldsV1": tree(owned)} | sub


def leaves(thing: Thing) -> dict[Path, Any]:
    """Every field that can be owned, with its value."""
    return dict(_leaves(thing, ()))


def _leaves(thing: Thing, path: Path) -> Iterator[tuple[Path, Any]]:
    for name, value in thing.items():
        if name in (_BOOKKEEPING if path == ("f:metadata",) else {"apiVersion", "kind"} if not path else ()):
            continue
        here = (*path, f"f:{name}")
        keys = keys_of(name, value)
        if isinstance(value, dict) and value:
            yield from _leaves(value, here)
        elif keys:
            for one in value:
                item = (*here, key_of(one, keys))
                yield (*item, _MEMBER), True
                yield from _leaves(one, item)
        elif name == "finalizers" and isinstance(value, list):
            yield from (((*here, f"v:{json.dumps(one)}"), True) for one in value)
        else:
            yield here, value


def keys_of(name: str, value: Any) -> tuple[str, ...]:
    """What tells the items of that list apart; () where it is owned as a whole, or is no list."""
    if not isinstance(value, list) or not value or not all(isinstance(one, dict) for one in value):
        return ()
    if name == "ports":
        return ("containerPort", "protocol") if "containerPort" in value[0] else ("port", "protocol")
    return _KEYS.get(name, ())


def key_of(item: Thing, keys: tuple[str, ...]) -> str:
    held = {name: item.get(name, "TCP" if name == "protocol" else "") for name in sorted(keys)}
    return "k:" + json.dumps(held, separators=(",", ":"))


def tree(owned: Iterable[Path]) -> Thing:
    made: Thing = {}
    for path in sorted(owned):
        place = made
        for part in path:
            place = place.setdefault(part, {})
    return made


def paths(fields: Thing, path: Path = ()) -> Iterator[Path]:
    for name, value in fields.items():
        here = (*path, name)
        if value:
            yield from paths(value, here)
        else:
            yield here


def spelled(path: Path) -> str:
    """As in the message of a conflict: `.spec.template.spec.containers[name="api"].image`."""
    said = ""
    for part in path:
        if part.startswith("k:"):
            said += "[" + ",".join(f"{name}={json.dumps(value)}" for name, value in json.loads(part[2:]).items()) + "]"
        elif part.startswith("v:"):
            said += f"[={part[2:]}]"
        elif part != _MEMBER:
            said += f".{part.removeprefix('f:')}"
    return said
