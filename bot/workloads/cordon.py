"""Cordons and uncordons a node: it takes no new pods, or takes them again. Running pods stay: that would be a drain."""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus

from bot.core.action import Tools
from bot.core.errors import Conflict, Rejected
from bot.core.kubernetes import KubernetesObject, ObjectRef, PatchType, ResourceAccess
from bot.core.plan import Outcome, Plan, Result
from bot.core.site import ServiceTarget
from bot.workloads.objects import kinds, run_markers
from bot.workloads.objects import target as targets
from bot.workloads.objects.status import is_ready

#: Keys of a plan's preconditions; the first one is the state that a run leaves.
_OPEN, _UID = "schedulable", "uid"
_CORDON, _UNCORDON = "cordon", "uncordon"
#: Counts of pods are rounded up to one of these, so that one pod more or less makes no other plan.
_ROUND = (1, 5, 10, 20, 50, 100, 200, 500, 1000)


def site_of(tools: Tools, node: str) -> ServiceTarget:
    """`node`: "main/ip-10-0-0-1", its cluster first. Raises `Rejected` if there is no such cluster."""
    cluster, _, name = node.partition("/")
    if not name:
        message = f"{node} does not name the node's cluster. Nothing was done. Write <cluster>/<node>."
        raise Rejected(message, code="no_cluster")
    return targets.configured_targets(tools).on(cluster, ObjectRef(kind=kinds.NODE, namespace="", name=name), tools.by)


def plan(target: ServiceTarget, *, closed: bool) -> Plan:
    """Plans to cordon (`closed`) or uncordon the node.

    Raises:
        Rejected: it is in that state already, or no other node would take pods.
    """
    node = _node(target)
    targets.check_not_deleting(target, node)
    if _is_closed(node) is closed:
        message = f"{target.workload} already {'takes no new pods' if closed else 'takes new pods'}. Nothing was done."
        raise Rejected(message, code="already_so", status=HTTPStatus.CONFLICT)
    targets.check_rights(target, [targets.patch_access(target.workload)])
    if closed:
        _check_others(target, node)
    back = _UNCORDON if closed else _CORDON
    return Plan(
        target=target.service,
        effect=tuple(_cordon_effect(target) if closed else _uncordon_effect(target, node)),
        blast_radius=str(target.workload),
        preconditions={_OPEN: _yes_or_no(node), _UID: node["metadata"]["uid"]},
        hidden=(_UID,),
        undo_command=f"{back} {target.service}",
    )


def run(target: ServiceTarget, plan: Plan, run: str, *, closed: bool) -> Outcome:
    """Raises `Conflict` if the node is not as the plan saw it."""
    node = _node(target)
    targets.check_not_deleting(target, node)
    if (_yes_or_no(node), node["metadata"]["uid"]) != (plan.preconditions[_OPEN], plan.preconditions[_UID]):
        raise Conflict(f"{target.workload} was recreated, or somebody else changed it first")
    if closed:
        _check_others(target, node)
    uid = {"op": "test", "path": "/metadata/uid", "value": plan.preconditions[_UID]}
    change: list[dict[str, object]] = [{"op": "add", "path": "/spec/unschedulable", "value": True}]
    if not closed:
        change = [
            {"op": "test", "path": "/spec/unschedulable", "value": True},
            {"op": "remove", "path": "/spec/unschedulable"},
        ]
    steps = [uid, *change, *run_markers.annotation_patch(node, run_markers.annotation(run))]
    now = target.cluster.patch(target.workload, steps, how=PatchType.JSON, by=run_markers.field_manager(run))
    return _outcome(target, now, before=plan.preconditions[_OPEN])


def probe(target: ServiceTarget, plan: Plan, run: str) -> Outcome:
    node = _node(target)
    if run_markers.written_by(node, run):
        return _outcome(target, node, before=plan.preconditions[_OPEN])
    if _yes_or_no(node) == plan.preconditions[_OPEN]:
        return Outcome(result=Result.FAILED, message=f"{target.workload} is as it was. Nothing was changed.")
    return Outcome(result=Result.UNKNOWN, message=f"{_state_message(target, node)}; it is unknown who did that.")


def _node(target: ServiceTarget) -> KubernetesObject:
    found = target.cluster.get(target.workload)
    if found is None:
        message = f"There is no {target.workload} on cluster {target.cluster.name}. Nothing was done."
        raise Rejected(message, code="no_node", status=HTTPStatus.NOT_FOUND)
    return found


def _check_others(target: ServiceTarget, node: KubernetesObject) -> None:
    """The last node that takes pods must not be cordoned: every pod that ends then stays away."""
    others = (one for one in target.cluster.find(kinds.NODE, "") if one["metadata"]["uid"] != node["metadata"]["uid"])
    if _takes_pods(node) and not any(_takes_pods(one) for one in others):
        message = f"{target.workload} is the last node of cluster {target.cluster.name} that takes new pods."
        raise Rejected(f"{message} Nothing was done. Add or uncordon another first.", code="last_node", status=409)


def _takes_pods(node: KubernetesObject) -> bool:
    """Whether it takes pods without special tolerations."""
    return not _is_closed(node) and is_ready(node) and not _taints(node)


def _cordon_effect(target: ServiceTarget) -> Iterator[str]:
    yield f"{target.workload} of cluster {target.cluster.name} takes no new pods, except those of DaemonSets."
    count = _count_of_pods(target)
    yield f"Its running pods stay{f': {count} now' if count else ''}. Removing them takes a drain."


def _uncordon_effect(target: ServiceTarget, node: KubernetesObject) -> Iterator[str]:
    yield f"{target.workload} of cluster {target.cluster.name} takes new pods again."
    if taints := _taints(node):
        yield f"Only pods that tolerate its taints: {', '.join(taints)}."
    if not is_ready(node):
        yield "It is not ready now, and takes none before it is."


def _count_of_pods(target: ServiceTarget) -> str:
    """ "at most 20 pods"; "" if the bot may not list the pods of all namespaces."""
    if not target.cluster.allowed(ResourceAccess(verb="list", group="", resource="pods")):
        return ""
    count = len(target.cluster.find(kinds.POD, "", fields=f"spec.nodeName={target.workload.name}"))
    limit = next((one for one in _ROUND if count <= one), None)
    return f"more than {_ROUND[-1]} pods" if limit is None else f"at most {limit} pod{'s' if limit > 1 else ''}"


def _taints(node: KubernetesObject) -> list[str]:
    """Taints that keep pods away, without the one of the cordon."""
    found = [one for one in node["spec"].get("taints") or () if one.get("effect") != "PreferNoSchedule"]
    return sorted(one["key"] for one in found if one["key"] != "node.kubernetes.io/unschedulable")


def _is_closed(node: KubernetesObject) -> bool:
    return bool(node["spec"].get("unschedulable"))


def _yes_or_no(node: KubernetesObject) -> str:
    return "no" if _is_closed(node) else "yes"


def _outcome(target: ServiceTarget, node: KubernetesObject, *, before: str) -> Outcome:
    now = _yes_or_no(node)
    reverted = f"It was reverted since by {run_markers.owner_name_of_field(node, 'spec', 'unschedulable')}."
    expected = {_OPEN: "no" if before == "yes" else "yes"}
    return Outcome(
        result=Result.DONE,
        message=f"{_state_message(target, node)}.",
        degraded=reverted if now == before else "",
        expected_state=expected,
    )


def _state_message(target: ServiceTarget, node: KubernetesObject) -> str:
    return f"{target.workload} {'takes no new pods' if _is_closed(node) else 'takes new pods'}"
