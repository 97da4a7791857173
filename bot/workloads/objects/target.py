"""Where an action works, and whether it may there: the site of a service, its workload, the cluster's own rights."""

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
    """Raises `Rejected` where the settings have no clusters, or do not say where the service runs."""
    return targets(tools).of(service, tools.by)


def targets(tools: Tools) -> ServiceTargets:
    """Raises `Rejected` where the settings have no clusters."""
    if tools.targets is None:
        message = (
            "No cluster is set up. Nothing was done. Set `clusters`, and `workload` of the service, in the settings."
        )
        raise Rejected(message, code="no_cluster", status=HTTPStatus.SERVICE_UNAVAILABLE)
    return tools.targets


def workload_of(target: ServiceTarget, *kinds: ResourceKind) -> KubernetesObject:
    """The service's workload as it stands; `kinds`: those that can be meant, any where none is named.

    Raises:
        Rejected: it is not there, or is of another kind.
    """
    if kinds and target.workload.kind not in kinds:
        named = ", ".join(one.title for one in kinds)
        raise Rejected(f"{target.service} is a {target.workload.kind.title}; this is for {named}. Nothing was done.")
    found = target.cluster.get(target.workload)
    if found is None:
        message = f"There is no {target.workload} on cluster {target.cluster.name}. Nothing was done."
        raise Rejected(
            f"{message} Check `workload` of {target.service} in the settings.", code="no_workload", status=404
        )
    return found


def check_not_deleting(target: ServiceTarget, thing: KubernetesObject) -> None:
    """Whether what is written to it can come to anything: the API takes a write to what is being deleted as well, and
    no controller does anything for that any more. To be asked by every plan and every run.

    Raises:
        Rejected: it is being deleted, or its namespace is, in which no pod can be made.
    """
    check_not_going(target.workload, thing)
    namespace = target.workload.namespace
    held = _namespace(target, namespace) if namespace else None
    if held is not None and held["metadata"].get("deletionTimestamp"):
        message = (
            f"The namespace {namespace} of cluster {target.cluster.name} is being deleted, and no pod is made in it."
        )
        raise Rejected(f"{message} Nothing was done.", code="going", status=HTTPStatus.CONFLICT)


def check_not_going(ref: ObjectRef, thing: KubernetesObject) -> None:
    """Raises `Rejected` where it is being deleted."""
    meta = thing["metadata"]
    if not meta.get("deletionTimestamp"):
        return
    held = ", ".join(meta.get("finalizers") or ())
    reason = f" Its finalizers hold it: {held}." if held else ""
    message = f"{ref} is being deleted, so that nothing would come of it. Nothing was done.{reason}"
    raise Rejected(message, code="going", status=HTTPStatus.CONFLICT)


def _namespace(target: ServiceTarget, name: str) -> KubernetesObject | None:
    """None also where the bot may not see it: Roles of before did not grant that."""
    try:
        return target.cluster.get(ObjectRef(kind=NAMESPACE, namespace="", name=name))
    except Rejected as refused:
        if refused.status != HTTPStatus.FORBIDDEN:
            raise
        return None


def owner_of(target: ServiceTarget, thing: KubernetesObject) -> Owner:
    """Who keeps the workload; where its mark may be of something else, Argo CD's applications are asked.

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
    """Whether the person and whoever writes have these rights in the cluster; asked when planning, before any yes.

    Raises:
        Rejected: naming all that is missing, and whose it is.
    """
    check_person(target, wanted)
    missing = [one for one in wanted if not target.cluster.allowed(one)]
    if missing:
        raise _may_not("The bot may not", target, missing, "`vakhta check --cluster` prints the Role that grants it.")


def check_person(target: ServiceTarget, wanted: Sequence[ResourceAccess]) -> None:
    """Whether the person has these rights, of an act that the bot itself needs none for. Raises as `check_rights`."""
    person = target.person
    if person is None:
        return
    missing = [one for one in wanted if not target.cluster.allowed_for(person, one)]
    if missing:
        raise _may_not(f"{person.user} may not", target, missing, "Somebody who may has to ask for it.")


def patch_access(ref: ObjectRef, sub: str = "") -> ResourceAccess:
    """The right to change that one object, or its subresource."""
    resource = f"{ref.kind.plural}/{sub}" if sub else ref.kind.plural
    return ResourceAccess(verb="patch", group=ref.kind.group, resource=resource, namespace=ref.namespace, name=ref.name)


def _may_not(who: str, target: ServiceTarget, missing: Sequence[ResourceAccess], hint: str) -> Rejected:
    namespaces = sorted({one.namespace for one in missing if one.namespace})
    where = f" in {', '.join(namespaces)}" if namespaces else ""
    verbs = ", ".join(map(str, missing))
    message = f"{who} {verbs}{where} on cluster {target.cluster.name}. Nothing was done. {hint}"
    return Rejected(message, code="no_entry", status=HTTPStatus.FORBIDDEN)
