"""Deployments, as pkg/controller/deployment of Kubernetes keeps them: one ReplicaSet for each template, in steps."""

from __future__ import annotations

from tests.fakes.kubernetes_controllers_base import Controller, changed, event, made, told
from tests.fakes.kubernetes_controllers_progress import status_of
from tests.fakes.kubernetes_controllers_sets import (
    DESIRED,
    HASH,
    MOST,
    REVISION,
    Sets,
    fenceposts,
    hash_of,
    revision_of,
    size,
)
from tests.fakes.kubernetes_insides import Insides
from tests.fakes.kubernetes_kinds import kind_of
from tests.fakes.kubernetes_store import Thing

_HISTORY = "deployment.kubernetes.io/revision-history"
_OWN = {"kubectl.kubernetes.io/last-applied-configuration", REVISION, _HISTORY, DESIRED, MOST}


class Deployments(Controller):
    """Scales, rolls, pauses, forgets old revisions, and says how far it is."""

    kind = "Deployment"
    owns = ("ReplicaSet",)
    leaves = True

    def keep(self, fake: Insides, thing: Thing) -> None:
        if "template" not in thing["spec"]:
            return
        if thing["spec"].get("paused") or Sets.of(fake, thing).scaled():
            _sync(fake, thing)
        elif thing["spec"]["strategy"]["type"] == "Recreate":
            _recreate(fake, thing)
        else:
            _roll(fake, thing)
        self._say(fake, thing)

    def leave(self, fake: Insides, thing: Thing) -> None:
        if "template" in thing["spec"]:
            self._say(fake, thing)

    def _say(self, fake: Insides, thing: Thing) -> None:
        held = fake.objects.get(kind_of(self.kind), thing["metadata"]["namespace"], thing["metadata"]["name"])
        sets = Sets.of(fake, held)
        status, waits = status_of(fake, held, sets)
        if sets.new is not None:
            # As the real one does it: an annotation through /status, which counts as no new generation.
            meta = held["metadata"]
            notes = {**(meta.get("annotations") or {}), REVISION: str(revision_of(sets.new))}
            held = {**held, "metadata": {**meta, "annotations": notes}}
        told(fake, held, status)
        if waits:
            self.again(held)


def _sync(fake: Insides, thing: Thing) -> None:
    """Paused, or its size was changed: no rollout, but every ReplicaSet gets its share."""
    sets = Sets.of(fake, thing)
    if sets.new is not None:
        _renumber(fake, thing, sets.new, sets)
        sets = Sets.of(fake, thing)
    for one, count in sets.shares():
        scale(fake, thing, one, count)


def _recreate(fake: Insides, thing: Thing) -> None:
    sets = Sets.of(fake, thing)
    living = [one for one in sets.old if size(one)]
    for one in living:
        scale(fake, thing, one, 0)
    if living or any(fake.objects.owned(one["metadata"]["uid"], kind_of("Pod")) for one in sets.old):
        return
    new = _newest(fake, thing)
    scale(fake, thing, new, thing["spec"]["replicas"])
    _forget(fake, thing)


def _roll(fake: Insides, thing: Thing) -> None:
    new = _newest(fake, thing)
    sets = Sets.of(fake, thing)
    if size(new) != thing["spec"]["replicas"] and scale(fake, thing, new, sets.room_for(new)):
        return
    gone = sets.to_go(new)
    for one, count in gone:
        scale(fake, thing, one, count)
    if not gone:
        _forget(fake, thing)


def _newest(fake: Insides, thing: Thing) -> Thing:
    """The ReplicaSet of the template, which is made where there is none."""
    sets = Sets.of(fake, thing)
    return _renumber(fake, thing, sets.new or _create(fake, thing, sets), sets)


def _create(fake: Insides, thing: Thing, sets: Sets) -> Thing:
    template, spec = thing["spec"]["template"], thing["spec"]
    known = hash_of(template)
    labels = {**((template.get("metadata") or {}).get("labels") or {}), HASH: known}
    surge, _ = fenceposts(thing)
    notes = _inherited(thing) | {DESIRED: str(spec["replicas"]), MOST: str(spec["replicas"] + surge)}
    new = made(
        fake,
        thing,
        "ReplicaSet",
        {
            "metadata": {"name": f"{thing['metadata']['name']}-{known}", "labels": labels, "annotations": notes},
            "spec": {
                "replicas": sets.first(),
                "selector": {"matchLabels": {**spec["selector"]["matchLabels"], HASH: known}},
                "template": {**template, "metadata": {**(template.get("metadata") or {}), "labels": labels}},
            }
            | ({"minReadySeconds": spec["minReadySeconds"]} if spec.get("minReadySeconds") else {}),
        },
    )
    if size(new):
        said = f"Scaled up replica set {new['metadata']['name']} from 0 to {size(new)}"
        event(fake, thing, "ScalingReplicaSet", said, warning=False)
    return new


def _renumber(fake: Insides, thing: Thing, new: Thing, sets: Sets) -> Thing:
    """The newest has the highest number: whoever is rolled back to is numbered anew."""
    number, held = max(map(revision_of, sets.old), default=0) + 1, revision_of(new)
    notes = _inherited(thing)
    if held < number:
        notes[REVISION] = str(number)
        if held:
            history = (new["metadata"].get("annotations") or {}).get(_HISTORY, "")
            notes[_HISTORY] = f"{history},{held}" if history else str(held)
    readiness = {"minReadySeconds": thing["spec"].get("minReadySeconds")}
    return changed(fake, new, {"metadata": {"annotations": notes}, "spec": readiness})


def _inherited(thing: Thing) -> dict[str, str]:
    notes = thing["metadata"].get("annotations") or {}
    return {name: value for name, value in notes.items() if name not in _OWN}


def scale(fake: Insides, thing: Thing, one: Thing, count: int) -> bool:
    """Whether that changed its size."""
    surge, _ = fenceposts(thing)
    wanted = thing["spec"]["replicas"]
    notes = {DESIRED: str(wanted), MOST: str(wanted + surge)}
    before = size(one)
    changed(fake, one, {"metadata": {"annotations": notes}, "spec": {"replicas": count}})
    if before == count:
        return False
    said = f"Scaled {'up' if count > before else 'down'} replica set {one['metadata']['name']} from {before} to {count}"
    event(fake, thing, "ScalingReplicaSet", said, warning=False)
    return True


def _forget(fake: Insides, thing: Thing) -> None:
    """Of the old ones that are empty, only the newest are kept: `revisionHistoryLimit`."""
    sets = Sets.of(fake, thing)
    status = thing.get("status") or {}
    counts = {status.get(name, 0) for name in ("replicas", "updatedReplicas", "availableReplicas")}
    if counts != {thing["spec"]["replicas"]}:
        return
    empty = [one for one in sets.old if not size(one) and not (one.get("status") or {}).get("replicas")]
    for one in sorted(empty, key=revision_of)[: max(0, len(empty) - thing["spec"]["revisionHistoryLimit"])]:
        fake.objects.delete(kind_of("ReplicaSet"), one)
