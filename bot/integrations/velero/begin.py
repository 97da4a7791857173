"""Begins a restore: namespaces, isolation, changes, and last the Restore itself.

The promise: each step is made once for a run, by a name that comes from it, so that a second `begin` does nothing. A
drill's copy is isolated, and its isolation tried, before Velero is asked. What failed before that is taken away again.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from bot.core.backup import OWNER_LABEL, RestoreTask
from bot.core.errors import Conflict, OutcomeUnknown, Rejected
from bot.core.kubernetes import KubernetesObject, ObjectRef, ResourceKind
from bot.integrations.kubernetes.isolation import JobRunner
from bot.integrations.kubernetes.resources import CONFIG, NAMESPACE, POLICY, labels_of, moment, status_of
from bot.integrations.velero import manifests
from bot.integrations.velero.facts import RestoreFacts, copy_of, restore_name
from bot.integrations.velero.inventory import phase_problem
from bot.integrations.velero.site import BACKUP, LOCATION, RESTORE, VeleroSite
from bot.integrations.velero.teardown import remove_run

#: A connection may still be let through for a moment after its policy was made.
_TRIES, _AGAIN = 3, timedelta(seconds=10)


def begin(site: VeleroSite, task: RestoreTask) -> None:
    """Raises `Conflict`, `Rejected` (nothing is left), `OutcomeUnknown`."""
    found = site.get(RESTORE, restore_name(task.run))
    if found is not None:
        _check_owner(found, task, f"Restore {restore_name(task.run)}")
        if found["metadata"].get("deletionTimestamp"):
            raise Rejected(f"Restore {restore_name(task.run)} is being deleted. Nothing was done. Restore again.")
        return
    facts = RestoreFacts.of(task)
    _check_backup(site, task, facts)
    try:
        _make_room(site, task, facts)
        _make(site, CONFIG, site.where.namespace, manifests.modifiers(task, site.where, facts), task)
        _make(site, RESTORE, site.where.namespace, manifests.restore(task, site.where, facts), task)
    except (Conflict, Rejected) as refused:
        left = _cleared(site, task)
        if left and isinstance(refused, Rejected):
            raise Rejected(f"{refused.message} {left}", code=refused.code, status=refused.status) from None
        if left:
            raise Conflict(f"{refused.message}. {left}") from None
        raise


def leak(site: VeleroSite, task: RestoreTask, facts: RestoreFacts, *, tries: int = _TRIES) -> str:
    """What a pod of the copy could reach though it must not; "" for nothing. Raises `Rejected`: it was not tried."""
    if not facts.target:
        raise Rejected(
            "There is nothing to try the isolation of the copy with: no live namespace has a Service with an address."
            " Nothing was restored. Set probe_target of the store to an address that a copy must not reach."
        )
    for name in site.where.included:
        place = copy_of(name, task.short_run)
        for tried in range(tries):
            if not runner(site, task).connects(place, f"vakhta-probe-{task.short_run}", facts.target):
                break
            if tried + 1 == tries:
                return (
                    f"A pod in namespace {place} can connect to {facts.target} though a NetworkPolicy denies it: the"
                    f" network of cluster {site.cluster.name} does not enforce NetworkPolicies."
                )
            site.pause(_AGAIN)
    return ""


def runner(site: VeleroSite, task: RestoreTask) -> JobRunner:
    return JobRunner(
        cluster=site.cluster,
        image=site.where.probe_image,
        labels=manifests.labels(task),
        by=_by(task),
        now=site.now,
        pause=site.pause,
    )


def _make_room(site: VeleroSite, task: RestoreTask, facts: RestoreFacts) -> None:
    places = [copy_of(one, task.short_run) for one in site.where.included]
    for live, place in zip(site.where.included, places, strict=True):
        made = _make(site, NAMESPACE, "", manifests.namespace(task, site.where, live), task)
        if made["metadata"]["uid"] in facts.live.values():
            raise Rejected(f"Namespace {place} is the live one by its uid. Nothing was done.", code="live")
    tried = task.drill or (facts.pods and bool(facts.target))
    answers = tried and _is_reachable(site, task, facts, places[0])
    for place in places:
        _make(site, POLICY, place, manifests.isolation(task), task)
    if answers and (told := leak(site, task, facts)):
        raise Rejected(f"{told} Nothing was restored. Use a network plug-in that enforces them.", code="not_isolated")


def _is_reachable(site: VeleroSite, task: RestoreTask, facts: RestoreFacts, place: str) -> bool:
    """Whether the target answers without the policy: otherwise a failure with it would prove nothing.

    A drill ends there. A restore that people ask for goes on: after a disaster nothing of the live ones may answer.
    """
    ref = ObjectRef(kind=POLICY, namespace=place, name=manifests.ISOLATION)
    if not facts.target or site.cluster.get(ref) is not None:
        return True  # `leak` says what is missing, or tries again what an earlier begin has tried.
    if runner(site, task).connects(place, f"vakhta-reach-{task.short_run}", facts.target):
        return True
    if not task.drill:
        return False
    raise Rejected(
        f"The isolation cannot be tried: {facts.target} does not answer a pod in namespace {place} even without a"
        " NetworkPolicy. Nothing was restored. Set probe_target of the store to an address that answers."
    )


def _make(
    site: VeleroSite, kind: ResourceKind, namespace: str, manifest: KubernetesObject, task: RestoreTask
) -> KubernetesObject:
    """The object of that name, made now or before by the same run."""
    try:
        return site.cluster.create(kind, namespace, manifest, by=_by(task))
    except Rejected as refused:
        if refused.code != "exists":
            raise
    name = str(manifest["metadata"]["name"])
    found = site.cluster.get(ObjectRef(kind=kind, namespace=namespace, name=name))
    if found is None:
        raise Conflict(f"{kind.title} {name} was removed at the same moment")
    _check_owner(found, task, f"{kind.title} {name}")
    if found["metadata"].get("deletionTimestamp"):
        raise Rejected(f"{kind.title} {name} is being deleted. Nothing was done. Ask again when it is gone.")
    return found


def _check_owner(found: KubernetesObject, task: RestoreTask, what: str) -> None:
    if labels_of(found).get(OWNER_LABEL) != task.run:
        raise Rejected(f"{what} exists and is not of this run. Nothing was done.", code="not_ours")


def _check_backup(site: VeleroSite, task: RestoreTask, facts: RestoreFacts) -> None:
    """What may have changed since the plan."""
    name = task.point.backup_id
    backup = site.get(BACKUP, name)
    if backup is None:
        raise Conflict(f"backup {name} is gone")
    if str(backup["metadata"]["uid"]) != facts.backup_uid:
        raise Conflict(f"backup {name} is another one than was planned: its uid is {backup['metadata']['uid']}")
    if problem := "; ".join(_against(site, backup)):
        raise Conflict(f"backup {name}: {problem}")


def _against(site: VeleroSite, backup: KubernetesObject) -> Iterator[str]:
    if problem := phase_problem(backup, site.now()):
        yield problem
    expires = moment(status_of(backup).get("expiration"))
    if expires is not None and expires <= site.now() + timedelta(hours=1):
        yield f"it expires at {expires:%Y-%m-%d %H:%M} UTC, before a restore could end"
    location = str((backup.get("spec") or {}).get("storageLocation") or "default")
    found = site.get(LOCATION, location)
    phase = status_of(found).get("phase") if found else "missing"
    if phase != "Available":
        yield f"its storage location {location} is {phase}"


def _cleared(site: VeleroSite, task: RestoreTask) -> str:
    """Take away what was made before the refusal; what is left, in words."""
    try:
        remove_run(site, task.run)
    except (Conflict, OutcomeUnknown, Rejected) as trouble:
        return f"Namespaces with the label {OWNER_LABEL}={task.run} are left: {trouble.message}"
    return ""


def _by(task: RestoreTask) -> str:
    return f"vakhta-{task.short_run}"
