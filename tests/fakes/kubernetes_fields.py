"""Managed fields in the fake Kubernetes: who wrote which field, by manager and subresource; a list is one field."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Thing = dict[str, Any]
Path = tuple[str, ...]
_BOOKKEEPING = {"uid", "name", "namespace", "creationTimestamp", "generation", "resourceVersion", "managedFields"}


@dataclass(frozen=True, kw_only=True)
class Write:
    """Who writes, and by which way: `sub` is "scale" or "status"."""

    by: str
    sub: str
    at: str
    api_version: str


def managed(old: Thing, new: Thing, write: Write) -> list[Thing]:
    """The entries after a write: what it changed is the writer's, and nobody else's any more."""
    before, after = dict(_leaves(old)), dict(_leaves(new))
    mine = {path for path, value in after.items() if path not in before or before[path] != value}
    kept: list[Thing] = []
    for entry in old.get("metadata", {}).get("managedFields", ()):
        left = {path for path in _paths(entry["fieldsV1"]) if path in after and path not in mine}
        if (entry["manager"], entry.get("subresource", "")) == (write.by, write.sub):
            mine |= left
        elif left:
            kept.append({**entry, "fieldsV1": _tree(left)})
    if mine:
        entry = {"manager": write.by, "operation": "Update", "apiVersion": write.api_version, "time": write.at}
        sub = {"subresource": write.sub} if write.sub else {}
        kept.append({**entry, "fieldsType": "FieldsV1", "fieldsV1": _tree(mine)} | sub)
    return kept


def _leaves(thing: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    for name, value in thing.items():
        if name in (_BOOKKEEPING if path == ("metadata",) else {"apiVersion", "kind"} if not path else ()):
            continue
        if isinstance(value, dict) and value:
            yield from _leaves(value, (*path, name))
        else:
            yield (*path, name), value


def _tree(paths: set[Path]) -> Thing:
    tree: Thing = {}
    for path in sorted(paths):
        place = tree
        for part in path:
            place = place.setdefault(f"f:{part}", {})
    return tree


def _paths(tree: Thing, path: Path = ()) -> Iterator[Path]:
    for name, value in tree.items():
        here = (*path, name.removeprefix("f:"))
        if value:
            yield from _paths(value, here)
        else:
            yield here
