"""A node takes no new pods any more, or takes them again. What runs on it stays: that is a drain, and another thing."""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus

from bot.core.action import Tools
from bot.core.errors import Conflict, Rejected
from bot.core.kubernetes import KubernetesObject, ObjectRef, PatchType, ResourceAccess
from bot.core.plan import Outcome, Plan, Result
from bot.core.site import ServiceTarget
from bot.workloads.objects import kinds, run_markers
from bot.workloads.objects import target as place
from bot.workloads.objects.status import is_ready

#: Names in a plan's `seen`; what a run leaves is the first.
_OPEN, _UID = "schedulable", "uid"
_CORDON, _UNCORDON = "cordon", "uncordon"
#: A count of pods is told as at most one of these, so that a pod more or less is not another plan.
_ROUND = (1, 5, 10, 20, 50, 100, 200, 500, 1000)


def site_of(tools: Tools, node: str) -> ServiceTarget:
    """`node`: "main/ip-10-0-0-1", its cluster first. Raises `Rejected` where there is no such cluster."""
    cluster, _, name = node.partition("/")
    if not name:
        message = f"{node} does not say on which cluster the node is. Nothing was done. Say it as <cluster>/<node>."
        raise Rejected(message, code="no_cluster")
    return place.targets(tools).on(cluster, ObjectRef(kind=kinds.NODE, namespace="", name=name), tools.by)


def plan(target: ServiceTarget, *, closed: bool) -> Plan:
    """What it takes to close the node for new pods, or to open it.

    Raises:
        Rejected: it is so already; or no other node would take pods.
    """
    node = _node(target)
    place.check_not_deleting(target, node)
    if _is_closed(node) is closed:
        message = f"{target.workload} {'takes no new pods' if closed else 'takes new pods'} already. Nothing was done."
        raise Rejected(message, code="already_so", status=HTTPStatus.CONFLICT)
    place.check_rights(target, [place.patch_access(target.workload)])
    if closed:
        _check_others(target, node)
    back = _UNCORDON if closed else _CORDON
    return Plan(
        target=target.service,
        effect=tuple(_closing(target) if closed else _opening(target, node)),
        blast_radius=str(target.workload),
        preconditions={_OPEN: _yes_or_no(node), _UID: node["metadata"]["uid"]},
        hidden=(_UID,),
        undo_command=f"{back} {target.service}",
    )


def run(target: ServiceTarget, plan: Plan, run: str, *, closed: bool) -> Outcome:
    """Raises `Moved` where it is not as the plan saw it."""
    node = _node(target)
    place.check_not_deleting(target, node)
    if (_yes_or_no(node), node["metadata"]["uid"]) != (plan.preconditions[_OPEN], plan.preconditions[_UID]):
        raise Conflict(f"{target.workload} was made anew, or somebody was faster")
    if closed:
        _check_others(target, node)
    uid = {"op": "test", "path": "/metadata/uid", "value": plan.preconditions[_UID]}
    wish: list[dict[str, object]] = [{"op": "add", "path": "/spec/unschedulable", "value": True}]
    if not closed:
        wish = [
            {"op": "test", "path": "/spec/unschedulable", "value": True},
            {"op": "remove", "path": "/spec/unschedulable"},
        ]
    steps = [uid, *wish, *run_markers.annotation_patch(node, run_markers.annotation(run))]
    now = target.cluster.patch(target.workload, steps, how=PatchType.JSON, by=run_markers.field_manager(run))
    return _over(target, now, was=plan.preconditions[_OPEN])


def probe(target: ServiceTarget, plan: Plan, run: str) -> Outcome:
    node = _node(target)
    if run_markers.written_by(node, run):
        return _over(target, node, was=plan.preconditions[_OPEN])
    if _yes_or_no(node) == plan.preconditions[_OPEN]:
        return Outcome(result=Result.FAILED, message=f"{target.workload} is as it was. Nothing was changed.")
    return Outcome(result=Result.UNKNOWN, message=f"{_told(target, node)}; it does not say who wanted that.")


def _node(target: ServiceTarget) -> KubernetesObject:
    found = target.cluster.get(target.workload)
    if found is None:
        message = f"There is no {target.workload} on cluster {target.cluster.name}. Nothing was done."
        raise Rejected(message, code="no_node", status=HTTPStatus.NOT_FOUND)
    return found


def _check_others(target: ServiceTarget, node: KubernetesObject) -> None:
    """Nobody may close the last node that takes pods: whatever ends then stays away."""
    others = (one for one in target.cluster.find(kinds.NODE, "") if one["metadata"]["uid"] != node["metadata"]["uid"])
    if _takes_pods(node) and not any(_takes_pods(one) for one in others):
        message = f"{target.workload} is the last node of cluster {target.cluster.name} that takes new pods."
        raise Rejected(f"{message} Nothing was done. Add or uncordon another first.", code="last_node", status=409)


def _takes_pods(node: KubernetesObject) -> bool:
    """Whether it takes those that tolerate nothing in particular."""
    return not _is_closed(node) and is_ready(node) and not _taints(node)


def _closing(target: ServiceTarget) -> Iterator[str]:
    yield f"{target.workload} of cluster {target.cluster.name} takes no new pods, except those of DaemonSets."
    count = _count_of_pods(target)
    yield f"What runs there stays{f': {count} now' if count else ''}. That would take a drain."


def _opening(target: ServiceTarget, node: KubernetesObject) -> Iterator[str]:
    yield f"{target.workload} of cluster {target.cluster.name} takes new pods again."
    if taints := _taints(node):
        yield f"Only those that tolerate its taints: {', '.join(taints)}."
    if not is_ready(node):
        yield "It is not ready now, and gets none before it is."


def _count_of_pods(target: ServiceTarget) -> str:
    """ "at most 20 pods"; "" where the bot may not see those of all namespaces."""
    if not target.cluster.allowed(ResourceAccess(verb="list", group="", resource="pods")):
        return ""
    count = len(target.cluster.find(kinds.POD, "", fields=f"spec.nodeName={target.workload.name}"))
    most = next((one for one in _ROUND if count <= one), None)
    return f"more than {_ROUND[-1]} pods" if most is None else f"at most {most} pod{'s' if most > 1 else ''}"


def _taints(node: KubernetesObject) -> list[str]:
    """That keep pods away, beside the one that being closed sets."""
    found = [one for one in node["spec"].get("taints") or () if one.get("effect") != "PreferNoSchedule"]
    return sorted(one["key"] for one in found if one["key"] != "node.kubernetes.io/unschedulable")


def _is_closed(node: KubernetesObject) -> bool:
    return bool(node["spec"].get("unschedulable"))


def _yes_or_no(node: KubernetesObject) -> str:
    return "no" if _is_closed(node) else "yes"


def _over(target: ServiceTarget, node: KubernetesObject, *, was: str) -> Outcome:
    now = _yes_or_no(node)
    who = f"It was taken back since by {run_markers.owner_name_of_field(node, 'spec', 'unschedulable')}."
    left = {_OPEN: "no" if was == "yes" else "yes"}
    return Outcome(
        result=Result.DONE, message=f"{_told(target, node)}.", degraded=who if now == was else "", expected_state=left
    )


def _told(target: ServiceTarget, node: KubernetesObject) -> str:
    return f"{target.workload} {'takes no new pods any more' if _is_closed(node) else 'takes new pods'}"
