"""The objects of the fake Kubernetes: versions, generations, who wrote which field, selectors, and what has changed.

As the real one: one counter for all versions; a generation that counts changes of the spec alone; a write that changes
nothing makes no new version. Kept by kind and namespace, and by owner, so that a list costs what it lists.
"""

from __future__ import annotations

import random
import re
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from tests.fakes.kubernetes_apply import Conflict, applied
from tests.fakes.kubernetes_defaults import defaulted
from tests.fakes.kubernetes_fields import Write, managed
from tests.fakes.kubernetes_kinds import FIELD_SELECTORS, SERVED, Resource
from tests.fakes.ticking import Ticking

Thing = dict[str, Any]
T = TypeVar("T")
_SET = re.compile(r"\s*(!?)([^\s!=,()]+)\s*(?:(=|==|!=)\s*([^\s,()=!]*)|\s(in|notin)\s*\(([^)]*)\))?\s*(?:,|$)")
_FIRST = 1000
#: What the server alone writes.
_HEAD = (
    *("uid", "name", "namespace", "creationTimestamp", "generation", "resourceVersion", "managedFields"),
    *("deletionTimestamp", "deletionGracePeriodSeconds"),
)


def copied(thing: T) -> T:
    """Of plain JSON, and quicker than `copy.deepcopy`."""
    made: Any = thing
    if isinstance(thing, dict):
        made = {name: copied(value) for name, value in thing.items()}
    elif isinstance(thing, list):
        made = [copied(one) for one in thing]
    return cast("T", made)


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


Key = tuple[str, str]  #: namespace ("" where there is none) and name
Plural = tuple[str, str]  #: group and plural


class Objects:
    """Everything that is stored. Not locked: who owns it holds a lock around each use."""

    def __init__(self, clock: Ticking | None = None) -> None:
        self.version = _FIRST
        self.clock = clock or Ticking()
        self.changes: list[Change] = []
        self.forgotten = 0  #: a watch from before this version is told 410
        self._held: dict[Plural, dict[str, dict[str, Thing]]] = {}
        self._owned: dict[str, dict[tuple[Plural, Key], None]] = {}

    def get(self, resource: Resource, namespace: str, name: str) -> Thing:
        found = self.find(resource, namespace, name)
        if found is None:
            said = f'{resource.qualified} "{name}" not found'
            raise Refused(404, "NotFound", said, name=name, group=resource.group, kind=resource.plural)
        return found

    def find(self, resource: Resource, namespace: str, name: str) -> Thing | None:
        return self._shelf(resource.group, resource.plural, namespace).get(name)

    def all(self, resource: Resource, namespace: str = "") -> Iterator[Thing]:
        """Sorted by namespace and name, as etcd has them."""
        shelves = self._held.get((resource.group, resource.plural), {})
        for at in sorted(shelves) if namespace == "" else [namespace]:
            shelf = shelves.get(at, {})
            yield from [shelf[name] for name in sorted(shelf)]

    def owned(self, uid: str, resource: Resource | None = None) -> list[Thing]:
        """What has that controller or other owner, of one kind or of any, in the order in which it was made."""
        wanted = None if resource is None else (resource.group, resource.plural)
        keys = list(self._owned.get(uid, ()))
        return [self._held[plural][key[0]][key[1]] for plural, key in keys if wanted in (None, plural)]

    def since(self, version: int) -> Sequence[Change]:
        """The changes after that version."""
        return self.changes[max(0, version - _FIRST) :]

    def _shelf(self, group: str, plural: str, namespace: str) -> dict[str, Thing]:
        return self._held.setdefault((group, plural), {}).setdefault(namespace, {})

    def create(self, resource: Resource, thing: Mapping[str, Any], by: str) -> Thing:
        new = self.would_make(resource, thing, by)
        self._keep(resource, new, "ADDED")
        return new

    def would_make(self, resource: Resource, thing: Mapping[str, Any], by: str) -> Thing:
        """As `create`, without keeping it: what a dry run answers."""
        new = copied(dict(thing))
        meta = new.setdefault("metadata", {})
        if meta.get("generateName") and not meta.get("name"):
            meta["name"] = f"{meta['generateName']}{random_name()}"
        namespace = meta.get("namespace", "")
        if self.find(resource, namespace, meta["name"]) is not None:
            said = f'{resource.qualified} "{meta["name"]}" already exists'
            raise Refused(409, "AlreadyExists", said, name=meta["name"], kind=resource.plural)
        new |= {"apiVersion": resource.api_version, "kind": resource.kind}
        meta |= {"uid": meta.get("uid") or str(uuid.uuid4()), "creationTimestamp": self.clock.stamp}
        meta |= {"generation": 1} if resource.generations else {}
        defaulted(resource, new)
        meta["managedFields"] = managed({}, new, self.by(by, "", resource), ())
        return new

    def apply(
        self, resource: Resource, namespace: str, name: str, said: Thing, *, by: str, force: bool
    ) -> tuple[Thing | None, Thing]:
        """Server-side apply: the object that is there (None: none), and as it would be; `keep` keeps it."""
        old = self.find(resource, namespace, name)
        write = Write(by=by, sub="", at=self.clock.stamp, api_version=resource.api_version, applies=True)
        try:
            made, entries = applied(old or {}, said, write, force=force)
        except Conflict as conflict:
            raise Refused(409, "Conflict", conflict.said, causes=conflict.causes) from None
        head: Thing = {"uid": str(uuid.uuid4()), "creationTimestamp": self.clock.stamp, "name": name}
        head |= {"generation": 1} if resource.generations else {}
        made["metadata"] |= (
            head if old is None else {one: old["metadata"][one] for one in _HEAD if one in old["metadata"]}
        )
        made |= {"apiVersion": resource.api_version, "kind": resource.kind}
        if resource.status:
            made.pop("status", None)
            made |= {"status": copied(old["status"])} if old and "status" in old else {}
        defaulted(resource, made)
        made["metadata"]["managedFields"] = entries
        if old is not None and resource.generations and _asks_anew(resource, old, made, ""):
            made["metadata"]["generation"] = old["metadata"]["generation"] + 1
        return old, made

    def keep_applied(self, resource: Resource, old: Thing | None, made: Thing) -> Thing:
        """What `apply` made; the same object where nothing is different."""
        if old == made:
            return made
        self._keep(resource, made, "ADDED" if old is None else "MODIFIED")
        return made

    def write(self, resource: Resource, old: Thing, new: Thing, *, by: str, sub: str = "") -> Thing:
        """The new state of what is stored, its bookkeeping done; the same object where nothing is different."""
        made = self.would_be(resource, old, new, by=by, sub=sub)
        if made is not old and _let_go(made):
            self._drop(resource, made)
        elif made is not old:
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
        if made["metadata"].get("uid") not in (None, old["metadata"]["uid"]):
            told = f'metadata.uid: Invalid value: "{made["metadata"]["uid"]}": field is immutable'
            name = old["metadata"]["name"]
            said = f'{resource.kind}.{resource.group} "{name}" is invalid: {told}'
            raise Refused(422, "Invalid", said, name=name, group=resource.group, kind=resource.kind)
        held = _entries(old, made, sub)
        for name in _HEAD:
            made["metadata"].pop(name, None)
            if name in old["metadata"]:
                made["metadata"][name] = old["metadata"][name]
        if sub != "status":
            defaulted(resource, made)
        if made == old and held == old["metadata"].get("managedFields"):
            return old
        if resource.generations and _asks_anew(resource, old, made, sub):
            made["metadata"]["generation"] = old["metadata"]["generation"] + 1
        made["metadata"]["managedFields"] = managed(old, made, self.by(by, sub, resource), held)
        return made

    def delete(self, resource: Resource, thing: Thing) -> None:
        """What has finalizers stays, marked, until whoever set them has taken the last one away."""
        meta = thing["metadata"]
        if not meta.get("finalizers"):
            self._drop(resource, thing)
        elif "deletionTimestamp" not in meta:
            ends = {"deletionTimestamp": self.clock.stamp, "deletionGracePeriodSeconds": 0}
            self._keep(resource, {**thing, "metadata": {**meta, **ends}}, "MODIFIED")

    def orphan(self, owner: Thing) -> None:
        """What it owns is nobody's from here on."""
        uid = owner["metadata"]["uid"]
        for one in self.owned(uid):
            left = copied(one)
            left["metadata"]["ownerReferences"] = [
                each for each in one["metadata"]["ownerReferences"] if each["uid"] != uid
            ]
            resource = next(
                each for each in SERVED if (each.api_version, each.kind) == (one["apiVersion"], one["kind"])
            )
            self._keep(resource, left, "MODIFIED")

    def _drop(self, resource: Resource, thing: Thing) -> None:
        namespace, name = key = key_of(thing)
        self._disown(resource, key, self._shelf(resource.group, resource.plural, namespace).pop(name))
        self._tell(resource, copied(thing), "DELETED")

    def _keep(self, resource: Resource, thing: Thing, how: str) -> None:
        namespace, name = key = key_of(thing)
        shelf = self._shelf(resource.group, resource.plural, namespace)
        if name in shelf:
            self._disown(resource, key, shelf[name])
        shelf[name] = thing
        for one in thing["metadata"].get("ownerReferences") or ():
            self._owned.setdefault(one["uid"], {})[(resource.group, resource.plural), key] = None
        self._tell(resource, thing, how)

    def _disown(self, resource: Resource, key: Key, thing: Thing) -> None:
        for one in thing["metadata"].get("ownerReferences") or ():
            self._owned[one["uid"]].pop(((resource.group, resource.plural), key), None)

    def _tell(self, resource: Resource, thing: Thing, how: str) -> None:
        self.version += 1
        thing["metadata"]["resourceVersion"] = str(self.version)
        self.changes.append(Change(version=self.version, type=how, resource=resource, thing=copied(thing)))

    def by(self, by: str, sub: str, resource: Resource) -> Write:
        return Write(by=by, sub=sub, at=self.clock.stamp, api_version=resource.api_version)


def _let_go(thing: Thing) -> bool:
    return "deletionTimestamp" in thing["metadata"] and not thing["metadata"].get("finalizers")


def _entries(old: Thing, new: Thing, sub: str) -> list[Thing]:
    """The managed fields from which a write goes on: those that it says itself, but never through a subresource.

    An empty list, or one with an empty entry, takes them all away; what is not there is taken for a client that knows
    nothing of them.
    """
    live, said = old["metadata"].get("managedFields") or [], new["metadata"].get("managedFields")
    if sub or said is None:
        return list(live)
    return [] if said in ([], [{}]) else list(said)


def key_of(thing: Thing) -> Key:
    return thing["metadata"].get("namespace", ""), thing["metadata"]["name"]


def random_name() -> str:
    """Five letters and digits that make no word, as behind a `generateName`."""
    return "".join(random.choices("bcdfghjklmnpqrstvwxz2456789", k=5))


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


def _asks_anew(resource: Resource, old: Thing, new: Thing, sub: str) -> bool:
    """Whether its controller has something to look at: its spec is another; of a Deployment, its annotations too."""
    parts = (old.keys() | new.keys()) - {"metadata", "status"}
    if any(old.get(part) != new.get(part) for part in parts):
        return True
    notes, others = (one["metadata"].get("annotations") or {} for one in (old, new))
    return resource.kind == "Deployment" and sub != "status" and notes != others


def _only(resource: Resource, old: Thing, new: Thing, sub: str) -> Thing:
    """Through /status only the status is taken (and, but for custom resources, annotations); elsewhere all but that."""
    made = copied(new)
    if sub == "status":
        made = copied(old) | ({"status": made["status"]} if "status" in made else {})
        made["metadata"]["resourceVersion"] = new["metadata"].get("resourceVersion")
        if not resource.custom and "annotations" in new["metadata"]:
            made["metadata"]["annotations"] = copied(new["metadata"]["annotations"])
    elif resource.status:
        made.pop("status", None)
        made |= {"status": copied(old["status"])} if "status" in old else {}
    return made
