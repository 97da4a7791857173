"""The objects of the fake Kubernetes: versions, generations, who wrote which field, selectors, and what has changed.

As the real one: one counter for all versions; a generation that counts changes of the spec alone; a write that changes
nothing makes no new version; managed fields by manager and subresource, where a list counts as one field.
"""

from __future__ import annotations

import copy
import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.fakes.kubernetes_kinds import FIELD_SELECTORS, Resource

Thing = dict[str, Any]
_SET = re.compile(r"\s*(!?)([^\s!=,()]+)\s*(?:(=|==|!=)\s*([^\s,()]*)|\s(in|notin)\s*\(([^)]*)\))?\s*(?:,|$)")
_TIME = "2026-11-24T03:00:00Z"


class Refused(Exception):
    """What is answered instead: a Status with this code, reason and message."""

    def __init__(self, code: int, reason: str, said: str, **details: object) -> None:
        super().__init__(said)
        self.code, self.reason, self.said, self.details = code, reason, said, details

    def status(self) -> Thing:
        return {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.said,
            "reason": self.reason,
            "details": self.details,
            "code": self.code,
        }


@dataclass(frozen=True, kw_only=True)
class Change:
    """One event of a watch."""

    version: int
    type: str  #: ADDED, MODIFIED or DELETED
    resource: Resource
    thing: Thing


Key = tuple[str, str, str, str]


class Objects:
    """Everything that is stored. Not locked: who owns it holds a lock around each use."""

    def __init__(self) -> None:
        self.version = 1000
        self.held: dict[Key, Thing] = {}
        self.changes: list[Change] = []
        self.forgotten = 0  #: a watch from before this version is told 410

    def get(self, resource: Resource, namespace: str, name: str) -> Thing:
        found = self.held.get(_key(resource, namespace, name))
        if found is None:
            said = f'{resource.qualified} "{name}" not found'
            raise Refused(404, "NotFound", said, name=name, group=resource.group, kind=resource.plural)
        return found

    def find(self, resource: Resource, namespace: str, name: str) -> Thing | None:
        return self.held.get(_key(resource, namespace, name))

    def all(self, resource: Resource, namespace: str = "") -> Iterator[Thing]:
        """Sorted by name, as etcd has them."""
        for key in sorted(self.held):
            if key[:2] == (resource.group, resource.plural) and namespace in ("", key[2]):
                yield self.held[key]

    def create(self, resource: Resource, thing: Mapping[str, Any], by: str) -> Thing:
        new = copy.deepcopy(dict(thing))
        meta = new.setdefault("metadata", {})
        if meta.get("generateName") and not meta.get("name"):
            meta["name"] = f"{meta['generateName']}{uuid.uuid4().hex[:5]}"
        namespace = meta.get("namespace", "")
        if self.find(resource, namespace, meta["name"]) is not None:
            said = f'{resource.qualified} "{meta["name"]}" already exists'
            raise Refused(409, "AlreadyExists", said, name=meta["name"], kind=resource.plural)
        new |= {"apiVersion": resource.api_version, "kind": resource.kind}
        meta |= {"uid": meta.get("uid") or str(uuid.uuid4()), "creationTimestamp": _TIME, "generation": 1}
        meta["managedFields"] = _managed({}, new, by, "", resource)
        self._keep(resource, new, "ADDED")
        return new

    def write(self, resource: Resource, old: Thing, new: Thing, *, by: str, sub: str = "") -> Thing:
        """The new state of what is stored, its bookkeeping done; the same object where nothing is different."""
        made = self.would_be(resource, old, new, by=by, sub=sub)
        if made is not old:
            self._keep(resource, made, "MODIFIED")
        return made

    def would_be(self, resource: Resource, old: Thing, new: Thing, *, by: str, sub: str = "") -> Thing:
        """As `write`, without keeping it: what a dry run answers."""
        made = _only(resource, old, new, sub)
        said = made["metadata"].get("resourceVersion")
        if said not in (None, old["metadata"]["resourceVersion"]):
            said = (
                f'Operation cannot be fulfilled on {resource.qualified} "{old["metadata"]["name"]}":'
                " the object has been modified; please apply your changes to the latest version and try again"
            )
            raise Refused(409, "Conflict", said, name=old["metadata"]["name"], kind=resource.plural)
        for name in ("uid", "name", "namespace", "creationTimestamp", "generation", "resourceVersion", "managedFields"):
            if name in old["metadata"]:
                made["metadata"][name] = old["metadata"][name]
        if made == old:
            return old
        if any(
            made.get(name) != old.get(name) for name in made.keys() | old.keys() if name not in ("metadata", "status")
        ):
            made["metadata"]["generation"] = old["metadata"]["generation"] + 1
        made["metadata"]["managedFields"] = _managed(old, made, by, sub, resource)
        return made

    def delete(self, resource: Resource, thing: Thing) -> None:
        del self.held[_key(resource, thing["metadata"].get("namespace", ""), thing["metadata"]["name"])]
        self.version += 1
        gone = copy.deepcopy(thing)
        gone["metadata"]["resourceVersion"] = str(self.version)
        self.changes.append(Change(version=self.version, type="DELETED", resource=resource, thing=gone))

    def _keep(self, resource: Resource, thing: Thing, how: str) -> None:
        self.version += 1
        thing["metadata"]["resourceVersion"] = str(self.version)
        self.held[_key(resource, thing["metadata"].get("namespace", ""), thing["metadata"]["name"])] = thing
        self.changes.append(Change(version=self.version, type=how, resource=resource, thing=copy.deepcopy(thing)))


def selected(labels: str, fields: str, resource: Resource) -> Callable[[Thing], bool]:
    """Whether something matches both selectors. Raises `Refused` 400 for one that the real server would not take."""
    wanted = list(_requirements(labels))
    paths = [_field(one, resource) for one in fields.split(",") if one]

    def fits(thing: Thing) -> bool:
        held = thing["metadata"].get("labels") or {}
        return all(test(held) for test in wanted) and all(
            (_text(thing, path) == value) is same for path, same, value in paths
        )

    return fits


def _requirements(labels: str) -> Iterator[Callable[[Mapping[str, str]], bool]]:
    at = 0
    while at < len(labels):
        found = _SET.match(labels, at)
        if found is None or found.end() == at:
            raise Refused(400, "BadRequest", f'unable to parse requirement: found "{labels[at:]}"')
        at = found.end()
        yield _requirement(found)


def _requirement(found: re.Match[str]) -> Callable[[Mapping[str, str]], bool]:
    absent, name, op, value, setop, values = found.groups()
    if op in ("=", "=="):
        return lambda held: held.get(name) == value
    if op == "!=":
        return lambda held: held.get(name) != value
    if setop:
        among = {one.strip() for one in (values or "").split(",")}
        return lambda held: (held.get(name) in among) is (setop == "in")
    return lambda held: (name in held) is not bool(absent)


def _field(said: str, resource: Resource) -> tuple[str, bool, str]:
    found = re.fullmatch(r"([A-Za-z.]+)(!=|==|=)(.*)", said)
    known = ("metadata.name", "metadata.namespace", *FIELD_SELECTORS.get(resource.plural, ()))
    if found is None or found[1] not in known:
        raise Refused(400, "BadRequest", f'field label not supported: "{said}"')
    return found[1], found[2] != "!=", found[3]


def _text(thing: Any, path: str) -> str:
    for part in path.split("."):
        thing = (thing or {}).get(part)
    return "" if thing is None else str(thing)


def _only(resource: Resource, old: Thing, new: Thing, sub: str) -> Thing:
    """Through /status only the status is taken, and elsewhere everything but that, where there is such a path."""
    made = copy.deepcopy(new)
    if sub == "status":
        made = copy.deepcopy(old) | ({"status": made["status"]} if "status" in made else {})
        made["metadata"]["resourceVersion"] = new["metadata"].get("resourceVersion")
    elif resource.status:
        made.pop("status", None)
        made |= {"status": copy.deepcopy(old["status"])} if "status" in old else {}
    return made


def _key(resource: Resource, namespace: str, name: str) -> Key:
    return (resource.group, resource.plural, namespace if resource.namespaced else "", name)


Path = tuple[str, ...]
_BOOKKEEPING = {"uid", "name", "namespace", "creationTimestamp", "generation", "resourceVersion", "managedFields"}


def _managed(old: Thing, new: Thing, by: str, sub: str, resource: Resource) -> list[Thing]:
    """The entries after a write: what it changed is the writer's, and nobody else's any more."""
    before, after = dict(_leaves(old)), dict(_leaves(new))
    mine = {path for path, value in after.items() if path not in before or before[path] != value}
    kept: list[Thing] = []
    for entry in old.get("metadata", {}).get("managedFields", ()):
        left = {path for path in _paths(entry["fieldsV1"]) if path in after and path not in mine}
        if (entry["manager"], entry.get("subresource", "")) == (by, sub):
            mine |= left
        elif left:
            kept.append({**entry, "fieldsV1": _tree(left)})
    if mine:
        entry = {"manager": by, "operation": "Update", "apiVersion": resource.api_version, "time": _TIME}
        kept.append(
            {**entry, "fieldsType": "FieldsV1", "fieldsV1": _tree(mine)} | ({"subresource": sub} if sub else {})
        )
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
