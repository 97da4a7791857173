"""Estimates, by resource requests, whether the nodes have room for more pods of a template.

Considered: nodes that are ready, schedulable, selected by nodeSelector and required node affinity, and tolerated.
Not considered: affinity between pods, spread constraints, volumes, ports, preemption. Nodes are examined one by one,
the largest first, until the pods fit, so the cost does not grow with the cluster.
https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from http import HTTPStatus
from typing import Any

from bot.core.errors import Rejected
from bot.core.kubernetes import Cluster, KubernetesObject, ObjectRef
from bot.workloads.objects import kinds
from bot.workloads.objects.label_selector import meets
from bot.workloads.objects.quantity import Amounts, add, parse_amounts
from bot.workloads.objects.status import is_ready
from bot.workloads.scale.pod_requests import PodRequests, pod_requests_of

#: At most this many nodes are examined closely; in a larger cluster the rest stays unknown.
_MOST = 50
_ENDED = "status.phase!=Succeeded,status.phase!=Failed"
#: The prefix of labels on nodes that Karpenter creates: it can create more.
_GROWS = "karpenter.sh/"
_CORDONED = "node.kubernetes.io/unschedulable"


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeCapacity:
    """The result. `fits`: how many of the wanted pods have room; `fitting`: the nodes that they could go to."""

    fits: int
    nodes: int  #: all nodes
    fitting: int  #: nodes that accept such pods
    grows: bool  #: nodes are added automatically for pending pods
    whole: bool = True  #: False: only some of the nodes were examined


def node_capacity_for(cluster: Cluster, pod: Mapping[str, Any], requests: PodRequests, more: int) -> NodeCapacity:
    """The room for that many more pods. Raises `Rejected` if nodes or pods may not be read."""
    nodes = cluster.find(kinds.NODE, "")
    fitting = sorted((one for one in nodes if may_go(pod, one)), key=_largest_first)
    fits = 0
    for node in fitting[:_MOST]:
        name = node["metadata"]["name"]
        there = cluster.find(kinds.POD, "", fields=f"spec.nodeName={name},{_ENDED}")
        fits += fits_on(node, there, requests, more - fits)
        if fits >= more:
            break
    whole = fits >= more or len(fitting) <= _MOST
    return NodeCapacity(fits=fits, nodes=len(nodes), fitting=len(fitting), grows=_grows(cluster, nodes), whole=whole)


def fits_on(node: KubernetesObject, there: Iterable[KubernetesObject], requests: PodRequests, more: int) -> int:
    """How many of `more` pods fit on the node, beside those on it."""
    free = dict(parse_amounts((node.get("status") or {}).get("allocatable")))
    pods = list(there)
    taken = add(*(pod_requests_of(one.get("spec") or {}).requests for one in pods), {"pods": Fraction(len(pods))})
    wanted: Amounts = {**requests.requests, "pods": Fraction(1)}
    counts = [
        int((free.get(name, Fraction(0)) - taken.get(name, Fraction(0))) // amount)
        for name, amount in wanted.items()
        if amount and (name != "pods" or name in free)
    ]
    return max(0, min([more, *counts]))


def may_go(pod: Mapping[str, Any], node: KubernetesObject) -> bool:
    """Whether the node accepts a pod with that spec, as far as node and spec alone decide."""
    labels = (node["metadata"].get("labels") or {}) | {"metadata.name": node["metadata"]["name"]}
    spec = node.get("spec") or {}
    taints = list(spec.get("taints") or ())
    if spec.get("unschedulable") and all(one.get("key") != _CORDONED for one in taints):
        taints.append({"key": _CORDONED, "effect": "NoSchedule"})
    return (
        is_ready(node)
        and all(labels.get(name) == value for name, value in (pod.get("nodeSelector") or {}).items())
        and _has_affinity(pod, labels)
        and all(_tolerated(pod, one) for one in taints if one.get("effect") in ("NoSchedule", "NoExecute"))
    )


def _has_affinity(pod: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Any of the terms has to match, with everything in it."""
    wanted = ((pod.get("affinity") or {}).get("nodeAffinity") or {}).get(
        "requiredDuringSchedulingIgnoredDuringExecution"
    )
    if not wanted:
        return True
    terms = wanted.get("nodeSelectorTerms") or ()
    return any(
        all(meets(one, labels) for one in [*(term.get("matchExpressions") or ()), *(term.get("matchFields") or ())])
        for term in terms
    )


def _tolerated(pod: Mapping[str, Any], taint: Mapping[str, Any]) -> bool:
    for one in pod.get("tolerations") or ():
        if one.get("effect") not in (None, "", taint.get("effect")):
            continue
        if one.get("operator") == "Exists":
            if one.get("key") in (None, "", taint.get("key")):
                return True
        elif one.get("key") == taint.get("key") and (one.get("value") or "") == (taint.get("value") or ""):
            return True
    return False


def _largest_first(node: KubernetesObject) -> tuple[Fraction, str]:
    have = parse_amounts((node.get("status") or {}).get("allocatable"))
    return -have.get("cpu", Fraction(0)), node["metadata"]["name"]


def _grows(cluster: Cluster, nodes: Sequence[KubernetesObject]) -> bool:
    if any(name.startswith(_GROWS) for node in nodes for name in node["metadata"].get("labels") or ()):
        return True
    ref = ObjectRef(kind=kinds.CONFIG, namespace="kube-system", name="cluster-autoscaler-status")
    try:
        return cluster.get(ref) is not None
    except Rejected as refused:
        if refused.status != HTTPStatus.FORBIDDEN:
            raise
        return False
