"""What the controllers of the fake Kubernetes share: they look only at what has changed, and write as the real ones."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from zlib import crc32

from tests.fakes import kubernetes_patches as patches
from tests.fakes.kubernetes_insides import Insides
from tests.fakes.kubernetes_kinds import kind_of, resource_of
from tests.fakes.kubernetes_store import Change, Key, Thing, key_of
from tests.fakes.ticking import read

MANAGER = "kube-controller-manager"


class Controller:
    """Called at every step, with the lock held. Whoever it keeps is looked at when it, or what it owns, has changed."""

    kind: str
    owns: tuple[str, ...] = ()
    leaves = False  #: of what is being deleted nothing is made or scaled any more

    def __init__(self) -> None:
        self._seen = 0
        self._again: set[Key] = set()

    def __call__(self, fake: Insides) -> bool:
        before = fake.objects.version
        keys = set(self._again)
        for change in fake.objects.since(self._seen):
            keys.update(self.woken(fake, change))
        self._seen, self._again = before, set()
        for namespace, name in sorted(keys):
            thing = fake.objects.find(kind_of(self.kind), namespace, name)
            if thing is not None and self.leaves and "deletionTimestamp" in thing["metadata"]:
                self.leave(fake, thing)
            elif thing is not None:
                self.keep(fake, thing)
        return fake.objects.version != before

    def woken(self, fake: Insides, change: Change) -> Iterator[Key]:
        """Which of its own are to be looked at after that change."""
        if change.resource.kind == self.kind:
            yield key_of(change.thing)
        elif change.resource.kind in self.owns:
            owner = controller_of(change.thing)
            if owner is not None and owner["kind"] == self.kind:
                yield key_of(change.thing)[0], owner["name"]

    def keep(self, fake: Insides, thing: Thing) -> None:
        """Bring one a step nearer to what its spec asks for."""
        raise NotImplementedError

    def leave(self, fake: Insides, thing: Thing) -> None:
        """It is being deleted: at most its status is kept."""

    def again(self, thing: Thing) -> None:
        """Look at it at the next step too, even when nothing has changed: it waits for time to go by."""
        self._again.add(key_of(thing))


def changed(fake: Insides, thing: Thing, patch: Thing, *, by: str = MANAGER, sub: str = "") -> Thing:
    """A merge patch; what the object is then."""
    new = patches.merge(thing, patch)
    return fake.objects.write(resource_of(thing), thing, new, by=by, sub=sub)


def told(fake: Insides, thing: Thing, status: Thing, *, by: str = MANAGER) -> Thing:
    """The whole status is that from here on; annotations go along."""
    resource, (namespace, name) = resource_of(thing), key_of(thing)
    old = fake.objects.get(resource, namespace, name)
    return fake.objects.write(resource, old, {**thing, "status": status}, by=by, sub="status")


def made(fake: Insides, owner: Thing, kind: str, thing: Thing, *, by: str = MANAGER) -> Thing:
    """Something that belongs to its controller, in the same namespace."""
    meta = {"namespace": owner["metadata"]["namespace"], "ownerReferences": [owned_by(owner)], **thing["metadata"]}
    return fake.objects.create(kind_of(kind), {**thing, "metadata": meta}, by)


def owned_by(owner: Thing) -> Thing:
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def controller_of(thing: Thing) -> Thing | None:
    for one in thing["metadata"].get("ownerReferences") or ():
        if one.get("controller"):
            return dict(one)
    return None


def event(fake: Insides, thing: Thing, reason: str, said: str, *, warning: bool = True, by: str = MANAGER) -> None:
    """As in `kubectl get events`; the same again only counts. The scheduler's have a time of another kind alone."""
    meta = thing["metadata"]
    namespace, resource = meta.get("namespace", "default"), kind_of("Event")
    name = f"{meta['name']}.{reason.lower()}.{crc32(said.encode()):08x}"
    now = fake.clock.stamp
    held = fake.objects.find(resource, namespace, name)
    if held is not None:
        if "count" in held:
            changed(fake, held, {"count": held["count"] + 1, "lastTimestamp": now})
        return
    about = {"apiVersion": thing["apiVersion"], "kind": thing["kind"], "name": meta["name"], "uid": meta["uid"]}
    body = {
        "metadata": {"name": name, "namespace": namespace},
        "involvedObject": {**about, "namespace": namespace},
        "type": "Warning" if warning else "Normal",
        "reason": reason,
        "message": said,
        "reportingComponent": by,
    }
    if by == MANAGER:
        times = {"count": 1, "firstTimestamp": now, "lastTimestamp": now, "eventTime": None}
    else:
        times = {"firstTimestamp": None, "lastTimestamp": None, "eventTime": now}
    fake.objects.create(resource, {**body, **times}, by)


def condition_of(thing: Thing, kind: str) -> Thing:
    """Empty where there is none."""
    held = (thing.get("status") or {}).get("conditions") or ()
    return next((dict(one) for one in held if one["type"] == kind), {})


def with_condition(
    held: list[Thing], new: Thing, now: str, *, updated: bool = False, anew: bool = False
) -> list[Thing]:
    """The conditions with that one. With the status and reason that it has already it stays as it is, but for `anew`.

    `updated`: it has a lastUpdateTime, as those of a Deployment have.
    """
    old = next((one for one in held if one["type"] == new["type"]), {})
    if not anew and old and (old["status"], old.get("reason")) == (new["status"], new.get("reason")):
        return held
    since = old["lastTransitionTime"] if old.get("status") == new["status"] else now
    made = {**new, "lastTransitionTime": since} | ({"lastUpdateTime": now} if updated else {})
    return [made if one is old else one for one in held] if old else [*held, made]


def without_condition(held: list[Thing], kind: str) -> list[Thing]:
    return [one for one in held if one["type"] != kind]


def filled(counts: Thing) -> Thing:
    """Without those that are 0: they are left out of the JSON (omitempty)."""
    return {name: value for name, value in counts.items() if value not in (0, None, [], "")}


def ready(pod: Thing) -> bool:
    return condition_of(pod, "Ready").get("status") == "True" and "deletionTimestamp" not in pod["metadata"]


def available(pod: Thing, least: int, now: datetime) -> bool:
    """Ready for so many seconds."""
    return ready(pod) and read(condition_of(pod, "Ready")["lastTransitionTime"]) + timedelta(seconds=least) <= now


def active(pod: Thing) -> bool:
    phase = (pod.get("status") or {}).get("phase")
    return phase not in ("Succeeded", "Failed") and "deletionTimestamp" not in pod["metadata"]
