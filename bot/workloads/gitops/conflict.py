"""Whether a tool reverts a change of a workload: which one, and when. Asked when planning; the answer is in the plan.

So the timeline of an incident shows what git does not have yet. A change that would be reverted within seconds is
refused; one that would be reverted later is a warning. An owner that cannot be read is treated as one that reverts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bot.core.errors import Rejected
from bot.core.kubernetes import KubernetesObject, ObjectRef, ResourceKind
from bot.core.site import ServiceTarget
from bot.workloads.objects import argocd_application, kinds, run_markers
from bot.workloads.objects.owners import ManagedBy, Owner

_FLUX: Mapping[str, ResourceKind] = {one.title: one for one in (kinds.KUSTOMIZATION, kinds.HELMRELEASE)}
_RECONCILE, _APPLY = "kustomize.toolkit.fluxcd.io/reconcile", "kustomize.toolkit.fluxcd.io/ssa"


@dataclass(frozen=True, kw_only=True, slots=True)
class GitOpsConflict:
    """What happens to a change. `message`: a sentence for the plan; `advice`: a sentence about what a person can do."""

    refuses: bool  #: it would be reverted at once, or that cannot be ruled out
    message: str
    advice: str = ""

    @property
    def refusal(self) -> str:
        """The whole text of a refusal."""
        return f"{self.message} Nothing was done. {self.advice}".rstrip()


def gitops_conflict_over(
    target: ServiceTarget, thing: KubernetesObject, owner: Owner, path: str, *, ref: ObjectRef | None = None
) -> GitOpsConflict | None:
    """What the manager of `thing` does about a change of that JSON path; None: nobody manages it.

    `thing` is the target's workload, or the object at `ref`, such as its autoscaler. Read-only.
    """
    ref = ref or target.workload
    match owner.by:
        case ManagedBy.ARGOCD:
            return _by_argocd(target, thing, owner, path, ref)
        case ManagedBy.FLUX:
            return _by_flux(target, thing, owner, path, ref)
        case ManagedBy.OPERATOR:
            return _by_operator(owner, path, ref)
        case ManagedBy.HELM:
            return _by_helm(thing, owner, path, ref)
        case ManagedBy.NOBODY:
            return None


def application_of(target: ServiceTarget, owner: Owner) -> KubernetesObject | None:
    """The Application of an owner, read through Argo CD itself if the settings name it.

    Raises:
        Rejected: it cannot be read.
    """
    if target.argocd is not None:
        return target.argocd.application(owner.name, owner.namespace)
    namespace = owner.namespace or target.argocd_namespace
    return target.cluster.get(ObjectRef(kind=kinds.APPLICATION, namespace=namespace, name=owner.name))


def _by_argocd(
    target: ServiceTarget, thing: KubernetesObject, owner: Owner, path: str, ref: ObjectRef
) -> GitOpsConflict | None:
    try:
        application = application_of(target, owner)
    except Rejected as refused:
        return _unread(owner, target, refused.message.removesuffix(" Nothing was done."))
    if not owner.is_certain and (application is None or not argocd_application.has(application, ref)):
        return None
    if application is None:
        return _unread(owner, target, "It does not exist.")
    if not argocd_application.names(application, thing, path):
        message = f"{ref} is managed by {owner}, but git does not set {path}: the change stays."
        return GitOpsConflict(refuses=False, message=message)
    if argocd_application.is_skipped(application):
        message = (
            f"{ref} is managed by {owner}, which is paused ({argocd_application.SKIPPED}): the change stays until "
            "that ends."
        )
        return GitOpsConflict(refuses=False, message=message, advice=_change_in_git(path))
    return _by_policy(target, owner, application, path, ref)


def _by_policy(
    target: ServiceTarget, owner: Owner, application: KubernetesObject, path: str, ref: ObjectRef
) -> GitOpsConflict:
    if argocd_application.ignores(application, ref, path):
        if argocd_application.respects(application):
            return GitOpsConflict(
                refuses=False, message=f"{ref} is managed by {owner}, which ignores {path}: the change stays."
            )
        message = f"{ref} is managed by {owner}, which ignores {path}, but its next sync sets it to git's value."
        return GitOpsConflict(refuses=False, message=message, advice=_change_in_git(path))
    if argocd_application.heals_itself(application):
        message = f"{ref} is managed by {owner} with self-heal: a change of {path} is reverted within seconds."
        advice = f"Run `autosync {target.service} off for 2h` first, or change it in git."
        return GitOpsConflict(refuses=True, message=message, advice=advice)
    if argocd_application.syncs_itself(application):
        message = f"{ref} is managed by {owner}: the next commit sets {path} back."
        return GitOpsConflict(refuses=False, message=message, advice=_change_in_git(path))
    message = (
        f"{ref} is managed by {owner} without auto-sync: it becomes OutOfSync, and the next sync sets {path} back."
    )
    return GitOpsConflict(refuses=False, message=message, advice=_change_in_git(path))


def _unread(owner: Owner, target: ServiceTarget, reason: str) -> GitOpsConflict:
    where = f"clusters.{target.cluster.name}.argocd"
    message = (
        f"It is marked as managed by {owner}, which cannot be read, so it is unknown what would be reverted. {reason}"
    )
    advice = f"Set {where}.url and .token, or {where}.namespace if it runs in this cluster and the bot may read it."
    return GitOpsConflict(refuses=True, message=message, advice=advice)


def _by_flux(target: ServiceTarget, thing: KubernetesObject, owner: Owner, path: str, ref: ObjectRef) -> GitOpsConflict:
    meta = thing.get("metadata") or {}
    annotations = {**(meta.get("labels") or {}), **(meta.get("annotations") or {})}
    if annotations.get(_RECONCILE) == "disabled" or annotations.get(_APPLY) in ("Ignore", "IfNotPresent"):
        message = f"{owner} made {ref}, and an annotation there keeps it from reconciling: the change stays."
        return GitOpsConflict(refuses=False, message=message, advice=_change_in_git(path))
    kind = _FLUX[owner.kind]
    held = ObjectRef(kind=kind, namespace=owner.namespace or ref.namespace, name=owner.name)
    suspend = f"`flux suspend {kind.title.lower()} {held.name} -n {held.namespace}`"
    try:
        owner_object = target.cluster.get(held)
    except Rejected as refused:
        reason = refused.message.removesuffix(" Nothing was done.")
        message = f"{ref} is managed by {owner}, which cannot be read: it may or may not be suspended. {reason}"
        return GitOpsConflict(
            refuses=True, message=message, advice=f"Let the bot read {kind.plural}, or change it in git."
        )
    if owner_object is None:
        message = f"{ref} is labelled as managed by {owner}, which does not exist: it is unknown what reverts a change."
        return GitOpsConflict(
            refuses=True, message=message, advice="Correct its labels, or change it where it comes from."
        )
    spec = owner_object.get("spec") or {}
    if spec.get("suspend") is True:
        message = f"{ref} is managed by {owner}, which is suspended: a change of {path} stays until it is resumed."
        return GitOpsConflict(refuses=False, message=message, advice=f"Before `flux resume`: {_change_in_git(path)}")
    message = f"{ref} is managed by {owner}: a change of {path} is reverted{_when(kind, spec)}."
    return GitOpsConflict(refuses=True, message=message, advice=f"Run {suspend} first, or change it in git.")


def _when(kind: ResourceKind, spec: Mapping[str, object]) -> str:
    drift = spec.get("driftDetection")
    watches = kind is kinds.KUSTOMIZATION or (isinstance(drift, dict) and drift.get("mode") == "enabled")
    if not watches:
        return " by its next upgrade"
    return f" within {spec['interval']}" if spec.get("interval") else " soon"


def _by_operator(owner: Owner, path: str, ref: ObjectRef) -> GitOpsConflict:
    message = f"{ref} is made by {owner}, which reverts a change of {path}."
    return GitOpsConflict(
        refuses=True, message=message, advice=f"Change {owner.kind} {owner.name} instead, of which it is made."
    )


def _by_helm(thing: KubernetesObject, owner: Owner, path: str, ref: ObjectRef) -> GitOpsConflict:
    field = path.replace("/", ".")
    if run_markers.appliers_of(thing, *path.strip("/").split("/")):
        message = f"{owner} sets {field} of {ref} by server-side apply: after this, its next `helm upgrade` or"
        message += " rollback stops half-way at a conflict, unless forced, or its values set the same."
        return GitOpsConflict(refuses=False, message=message, advice="`undo` gives the field back.")
    if run_markers.applies(thing, run_markers.HELM):  # Another manager has overwritten the field since Helm.
        who = run_markers.owner_name_of_field(thing, *path.strip("/").split("/"))
        message = f"{owner} manages {ref} by server-side apply, and {field} is owned by {who}: its next `helm upgrade`"
        message += f" or rollback stops half-way at a conflict if it sets another {field}, unless forced."
        return GitOpsConflict(refuses=False, message=message, advice="Put it into the values of the release as well.")
    message = f"{owner} made {ref}: its next `helm upgrade` or rollback may set {field} back."
    return GitOpsConflict(refuses=False, message=message, advice="Put it into the values of the release as well.")


def _change_in_git(path: str) -> str:
    return f"Change {path} in git too, or it comes back."
