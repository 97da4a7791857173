"""Makes, looks at and removes the copies: new clusters beside the live one, by names that come from the run.

The promise: NetworkPolicies are there, and in a drill tried, before the cluster is asked for; nothing without the run's
label is deleted, and nothing with the uid of the live cluster.
The trap: a recovered instance is ready before the operator has restarted it for the last time; only the phase tells.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from bot.core.backup import DRILL_LABEL, OWNER_LABEL, Copy, CopyState, CopyStatus, RestoreTask
from bot.core.errors import Conflict, OutcomeUnknown, Rejected
from bot.core.kubernetes import KubernetesObject, ObjectRef, ResourceKind
from bot.integrations.cloudnativepg import manifests
from bot.integrations.cloudnativepg.inventory import judge, look_at_archive
from bot.integrations.cloudnativepg.site import BACKUP, CLUSTER, CLUSTER_LABEL, CnpgSite
from bot.integrations.kubernetes.isolation import JobRunner
from bot.integrations.kubernetes.resources import (
    CLAIM,
    EVENT,
    JOB,
    POD,
    POLICY,
    created_at,
    labels_of,
    name_of,
    status_of,
)

HEALTHY = "Cluster in healthy state"
_BROKEN = ("unrecoverable", "cannot proceed", "Unable to create", "invalid image catalog", "architecture binary")
#: The operator tries again by itself: a plug-in that is restarted is no end.
_PASSES = "Cluster cannot proceed to reconciliation due to an error while interacting with plugins"
_SILENT_AFTER = timedelta(minutes=10)


def begin(site: CnpgSite, task: RestoreTask) -> None:
    """Raises `Conflict`, `Rejected` (nothing is left), `OutcomeUnknown`."""
    name = manifests.copy_name(site.where, task.short_run)
    found = site.get(CLUSTER, name)
    if found is not None:
        _check_owner(found, task.run, f"Cluster {name}")
        return
    live = site.live()
    if str(live["metadata"]["uid"]) != task.facts.get("live_uid"):
        raise Conflict(f"the live cluster is another one than was planned: its uid is {live['metadata']['uid']}")
    look, backup = look_at_archive(site, live), site.get(BACKUP, task.point.backup_id)
    if backup is None or look.archive is None:
        raise Conflict(f"backup {task.point.backup_id} is gone" if backup is None else "WAL is archived no more")
    if problem := judge(site, backup, look).problem:
        raise Conflict(f"backup {task.point.backup_id}: {problem}")
    try:
        _isolate(site, task)
        _make(site, CLUSTER, manifests.cluster(task, site.where, live, backup, look.archive), task)
    except (Conflict, Rejected):
        _clear(site, task.run)
        raise


def leak(site: CnpgSite, task: RestoreTask) -> str:
    """What a pod like the copy's could reach; "" for nothing. Raises `Rejected`: it was not tried."""
    target = _target(task)
    if _runner(site, task).connects(site.where.namespace, f"vakhta-probe-{task.short_run}", target):
        return (
            f"A pod with the copy's NetworkPolicy can connect to the live database at {target}: the network of cluster"
            f" {site.cluster.name} does not enforce NetworkPolicies."
        )
    return ""


def look(site: CnpgSite, task: RestoreTask) -> CopyStatus:
    """Raises `Rejected`."""
    name = manifests.copy_name(site.where, task.short_run)
    found = site.get(CLUSTER, name)
    if found is None:
        return CopyStatus(state=CopyState.ABSENT)
    if labels_of(found).get(OWNER_LABEL) != task.run:
        return CopyStatus(state=CopyState.FAILED, message=f"Cluster {name} is not of this run")
    status = status_of(found)
    phase = str(status.get("phase") or "")
    if failed := _failure(site, found):
        return CopyStatus(state=CopyState.FAILED, message=failed, phase=phase)
    return _going(site, found, phase, status)


def _going(site: CnpgSite, found: KubernetesObject, phase: str, status: Mapping[str, Any]) -> CopyStatus:
    name = name_of(found)
    ready = {one["type"]: one.get("status") for one in status.get("conditions") or ()}.get("Ready")
    if phase == HEALTHY and ready == "True" and int(status.get("readyInstances") or 0) >= 1:
        return CopyStatus(state=CopyState.RESTORED, phase=phase)
    if not phase:
        return CopyStatus(state=CopyState.WAITING, message=silence(site, found), phase="waiting for the operator")
    reason = [str(status.get("phaseReason"))] if phase == _PASSES and status.get("phaseReason") else []
    told = [*reason, *_recoveries(site, name), *_pending(site, name), *_held(site, name)]
    return CopyStatus(state=CopyState.RUNNING, message="; ".join(told), phase=phase)


def silence(site: CnpgSite, found: KubernetesObject) -> str:
    """About an object that the operator has given no status."""
    created = created_at(found)
    waited = site.now() - created if created else timedelta(0)
    if waited < _SILENT_AFTER:
        return "the operator has not begun"
    minutes = int(waited.total_seconds() // 60)
    return (
        f"the operator has not begun for {minutes} min: check that its Deployment in namespace"
        f" {site.where.operator_namespace} runs and watches namespace {site.where.namespace}"
    )


def list_copies(site: CnpgSite) -> Sequence[Copy]:
    """Of this store, by the label. Raises `Rejected`."""
    found = [
        one
        for one in site.find(CLUSTER, OWNER_LABEL)
        if (one["metadata"].get("annotations") or {}).get(manifests.STORE_NOTE) == site.store
    ]
    return [
        Copy(
            run=labels_of(one)[OWNER_LABEL],
            name=f"PostgreSQL cluster {site.where.namespace}/{name_of(one)}",
            created_at=created_at(one),
            drill=DRILL_LABEL in labels_of(one),
        )
        for one in found
    ]


def remove(site: CnpgSite, run: str) -> None:
    """The cluster first, then what keeps it apart. Raises `Rejected`, `Conflict`, `OutcomeUnknown`."""
    for one in site.find(CLUSTER, f"{OWNER_LABEL}={run}"):
        if name_of(one) == site.where.name:
            raise Rejected(f"Cluster {name_of(one)} is the live one. Nothing was removed.", code="live")
        _delete(site, CLUSTER, one)
    for kind in (JOB, POLICY):
        for one in site.find(kind, f"{OWNER_LABEL}={run}"):
            _delete(site, kind, one)


def _isolate(site: CnpgSite, task: RestoreTask) -> None:
    runner, name = _runner(site, task), f"vakhta-reach-{task.short_run}"
    if task.drill and not _isolated(site, task) and not runner.connects(site.where.namespace, name, _target(task)):
        raise Rejected(
            f"The isolation cannot be tried: the live database at {_target(task)} does not answer a pod in namespace"
            f" {site.where.namespace} even without a NetworkPolicy. Nothing was restored."
        )
    for policy in manifests.policies(task, site.where):
        _make(site, POLICY, policy, task)
    if task.drill and (told := leak(site, task)):
        raise Rejected(f"{told} Nothing was restored. Use a network plug-in that enforces them.", code="not_isolated")


def _isolated(site: CnpgSite, task: RestoreTask) -> bool:
    """Whether the policies are there, from a begin that was cut off."""
    return any(site.find(POLICY, f"{OWNER_LABEL}={task.run}"))


def _target(task: RestoreTask) -> str:
    target = task.facts.get("target", "")
    if not target:
        raise Rejected(
            "There is nothing to try the isolation of the copy with: the live cluster has no -rw Service with an"
            " address. Nothing was restored."
        )
    return target


def _runner(site: CnpgSite, task: RestoreTask) -> JobRunner:
    return JobRunner(
        cluster=site.cluster,
        image=site.where.probe_image,
        labels=manifests.labels(task),
        by=f"vakhta-{task.short_run}",
        now=site.now,
        pause=site.pause,
    )


def _make(site: CnpgSite, kind: ResourceKind, manifest: KubernetesObject, task: RestoreTask) -> None:
    try:
        site.cluster.create(kind, site.where.namespace, manifest, by=f"vakhta-{task.short_run}")
    except Rejected as refused:
        if refused.code != "exists":
            raise
        found = site.get(kind, str(manifest["metadata"]["name"]))
        if found is not None:
            _check_owner(found, task.run, f"{kind.title} {name_of(found)}")


def _check_owner(found: KubernetesObject, run: str, what: str) -> None:
    if labels_of(found).get(OWNER_LABEL) != run:
        raise Rejected(f"{what} exists and is not of this run. Nothing was done.", code="not_ours")


def _failure(site: CnpgSite, found: KubernetesObject) -> str:
    name, status = name_of(found), status_of(found)
    phase, reason = str(status.get("phase") or ""), str(status.get("phaseReason") or "")
    if found["metadata"].get("deletionTimestamp"):
        return f"Cluster {name} is being deleted"
    if phase != _PASSES and any(word.lower() in phase.lower() for word in _BROKEN):
        return f"{phase}{f': {reason}' if reason else ''}"
    for job in site.find(JOB, f"{CLUSTER_LABEL}={name}"):
        failed = [one for one in status_of(job).get("conditions") or () if one.get("type") == "Failed"]
        if any(one.get("status") == "True" for one in failed):
            said = failed[0].get("message") or failed[0].get("reason") or "no reason given"
            return (
                f"the recovery failed ({said}). If the moment is after the last commit, PostgreSQL cannot stop there:"
                f" say latest. Otherwise the log of Job {name_of(job)} says why"
            )
    return ""


def _recoveries(site: CnpgSite, name: str) -> Iterator[str]:
    for job in site.find(JOB, f"{CLUSTER_LABEL}={name}"):
        failed = int(status_of(job).get("failed") or 0)
        if failed:
            yield f"the recovery has failed {failed} time{'s' if failed > 1 else ''}, and is tried again"


def _pending(site: CnpgSite, name: str) -> Iterator[str]:
    for claim in site.find(CLAIM, f"{CLUSTER_LABEL}={name}"):
        if status_of(claim).get("phase") != "Bound":
            events = site.find(
                EVENT, fields=f"involvedObject.kind=PersistentVolumeClaim,involvedObject.name={name_of(claim)}"
            )
            last = f": {events[-1].get('message')}" if events else ""
            yield f"volume {name_of(claim)} is {status_of(claim).get('phase') or 'Pending'}{last}"


def _held(site: CnpgSite, name: str) -> Iterator[str]:
    """Pods that do not run: no node for them, or no image."""
    for pod in site.find(POD, f"{CLUSTER_LABEL}={name}"):
        status = status_of(pod)
        for one in status.get("conditions") or ():
            if one.get("type") == "PodScheduled" and one.get("status") == "False":
                yield f"pod {name_of(pod)} has no node: {one.get('message') or one.get('reason')}"
        for one in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
            waiting = (one.get("state") or {}).get("waiting") or {}
            if waiting.get("reason") not in (None, "PodInitializing", "ContainerCreating"):
                said = f": {waiting['message']}" if waiting.get("message") else ""
                yield f"pod {name_of(pod)} waits: {waiting['reason']}{said}"


def _delete(site: CnpgSite, kind: ResourceKind, thing: KubernetesObject) -> None:
    ref = ObjectRef(kind=kind, namespace=site.where.namespace, name=name_of(thing))
    if thing["metadata"].get("deletionTimestamp"):
        return
    try:
        site.cluster.delete(ref, uid=thing["metadata"]["uid"])
    except Conflict:
        if site.cluster.get(ref) is not None:
            raise


def _clear(site: CnpgSite, run: str) -> None:
    """Policies that are left select nothing but pods of this run."""
    try:
        remove(site, run)
    except (Conflict, OutcomeUnknown, Rejected):
        return
