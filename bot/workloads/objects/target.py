"""Where an action works, and whether it may: a service's target, its workload, the rights in the cluster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from http import HTTPStatus

from bot.core.action import Tools
from bot.core.errors import Rejected
from bot.core.kubernetes import KubernetesObject, ObjectRef, ResourceAccess, ResourceKind
from bot.core.site import ServiceTarget, ServiceTargets
from bot.workloads.objects import argocd_application, owners
from bot.workloads.objects.kinds import APPLICATION, NAMESPACE
from bot.workloads.objects.owners import Owner


def target_of(tools: Tools, service: str) -> ServiceTarget:
    """The target of the service. Raises `Rejected` if no cluster is set up, or the settings do not place it."""
    return configured_targets(tools).of(service, tools.by)


def configured_targets(tools: Tools) -> ServiceTargets:
    """Raises `Rejected` if no cluster is set up."""
    if tools.targets is None:
        message = (
            "No cluster is set up. Nothing was done. Set `clusters`, and `workload` of the service, in the settings."
        )
        raise Rejected(message, code="no_cluster", status=HTTPStatus.SERVICE_UNAVAILABLE)
    return tools.targets


def workload_of(target: ServiceTarget, *kinds: ResourceKind) -> KubernetesObject:
    """The service's workload as it is now. `kinds`: the accepted kinds; any if none is named.

    Raises:
        Rejected: it does not exist, or is of another kind.
    """
    if kinds and target.workload.kind not in kinds:
        named = " or ".join(one.title for one in kinds)
        raise Rejected(f"{target.service} is a {target.workload.kind.title}; this needs a {named}. Nothing was done.")
    found = target.cluster.get(target.workload)
    if found is None:
        message = f"There is no {target.workload} on cluster {target.cluster.name}. Nothing was done."
        raise Rejected(
            f"{message} Check `workload` of {target.service} in the settings.", code="no_workload", status=404
        )
    return found


def check_not_deleting(target: ServiceTarget, thing: KubernetesObject) -> None:
    """Checks that a write can have an effect. To be called by every plan and every run.

    The API accepts writes to an object that is being deleted, but no controller acts on them.

    Raises:
        Rejected: the object is being deleted, or its namespace is, in which no pod can be created.
    """
    check_not_going(target.workload, thing)
    namespace = target.workload.namespace
    held = _namespace(target, namespace) if namespace else None
    if held is not None and held["metadata"].get("deletionTimestamp"):
        message = (
            f"Namespace {namespace} of cluster {target.cluster.name} is being deleted: no pod can be created in it."
        )
        raise Rejected(f"{message} Nothing was done.", code="going", status=HTTPStatus.CONFLICT)


def check_not_going(ref: ObjectRef, thing: KubernetesObject) -> None:
    """Raises `Rejected` if the object is being deleted."""
    meta = thing["metadata"]
    if not meta.get("deletionTimestamp"):
        return
    held = ", ".join(meta.get("finalizers") or ())
    reason = f" Finalizers that delay its deletion: {held}." if held else ""
    message = f"{ref} is being deleted, so a change has no effect. Nothing was done.{reason}"
    raise Rejected(message, code="going", status=HTTPStatus.CONFLICT)


def _namespace(target: ServiceTarget, name: str) -> KubernetesObject | None:
    """The namespace; None also if the bot may not read it: older Roles did not grant that."""
    try:
        return target.cluster.get(ObjectRef(kind=NAMESPACE, namespace="", name=name))
    except Rejected as refused:
        if refused.status != HTTPStatus.FORBIDDEN:
            raise
        return None


def owner_of(target: ServiceTarget, thing: KubernetesObject) -> Owner:
    """The manager of the workload. Where the mark is ambiguous, Argo CD's applications are asked.

    Raises:
        Rejected: they cannot be read.
    """
    owner = owners.owner_of(thing, target.workload)
    if owner.is_certain:
        return owner
    if target.argocd is not None:
        known = target.argocd.application(owner.name, owner.namespace)
        found: Sequence[KubernetesObject] = () if known is None else (known,)
    else:
        found = target.cluster.find(APPLICATION, "", fields=f"metadata.name={owner.name}")
    for one in found:
        if argocd_application.has(one, target.workload):
            return replace(owner, namespace=one["metadata"]["namespace"], is_certain=True)
    return owners.UNMANAGED


def check_rights(target: ServiceTarget, wanted: Sequence[ResourceAccess]) -> None:
    """Checks that the person and the bot have these rights in the cluster, when planning and so before any approval.

    Raises:
        Rejected: it names all missing rights, and who lacks them.
    """
    check_person(target, wanted)
    missing = [one for one in wanted if not target.cluster.allowed(one)]
    if missing:
        raise _may_not("The bot may not", target, missing, "`vakhta check --cluster` prints the Role to grant.")


def check_person(target: ServiceTarget, wanted: Sequence[ResourceAccess]) -> None:
    """Checks the person's rights, for an action that needs none of the bot's own. Raises as `check_rights`."""
    person = target.person
    if person is None:
        return
    missing = [one for one in wanted if not target.cluster.allowed_for(person, one)]
    if missing:
        raise _may_not(f"{person.user} may not", target, missing, "Somebody with that right has to ask.")


def patch_access(ref: ObjectRef, sub: str = "") -> ResourceAccess:
    """The right to patch that one object, or its subresource."""
    resource = f"{ref.kind.plural}/{sub}" if sub else ref.kind.plural
    return ResourceAccess(verb="patch", group=ref.kind.group, resource=resource, namespace=ref.namespace, name=ref.name)


def _may_not(who: str, target: ServiceTarget, missing: Sequence[ResourceAccess], hint: str) -> Rejected:
    namespaces = sorted({one.namespace for one in missing if one.namespace})
    where = f" in {', '.join(namespaces)}" if namespaces else ""
    verbs = ", ".join(map(str, missing))
    message = f"{who} {verbs}{where} on cluster {target.cluster.name}. Nothing was done. {hint}"
    return Rejected(message, code="no_entry", status=HTTPStatus.FORBIDDEN)
