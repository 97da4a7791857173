"""A workload's pods are started anew, with the same template: the mark that `kubectl rollout restart` sets in it.

A Rollout has a field for that, and its controller evicts older pods, as many at once as may be unavailable. The time is
set when it runs and is in no plan, which would be another one each second.
https://argo-rollouts.readthedocs.io/en/stable/features/restart/
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from http import HTTPStatus

from bot.acting import Conflict, Tools
from bot.acts import Outcome, Plan, Result
from bot.clusters import KubernetesObject, PatchType
from bot.ports import Rejected
from bot.sites import ServiceTarget
from bot.workloads import kinds, marks, place, pods
from bot.workloads.owners import ManagedBy
from bot.workloads.rollouts import observed
from bot.workloads.settling import PodProgress
from bot.workloads.status import WorkloadStatus, desired_replicas, status_count, status_of, timeout_for
from bot.workloads.watching import wait_until_ready

#: Names in a plan's `seen`: the object, and a digest of what its pods are made of.
_UID, _RUNS = "uid", "runs"
_RESTARTED = "kubectl.kubernetes.io/restartedAt"
#: What is noted for the watch: the mark, the phase that a Rollout had, and when the newest pod was made that was there.
_AT, _PHASE, _NEWEST = "at", "phase", "newest"


def plan(site: ServiceTarget, thing: KubernetesObject) -> Plan:
    place.check_not_deleting(site, thing)
    _refuse_what_stands_still(site, thing)
    place.check_rights(site, [place.patch_access(site.workload)])
    return Plan(
        target=site.service,
        effect=(
            f"Every pod of {site.workload} is replaced by one that runs the same.",
            *_warnings(site, thing),
            "There is no undo: what its pods held in memory is gone.",
        ),
        blast_radius=f"all pods of {site.workload}",
        preconditions={_UID: thing["metadata"]["uid"], _RUNS: _digest(site, thing)},
        hidden=(_UID, _RUNS),
    )


def run(site: ServiceTarget, thing: KubernetesObject, plan: Plan, run: str, tools: Tools) -> Outcome:
    """Raises `Moved` where it was restarted, or changed, since the plan was made."""
    place.check_not_deleting(site, thing)
    _refuse_what_stands_still(site, thing)
    if (thing["metadata"]["uid"], _digest(site, thing)) != (plan.preconditions[_UID], plan.preconditions[_RUNS]):
        raise Conflict(f"{site.workload} was restarted or changed since")
    there = pods.pods_of(site.cluster, thing)
    older, at = frozenset(one["metadata"]["uid"] for one in there), _after(there, tools.now())
    phase, newest = str(_status(thing).get("phase", "")), max(map(_born, there), default="")
    tools.remember({_AT: at, _PHASE: phase, _NEWEST: newest})
    written = site.cluster.patch(
        site.workload, _steps(site, thing, run, at), how=PatchType.JSON, by=marks.field_manager(run)
    )
    return _watched(site, tools, _Restarting(site, phase, older, at, written), thing)


def probe(site: ServiceTarget, thing: KubernetesObject, plan: Plan, run: str, tools: Tools) -> Outcome:
    if marks.written_by(thing, run):
        return _watched_on(site, thing, tools)
    if _digest(site, thing) == plan.preconditions[_RUNS]:
        return Outcome(result=Result.FAILED, message=f"{site.workload} was not told to restart. Nothing was changed.")
    return Outcome(result=Result.UNKNOWN, message=f"{site.workload} was restarted or changed; it does not say by whom.")


def _watched(site: ServiceTarget, tools: Tools, look: _Restarting, thing: KubernetesObject) -> Outcome:
    patience = timeout_for(thing, in_line=status_count(thing, "desiredNumberScheduled") or desired_replicas(thing))
    why = wait_until_ready(site, tools, look, timeout=patience)
    said = f"{site.workload} {'was told to restart' if why else 'is restarted'}."
    return Outcome(result=Result.DONE, message=said, degraded=why)


def _watched_on(site: ServiceTarget, thing: KubernetesObject, tools: Tools) -> Outcome:
    """As `run` would have watched it. Older pods are known by the newest of them, by the cluster's own clock."""
    at, newest = tools.remembered.get(_AT, _restarted_at(site, thing)), tools.remembered.get(_NEWEST, "")
    if _restarted_at(site, thing) != at:
        path = ("restartAt",) if site.workload.kind == kinds.ROLLOUT else ("template",)
        why = f"It was restarted or changed since by {marks.owner_name_of_field(thing, 'spec', *path)}."
        return Outcome(result=Result.DONE, message=f"{site.workload} was told to restart.", degraded=why)
    there = pods.pods_of(site.cluster, thing)
    older = frozenset(one["metadata"]["uid"] for one in there if _born(one) <= newest)
    return _watched(site, tools, _Restarting(site, tools.remembered.get(_PHASE, ""), older, at, thing), thing)


class _Restarting:
    """A `watching.ProgressCheck`. Pods that were there before are not judged.

    A Rollout that waits halfway, or was aborted, is as well afterwards as it was: it only has to be restarted.
    """

    def __init__(
        self, site: ServiceTarget, phase: str, older: frozenset[str], at: str, written: KubernetesObject
    ) -> None:
        self._site = site
        self._phase = phase  #: that it had before
        self._at = at
        rule = self._of_rollout if site.workload.kind == kinds.ROLLOUT else None
        self._settling = PodProgress(site, "", older=older, written=written, rule=rule)

    def __call__(self, thing: KubernetesObject) -> WorkloadStatus:
        return self._settling(thing)

    def _of_rollout(self, thing: KubernetesObject) -> WorkloadStatus:
        """In the phase that it had before, degraded or paused, only its pods count: Argo Rollouts says that all are
        restarted when it takes the last ones away, before there is anything in their place.
        """
        standing, status = status_of(kinds.ROLLOUT, thing), _status(thing)
        same = status.get("phase", "") == self._phase and observed(thing)
        if standing.failed and not same:
            return standing
        if status.get("restartedAt") != self._at:
            return WorkloadStatus(message="its controller still has pods to restart")
        if not same:
            return standing
        available, count = status_count(thing, "availableReplicas"), desired_replicas(thing)
        return WorkloadStatus(message=f"{available} of {count} are available", done=available >= count)


def _status(thing: KubernetesObject) -> KubernetesObject:
    return thing.get("status") or {}


def _refuse_what_stands_still(site: ServiceTarget, thing: KubernetesObject) -> None:
    spec, workload = thing["spec"], site.workload
    if workload.kind == kinds.DEPLOYMENT and spec.get("paused"):
        said = f"{workload} is paused, so no pod would move. Nothing was done."
        hint = f"`kubectl rollout resume deployment/{workload.name}` first."
        raise Rejected(f"{said} {hint}", code="paused", status=HTTPStatus.CONFLICT)
    if (spec.get("updateStrategy") or {}).get("type") == "OnDelete":
        said = f"{workload} has the update strategy OnDelete, so no pod would move. Nothing was done."
        raise Rejected(f"{said} Delete its pods by hand.", code="on_delete", status=HTTPStatus.CONFLICT)


def _warnings(site: ServiceTarget, thing: KubernetesObject) -> Iterator[str]:
    owner = place.owner_of(site, thing)
    if owner.by is ManagedBy.OPERATOR:
        yield f"It is kept by {owner}, which may take the mark of the restart back."
    if (thing["spec"].get("strategy") or {}).get("type") == "Recreate":
        yield "Its strategy is Recreate: all pods end before the first new one starts."
    if desired_replicas(thing) == 1 and site.workload.kind != kinds.DAEMONSET:
        yield "It has one replica: nothing else serves where that one ends before the new one is ready."
    if site.workload.kind == kinds.ROLLOUT:
        yield "Argo Rollouts takes no more pods at a time than may be unavailable, and waits where a budget forbids it."


def _steps(site: ServiceTarget, thing: KubernetesObject, run: str, at: str) -> list[dict[str, object]]:
    uid = {"op": "test", "path": "/metadata/uid", "value": thing["metadata"]["uid"]}
    if site.workload.kind == kinds.ROLLOUT:
        return [
            uid,
            {"op": "add", "path": "/spec/restartAt", "value": at},
            *marks.annotation_patch(thing, marks.annotation(run)),
        ]
    template = thing["spec"]["template"]
    inside = [
        {**step, "path": f"/spec/template{step['path']}"} for step in marks.annotation_patch(template, {_RESTARTED: at})
    ]
    same = {"op": "test", "path": "/spec/template", "value": template}
    return [uid, same, *inside, *marks.annotation_patch(thing, marks.annotation(run))]


def _restarted_at(site: ServiceTarget, thing: KubernetesObject) -> str:
    if site.workload.kind == kinds.ROLLOUT:
        return str(thing["spec"].get("restartAt") or "")
    meta = thing["spec"]["template"].get("metadata") or {}
    return str((meta.get("annotations") or {}).get(_RESTARTED, ""))


def _born(pod: KubernetesObject) -> str:
    return str(pod["metadata"]["creationTimestamp"])


def _after(there: Iterable[KubernetesObject], now: datetime) -> str:
    """Now, or the second after the newest of those pods: Argo Rollouts passes over one that is made at that time."""
    born = (datetime.fromisoformat(one["metadata"]["creationTimestamp"]) for one in there)
    at = max([now, *(one + timedelta(seconds=1) for one in born)])
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _digest(site: ServiceTarget, thing: KubernetesObject) -> str:
    """Of the template, or of the time of the last restart where that is not in there."""
    what = thing["spec"].get("restartAt") if site.workload.kind == kinds.ROLLOUT else None
    said = json.dumps([thing["spec"].get("template"), what], sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()[:16]
