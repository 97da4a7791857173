"""The ReplicaSets of one Deployment: which is whose, and how many pods each shall have. Looks only."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from zlib import crc32

from tests.fakes.kubernetes_insides import Insides
from tests.fakes.kubernetes_kinds import kind_of
from tests.fakes.kubernetes_store import Thing

HASH = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
DESIRED = "deployment.kubernetes.io/desired-replicas"
MOST = "deployment.kubernetes.io/max-replicas"
_SAFE = "bcdfghjklmnpqrstvwxz2456789"


@dataclass(frozen=True, kw_only=True)
class Sets:
    """`new`: the one of the Deployment's template. `old`: all others, the oldest first."""

    thing: Thing
    new: Thing | None
    old: list[Thing]

    @classmethod
    def of(cls, fake: Insides, thing: Thing) -> Sets:
        held = fake.objects.owned(thing["metadata"]["uid"], kind_of("ReplicaSet"))
        held.sort(key=lambda one: (one["metadata"]["creationTimestamp"], one["metadata"]["name"]))
        new = next((one for one in held if bare(one["spec"]["template"]) == bare(thing["spec"]["template"])), None)
        return cls(thing=thing, new=new, old=[one for one in held if one is not new])

    @property
    def every(self) -> list[Thing]:
        return [*self.old, *([] if self.new is None else [self.new])]

    @property
    def living(self) -> list[Thing]:
        return [one for one in self.every if size(one)]

    @property
    def wanted(self) -> int:
        return int(self.thing["spec"]["replicas"])

    def scaled(self) -> bool:
        """Whether the Deployment's size has changed since its ReplicaSets got theirs."""
        notes = [one["metadata"].get("annotations") or {} for one in self.living]
        return any(DESIRED in one and one[DESIRED] != str(self.wanted) for one in notes)

    def first(self) -> int:
        """The size of one that is yet to be made."""
        if self.thing["spec"]["strategy"]["type"] == "Recreate":
            return self.wanted
        return max(0, min(self.wanted, self._most() - sum(map(size, self.old))))

    def room_for(self, new: Thing) -> int:
        """The new one's next size: no more than `maxSurge` allows in all."""
        if size(new) > self.wanted:
            return self.wanted
        room = self._most() - sum(map(size, self.every))
        return size(new) + max(0, min(room, self.wanted - size(new)))

    def to_go(self, new: Thing) -> list[tuple[Thing, int]]:
        """The old ones' next sizes: those of unhealthy pods first, then as many as `maxUnavailable` allows."""
        least = self.wanted - fenceposts(self.thing)[1]
        missing = size(new) - counted(new, "availableReplicas")
        may_go = sum(map(size, self.every)) - least - missing
        if may_go <= 0 or not any(map(size, self.old)):
            return []
        sizes = {one["metadata"]["name"]: size(one) for one in self.old}
        for one in self.old:
            unhealthy = min(may_go, size(one) - counted(one, "availableReplicas"))
            sizes[one["metadata"]["name"]] -= unhealthy
            may_go -= unhealthy
        spare = sum(counted(one, "availableReplicas") for one in self.every) - least
        for one in self.old:
            healthy = max(0, min(spare, sizes[one["metadata"]["name"]]))
            sizes[one["metadata"]["name"]] -= healthy
            spare -= healthy
        return [
            (one, sizes[one["metadata"]["name"]]) for one in self.old if sizes[one["metadata"]["name"]] != size(one)
        ]

    def shares(self) -> Iterator[tuple[Thing, int]]:
        """Every ReplicaSet's size after the Deployment's was changed: each its share of it."""
        living = self.living
        if len(living) <= 1:
            only = living[0] if living else self.new or (self.old[-1] if self.old else None)
            if only is not None and size(only) != self.wanted:
                yield only, self.wanted
        elif self.new is not None and size(self.new) == self.wanted == counted(self.new, "availableReplicas"):
            yield from ((one, 0) for one in self.old if size(one))
        elif self.thing["spec"]["strategy"]["type"] == "RollingUpdate":
            yield from self._proportional(living)

    def _proportional(self, living: list[Thing]) -> Iterator[tuple[Thing, int]]:
        most = self._most() if self.wanted else 0
        left = most - sum(map(size, living))
        ordered = sorted(living, key=size, reverse=True)
        sizes = []
        for one in ordered:
            before = int(
                (one["metadata"].get("annotations") or {}).get(MOST) or counted(self.thing, "replicas") or most
            )
            share = round(size(one) * most / before) - size(one)
            share = max(0, min(share, left)) if left > 0 else min(0, max(share, left))
            left -= share
            sizes.append(size(one) + share)
        sizes[0] = max(0, sizes[0] + left)
        yield from zip(ordered, sizes, strict=True)

    def _most(self) -> int:
        return self.wanted + fenceposts(self.thing)[0]


def fenceposts(thing: Thing) -> tuple[int, int]:
    """`maxSurge` rounded up and `maxUnavailable` rounded down; not both of them are 0."""
    how = thing["spec"]["strategy"].get("rollingUpdate")
    if how is None:
        return 0, 0
    count = thing["spec"]["replicas"]
    surge, missing = share(how["maxSurge"], count, up=True), share(how["maxUnavailable"], count, up=False)
    return surge, (missing if surge or missing else 1)


def share(said: object, count: int, *, up: bool) -> int:
    """A number, or a percentage of that many."""
    if not isinstance(said, str):
        return int(str(said))
    part = int(said.removesuffix("%")) * count / 100
    return math.ceil(part) if up else math.floor(part)


def size(one: Thing) -> int:
    return int(one["spec"]["replicas"])


def counted(thing: Thing, name: str) -> int:
    return int((thing.get("status") or {}).get(name) or 0)


def revision_of(one: Thing) -> int:
    return int((one["metadata"].get("annotations") or {}).get(REVISION, 0))


def bare(template: Thing) -> Thing:
    """Without the label of its hash: two templates are the same when these are."""
    meta = dict(template.get("metadata") or {})
    meta["labels"] = {name: value for name, value in (meta.get("labels") or {}).items() if name != HASH}
    return {**template, "metadata": meta}


def hash_of(template: Thing) -> str:
    """Of no meaning; the same for the same template."""
    number = crc32(json.dumps(bare(template), sort_keys=True).encode())
    return "".join(_SAFE[ord(digit) % len(_SAFE)] for digit in str(number))
