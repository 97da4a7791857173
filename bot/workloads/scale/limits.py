"""The limits of scaling, as far as the request, the workload and the settings define them. Pure.

Refusals are raised as `Rejected`; warnings are returned, a sentence each, and become part of the plan.
"""

from __future__ import annotations

from collections.abc import Sequence

from bot.core.errors import Rejected
from bot.core.kubernetes import KubernetesObject, ObjectRef, ResourceKind
from bot.core.site import ServiceTarget
from bot.workloads.objects import kinds, status
from bot.workloads.objects.owners import ManagedBy, Owner
from bot.workloads.scale.change import ScaleChange, ScaleRequest


def check_request(request: ScaleRequest, target: ServiceTarget) -> None:
    """Checks the request against the settings, before anything is read.

    A request with a ceiling means an autoscaler's floor, which may be below the minimum for manual scaling.
    """
    bounds = target.replicas
    if request.ceiling is not None and request.ceiling < max(1, request.count):
        message = f"The ceiling of {request.ceiling} is below {max(1, request.count)} replicas. Nothing was done."
        raise Rejected(f"{message} Name a higher `max`.", code="bad_ceiling")
    if request.ceiling is None and not bounds.minimum <= request.count <= bounds.maximum:
        raise _outside(target, request.count)


def check_bounds(change: ScaleChange, target: ServiceTarget) -> None:
    """An autoscaler's changed floor and ceiling have to be within the settings as well."""
    for one in change.changed:
        count = change.after[one.name]
        if one.name in ("floor", "ceiling") and int(count) > target.replicas.maximum:
            raise _outside(target, int(count))


def check_step(change: ScaleChange, request: ScaleRequest, target: ServiceTarget) -> None:
    """The largest step at once, of replicas or of a ceiling. To 0 and back is exempt: that needs another person.

    An immediate change by the floor counts too, except in a request with a ceiling, as every undo is: the autoscaler
    may have scaled down meanwhile, and the undo must stay possible.
    """
    for one in change.changed:
        before, after = change.before[one.name], change.after[one.name]
        if one.name == "ceiling":
            _check_step(int(before), int(after), target, "a ceiling of ")
        elif one.name != "floor" and (before + after).isdecimal():
            _check_step(int(before), int(after), target)
    if request.ceiling is None:
        _check_step(change.old, change.new, target)


def check_workload(ref: ObjectRef, thing: KubernetesObject, owner: Owner, rollouts: Sequence[KubernetesObject]) -> None:
    """Whether it may be scaled at all, in its current state."""
    if owner.by is ManagedBy.OPERATOR:
        message = (
            f"{ref} belongs to {owner.kind} {owner.name}, whose operator sets its replicas back. Nothing was done."
        )
        raise Rejected(f"{message} Scale the {owner.kind} instead.", code="operator", status=409)
    for one in rollouts:
        named = (one.get("spec") or {}).get("workloadRef") or {}
        if (named.get("kind"), named.get("name")) == (ref.kind.title, ref.name):
            rollout = one["metadata"]["name"]
            message = f"Rollout {rollout} runs the pods of {ref}, and keeps {ref} itself at 0. Nothing was done."
            raise Rejected(
                f"{message} Set `workload: rollout/{rollout}` of the service.", code="workload_ref", status=409
            )
    if ref.kind == kinds.ROLLOUT and (thing.get("spec") or {}).get("paused"):
        message = f"{ref} is paused (spec.paused): Argo Rollouts does not scale it before it is resumed."
        raise Rejected(f"{message} Nothing was done. Resume it first.", code="paused", status=409)


def check_data(change: ScaleChange, ref: ObjectRef, thing: KubernetesObject, target: ServiceTarget) -> None:
    """What scaling down would destroy: volumes, or a majority."""
    if change.low >= change.old:
        return
    kept = (thing["spec"].get("persistentVolumeClaimRetentionPolicy") or {}).get("whenScaled")
    if ref.kind == kinds.STATEFULSET and kept == "Delete":
        message = f"{ref} deletes the volumes of replicas that it loses (whenScaled: Delete). Nothing was done."
        raise Rejected(f"{message} Set that to Retain first.", code="deletes_data", status=409)
    majority = change.old // 2 + 1
    if target.quorum and change.low < majority:
        message = f"The replicas of {target.service} vote, and the majority of {change.old} is {majority}."
        raise Rejected(
            f"{message} Nothing was done. Scale to at least {majority} first.", code="no_majority", status=409
        )


def check_connections(change: ScaleChange, target: ServiceTarget) -> None:
    """The connections of all replicas that there may be from now on have to fit into the shared limit."""
    budget = target.connections
    if budget is None:
        return
    ceiling = [int(change.after[one.name]) for one in change.changed if one.name == "ceiling"]
    count = max([change.new, *ceiling]) if change.new > change.old or ceiling else 0
    if count * budget.per_replica > budget.maximum:
        message = (
            f"{count} replicas open {count * budget.per_replica} connections, {budget.per_replica} each; "
            f"the limit is {budget.maximum}."
        )
        raise Rejected(
            f"{message} Nothing was done. Scale to at most {budget.maximum // budget.per_replica}.",
            code="too_many",
        )


def cautions(change: ScaleChange, ref: ObjectRef, thing: KubernetesObject, target: ServiceTarget) -> tuple[str, ...]:
    """Warnings for the person who approves."""
    messages: list[str] = []
    if status.is_paused(ref.kind, thing):
        messages += _of_pause(ref, thing)
    elif rollout_in_progress(ref.kind, thing):
        messages.append(
            f"A rollout of {ref} is in progress: both revisions are scaled, and the scale is done after it."
        )
        if "blueGreen" in (thing["spec"].get("strategy") or {}):
            messages.append("It is blue-green: until then up to twice as many pods run.")
    if ref.kind == kinds.STATEFULSET:
        messages += _of_order(change, thing)
    if target.quorum and change.new % 2 == 0:
        messages.append(f"{change.new} voting replicas tolerate no more losses than {max(change.new - 1, 0)}.")
    if change.new == 0 and change.old:
        messages.append("It serves no requests from then on.")
    return tuple(messages)


def rollout_in_progress(kind: ResourceKind, thing: KubernetesObject) -> bool:
    """Whether it is changing from one revision to the next; unready pods alone do not count."""
    state = thing.get("status") or {}
    if kind == kinds.ROLLOUT:
        return bool(state.get("stableRS")) and state.get("stableRS") != state.get("currentPodHash")
    if kind == kinds.STATEFULSET:
        return bool(state.get("updateRevision")) and state.get("updateRevision") != state.get("currentRevision")
    return status.status_count(thing, "replicas") > status.status_count(thing, "updatedReplicas")


def _of_pause(ref: ObjectRef, thing: KubernetesObject) -> list[str]:
    resume = f"`kubectl rollout resume deployment/{ref.name}`"
    if status.waits_for_resume(ref.kind, thing):
        return [f"It is paused and was never rolled out: its first pods are created after {resume}."]
    if rollout_in_progress(ref.kind, thing):
        return [f"It is paused between two templates: the pods of both are scaled at once, and stay until {resume}."]
    return [f"It is paused: the scale takes effect at once; changes of its template wait for {resume}."]


def _of_order(change: ScaleChange, thing: KubernetesObject) -> list[str]:
    if change.new < change.old:
        return ["The replicas with the highest numbers are removed; their volumes stay."]
    ordered = (thing["spec"].get("podManagementPolicy") or "OrderedReady") == "OrderedReady"
    if ordered and status.status_count(thing, "readyReplicas") < change.old:
        return ["One of its pods is not ready; the next ones are created only when it is."]
    return []


def _check_step(before: int, after: int, target: ServiceTarget, what: str = "") -> None:
    if 0 in (before, after):
        return
    step = target.replicas.step
    highest = 2 * before if step is None else before + step
    lowest = -(-before // 2) if step is None else before - step
    if not lowest <= after <= highest:
        bound = f"at most {highest}" if after > highest else f"at least {lowest}"
        message = f"From {what}{before} to {after} is too far at once. Nothing was done. Scale to {bound}."
        raise Rejected(message, code="too_far", status=409)


def _outside(target: ServiceTarget, count: int) -> Rejected:
    bounds = target.replicas
    message = f"The settings allow {bounds.minimum} to {bounds.maximum} replicas of {target.service}, not {count}."
    return Rejected(f"{message} Nothing was done.", code="outside", status=409)
