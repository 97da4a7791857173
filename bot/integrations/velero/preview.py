"""What a restore by Velero would do, found out by reading alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bot.core.backup import RestorePoint, RestorePreview
from bot.core.errors import Rejected
from bot.core.kubernetes import ObjectRef
from bot.integrations.kubernetes.resources import SERVICE, STORAGE_CLASS, name_of, status_of
from bot.integrations.velero import rights
from bot.integrations.velero.facts import RestoreFacts, copy_of
from bot.integrations.velero.inventory import JudgedBackup
from bot.integrations.velero.site import RESTORE, VeleroSite

_NOT_RESTORED = (
    (
        "Ingresses, webhooks, autoscalers, NetworkPolicies, RBAC, external secrets, DaemonSets, Jobs and custom"
        " resources (also_restored of the store adds kinds)"
    ),
    "The addresses of Services: LoadBalancer and NodePort become ClusterIP",
    "Traffic: the live namespaces stay live. Velero has no cutover; pointing clients at the copy is a person's work",
)


def preview(site: VeleroSite, judged: Sequence[JudgedBackup], point: RestorePoint, *, drill: bool) -> RestorePreview:
    """Raises `Rejected`: no usable backup, a missing right."""
    chosen = _chosen(judged, point)
    _check_rights(site)
    facts = _facts(site, chosen)
    names = [copy_of(one, "{run}") for one in site.where.included]
    location = str((chosen.thing.get("spec") or {}).get("storageLocation") or "default")
    return RestorePreview(
        backup_id=chosen.backup.id,
        data_at=chosen.backup.data_at,
        copy_name=f"namespace{'s' if len(names) > 1 else ''} {', '.join(names)} of cluster {site.cluster.name}",
        effect=tuple(_effect(site, facts, drill=drill)),
        preconditions={
            "backup": f"{chosen.backup.id} Completed, uid {facts.backup_uid}",
            "storage location": f"{location} Available",
            **{f"namespace {name}": uid for name, uid in facts.live.items()},
        },
        not_restored=_NOT_RESTORED,
        moving=tuple(_moving(site, chosen)),
        size_bytes=chosen.backup.size_bytes,
        expires_at=chosen.backup.expires_at,
        facts=facts.as_texts(),
    )


def _chosen(judged: Sequence[JudgedBackup], point: RestorePoint) -> JudgedBackup:
    if point.backup_id:
        named = next((one for one in judged if one.backup.id == point.backup_id), None)
        if named is None:
            raise Rejected(f"Velero has no backup {point.backup_id} of this store. Nothing was done.", code="no_backup")
        if named.backup.problem:
            message = f"Backup {point.backup_id} cannot be restored from: {named.backup.problem}. Nothing was done."
            raise Rejected(message, code="unusable")
        return named
    usable = [one for one in judged if one.backup.usable and (point.at is None or one.backup.data_at <= point.at)]
    if usable:
        return usable[0]
    before = f" from before {point.at:%Y-%m-%d %H:%M:%S} UTC" if point.at else ""
    newest = f" The newest one is {judged[0].backup.id}: {judged[0].backup.problem}." if judged else ""
    message = f"Velero has no usable backup{before} of this store.{newest} Nothing was done."
    raise Rejected(message, code="no_backup")


def _check_rights(site: VeleroSite) -> None:
    missing = [one for one in rights.to_restore(site.where) if not site.cluster.allowed(one)]
    if missing:
        listed = ", ".join(f"{one}{f' in {one.namespace}' if one.namespace else ''}" for one in missing)
        message = f"The bot has no right in cluster {site.cluster.name} to {listed}. Nothing was done. Grant it."
        raise Rejected(message, code="no_entry")


def _facts(site: VeleroSite, chosen: JudgedBackup) -> RestoreFacts:
    volumes = {claim: one.size_bytes if one.moved else -1 for claim, one in chosen.volumes.items()}
    by_file_system = any(one.kind == "file system" for one in chosen.volumes.values())
    classes = {one.storage_class for claim, one in chosen.live.volumes.items() if claim in volumes}
    return RestoreFacts(
        backup_uid=str(chosen.thing["metadata"]["uid"]),
        volumes=volumes,
        live=chosen.live.uids,
        pods=by_file_system or any(_waits_for_a_pod(site, one) for one in classes),
        target=_target(site),
    )


def _waits_for_a_pod(site: VeleroSite, storage_class: str) -> bool:
    """Whether a claim of that class is bound only when a pod uses it. True where that is not known."""
    name = site.where.storage_classes.get(storage_class, storage_class)
    found = site.cluster.get(ObjectRef(kind=STORAGE_CLASS, namespace="", name=name)) if name else None
    return found is None or found.get("volumeBindingMode") != "Immediate"


def _target(site: VeleroSite) -> str:
    """Something of the live ones that answers: the address of a Service, because an isolated copy has no DNS."""
    if site.where.probe_target:
        return site.where.probe_target
    for namespace in site.where.included:
        for service in sorted(site.cluster.find(SERVICE, namespace), key=name_of):
            spec = service.get("spec") or {}
            ports = [one["port"] for one in spec.get("ports") or () if one.get("protocol", "TCP") == "TCP"]
            if spec.get("clusterIP") not in (None, "", "None") and ports:
                return f"{spec['clusterIP']}:{ports[0]}"
    return ""


def _effect(site: VeleroSite, facts: RestoreFacts, *, drill: bool) -> Iterator[str]:
    yield (
        f"Creates the namespaces of the copy first, with the NetworkPolicy that keeps every pod in them from all"
        f" connections{', and tries that' if drill or facts.pods else ''}"
    )
    yield f"Velero restores {len(facts.volumes)} volumes, workloads, configuration, Secrets and Services into them"
    if facts.pods:
        yield (
            "Pods of the copy run, because their volumes are filled through them: their images and restore hooks are"
            " executed, without any connection. DaemonSets, Jobs and CronJobs are not"
        )
    else:
        yield "No pod of the copy runs: workloads have 0 replicas, and CronJobs are suspended"
    for old, new in site.where.storage_classes.items():
        yield f"Volumes of the class {old} get the class {new}"
    yield (
        "Whoever may create Restores can do with this cluster what Velero can: apply anything that is in a backup."
        " That is an administrator's right"
    )


def _moving(site: VeleroSite, chosen: JudgedBackup) -> Iterator[str]:
    if chosen.backup.damage:
        yield f"The backup has {chosen.backup.damage}"
    waiting = [one for one in site.find(RESTORE) if status_of(one).get("phase") in (None, "", "New", "InProgress")]
    if waiting:
        yield f"Velero restores one at a time, and has {len(waiting)} before this one"
