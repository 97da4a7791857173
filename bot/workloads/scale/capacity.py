"""Checks the surroundings of a scale: quotas, nodes, disruption budgets, and whether fewer replicas carry the load.

Read-only. Facts that the bot may not read are reported as unknown; they do not prevent scaling.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from http import HTTPStatus

from bot.core.action import Tools
from bot.core.errors import Rejected
from bot.core.kubernetes import KubernetesObject, ObjectRef, ResourceKind
from bot.core.site import ServiceTarget
from bot.workloads.objects import kinds
from bot.workloads.scale.change import ScaleChange, spell_replicas
from bot.workloads.scale.disruption_budgets import blocked_by
from bot.workloads.scale.node_capacity import NodeCapacity, node_capacity_for
from bot.workloads.scale.pod_requests import PodRequests, pod_requests_of
from bot.workloads.scale.quotas import VolumeClaims, claims_of, quota_shortage


def capacity_warnings(
    change: ScaleChange, workload: KubernetesObject, target: ServiceTarget, tools: Tools
) -> tuple[str, ...]:
    """Warnings, a sentence each. Raises `Rejected` if the pods cannot be created, or would not suffice."""
    if change.new > change.old:
        return _for_more(change, workload, target)
    return (*_for_fewer(change, workload, target), *_headroom(change, target, tools))


def _for_more(change: ScaleChange, workload: KubernetesObject, target: ServiceTarget) -> tuple[str, ...]:
    spec, more = _template(target, workload)["spec"], change.new - change.old
    ranges, message = _seen(target, kinds.LIMITS)
    need = pod_requests_of(spec, ranges)
    quotas, unseen = _seen(target, kinds.QUOTA)
    short = quota_shortage(quotas, spec, need, more, _new_claims(target, workload, change))
    if short:
        hint = "Free some, or have the quota raised."
        raise Rejected(f"{more} more pods do not fit. {short} Nothing was done. {hint}", code="quota", status=409)
    return (*unseen, *(message if quotas else ()), *_of_room(target, spec, need, more))


def _template(target: ServiceTarget, workload: KubernetesObject) -> KubernetesObject:
    """The pod template; a Rollout may reference another object's."""
    spec = workload["spec"]
    named = spec.get("workloadRef") or {}
    if "template" in spec or not named:
        return dict(spec.get("template") or {"spec": {}})
    kind = next(one for one in (kinds.DEPLOYMENT, kinds.REPLICASET) if one.title == named.get("kind", "Deployment"))
    found = target.cluster.get(ObjectRef(kind=kind, namespace=target.workload.namespace, name=named["name"]))
    return dict(found["spec"]["template"]) if found is not None else {"spec": {}}


def _new_claims(target: ServiceTarget, workload: KubernetesObject, change: ScaleChange) -> VolumeClaims:
    """A replica that existed before finds its volumes again, so only the others count."""
    claims = claims_of(workload)
    if not claims.count:
        return claims
    spec = workload["spec"]
    first = int((spec.get("ordinals") or {}).get("start") or 0)
    begin = f"{spec['volumeClaimTemplates'][0]['metadata']['name']}-{target.workload.name}"
    held = {one["metadata"]["name"] for one in _seen(target, kinds.CLAIM)[0]}
    wanted = {f"{begin}-{first + number}" for number in range(change.old, change.new)}
    return replace(claims, new=len(wanted - held))


def _of_room(target: ServiceTarget, spec: KubernetesObject, requests: PodRequests, more: int) -> tuple[str, ...]:
    try:
        room = node_capacity_for(target.cluster, spec, requests, more)
    except Rejected as refused:
        if refused.status != HTTPStatus.FORBIDDEN:
            raise
        return ("It is unknown whether the nodes have room: the bot may not read nodes and pods there.",)
    if room.fits >= more:
        return ()
    if not room.whole:
        return ("The largest nodes have no room for all new pods, by their requests (an estimate).",)
    return (_short_of_room(room),)


def _short_of_room(room: NodeCapacity) -> str:
    """Without numbers: pods come and go on the nodes all the time, and each change would make another plan."""
    message = "The nodes have no room for all new pods, by their requests (an estimate)."
    if not room.fitting:
        message = "No node takes such pods (an estimate)."
    if room.grows:
        return f"{message} Nodes are added automatically there, which may take some minutes."
    return f"{message} The rest stays pending until there is room."


def _for_fewer(change: ScaleChange, workload: KubernetesObject, target: ServiceTarget) -> tuple[str, ...]:
    if change.low >= change.old:
        return ()
    budgets, unseen = _seen(target, kinds.PDB)
    labels = (_template(target, workload).get("metadata") or {}).get("labels") or {}
    blocked = blocked_by(budgets, labels, change.low)
    if not blocked:
        return unseen
    count = spell_replicas(change.low)
    return (*unseen, f"With {count}, PodDisruptionBudget {blocked} allows no disruption: nodes cannot be drained.")


def _headroom(change: ScaleChange, target: ServiceTarget, tools: Tools) -> tuple[str, ...]:
    """Checks that the replicas that are left would not be overloaded, by the current usage."""
    wanted = target.headroom
    if wanted is None or not 0 < change.new < change.old:
        return ()
    asked = f"({wanted.query}) * {change.old} / {change.new} < bool {wanted.maximum}"
    holds = tools.metrics.holds(asked) if tools.metrics is not None else None
    if holds is None:
        return (f"It is unknown whether {spell_replicas(change.new)} would carry the load: Prometheus has no answer.",)
    if not holds:
        message = (
            f"{change.new} of {change.old} replicas would each be used above the limit of {wanted.maximum:.0%} at the "
            "current load."
        )
        raise Rejected(
            f"{message} Nothing was done. Keep more replicas, or wait for less load.", code="no_headroom", status=409
        )
    return ()


def _seen(target: ServiceTarget, kind: ResourceKind) -> tuple[Sequence[KubernetesObject], tuple[str, ...]]:
    try:
        return target.cluster.find(kind, target.workload.namespace), ()
    except Rejected as refused:
        if refused.status != HTTPStatus.FORBIDDEN:
            raise
        return (), (f"{kind.title}s were not checked: the bot may not read them there.",)
