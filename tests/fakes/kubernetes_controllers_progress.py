"""What a Deployment's status says: its counts, and its progress, as pkg/controller/deployment/progress.go has them."""

from __future__ import annotations

from datetime import timedelta

from tests.fakes.kubernetes_controllers_base import condition_of, filled, with_condition, without_condition
from tests.fakes.kubernetes_controllers_sets import Sets, counted, fenceposts, size
from tests.fakes.kubernetes_insides import Insides
from tests.fakes.kubernetes_store import Thing
from tests.fakes.ticking import read

_DONE = "NewReplicaSetAvailable"
_LATE = "ProgressDeadlineExceeded"
_MOVES = "ReplicaSetUpdated"
_PAUSED = "DeploymentPaused"


def status_of(fake: Insides, thing: Thing, sets: Sets) -> tuple[Thing, bool]:
    """The status as it is now, and whether time alone may change it."""
    now, counts = fake.clock.stamp, _counts(thing, sets)
    held = list((thing.get("status") or {}).get("conditions") or ())
    held = with_condition(held, _availability(thing, counts), now, updated=True)
    progress = _progress(fake, thing, sets, counts)
    if progress:
        held = with_condition(held, progress, now, updated=True, anew=progress["reason"] == _MOVES)
    failure = _failure(sets)
    held = with_condition(held, failure, now, updated=True) if failure else without_condition(held, "ReplicaFailure")
    reason = next((one["reason"] for one in held if one["type"] == "Progressing"), _DONE)
    return {**filled(counts), "conditions": held}, reason not in (_DONE, _LATE, _PAUSED)


def _counts(thing: Thing, sets: Sets) -> Thing:
    ready, there = (sum(counted(one, f"{name}Replicas") for one in sets.every) for name in ("ready", "available"))
    return {
        "observedGeneration": thing["metadata"]["generation"],
        "replicas": sum(counted(one, "replicas") for one in sets.every),
        "updatedReplicas": 0 if sets.new is None else counted(sets.new, "replicas"),
        "readyReplicas": ready,
        "availableReplicas": there,
        "unavailableReplicas": max(0, sum(map(size, sets.every)) - there),
    }


def _availability(thing: Thing, counts: Thing) -> Thing:
    enough = counts["availableReplicas"] >= thing["spec"]["replicas"] - fenceposts(thing)[1]
    return {
        "type": "Available",
        "status": "True" if enough else "False",
        "reason": "MinimumReplicasAvailable" if enough else "MinimumReplicasUnavailable",
        "message": f"Deployment {'has' if enough else 'does not have'} minimum availability.",
    }


def _progress(fake: Insides, thing: Thing, sets: Sets, counts: Thing) -> Thing:
    """Its condition Progressing as it becomes; empty where it stays as it is."""
    held = condition_of(thing, "Progressing")
    if thing["spec"].get("paused"):
        return {} if held.get("reason") == _LATE else _condition("Unknown", _PAUSED, "Deployment is paused")
    if held.get("reason") == _PAUSED:
        return _condition("Unknown", "DeploymentResumed", "Deployment is resumed")
    if sets.new is None or (counts["replicas"] == counts["updatedReplicas"] and held.get("reason") == _DONE):
        return {}
    return _rolled(fake, thing, sets.new, counts)


def _rolled(fake: Insides, thing: Thing, new: Thing, counts: Thing) -> Thing:
    held, name = condition_of(thing, "Progressing"), new["metadata"]["name"]
    if all(counts[one] == thing["spec"]["replicas"] for one in ("replicas", "updatedReplicas", "availableReplicas")):
        return _condition("True", _DONE, f'ReplicaSet "{name}" has successfully progressed.')
    if "status" not in new or not held:
        return _condition("True", "NewReplicaSetCreated", f'Created new replica set "{name}"')
    if _moves(thing.get("status") or {}, counts):
        return _condition("True", _MOVES, f'ReplicaSet "{name}" is progressing.')
    late = read(held["lastUpdateTime"]) + timedelta(seconds=thing["spec"]["progressDeadlineSeconds"])
    if held["reason"] not in (_DONE, _LATE) and fake.clock.at > late:
        return _condition("False", _LATE, f'ReplicaSet "{name}" has timed out progressing.')
    return {}


def _moves(before: Thing, counts: Thing) -> bool:
    was = {name: before.get(name, 0) for name in counts}
    fewer_old = counts["replicas"] - counts["updatedReplicas"] < was["replicas"] - was["updatedReplicas"]
    return fewer_old or any(
        counts[name] > was[name] for name in ("updatedReplicas", "readyReplicas", "availableReplicas")
    )


def _condition(status: str, reason: str, said: str) -> Thing:
    return {"type": "Progressing", "status": status, "reason": reason, "message": said}


def _failure(sets: Sets) -> Thing:
    """What keeps its ReplicaSets from making pods: of the new one, else of any."""
    found = [condition_of(one, "ReplicaFailure") for one in (*([sets.new] if sets.new else []), *sets.old)]
    return next((one for one in found if one), {})
