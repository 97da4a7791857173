"""Whether somebody takes a change of a workload back: who, and when. Asked when planning; what it says is in the plan.

So the story of an incident holds what git does not say yet. A fight that is lost within seconds is refused; one that is
lost at the next change of git is told. An owner that cannot be read is taken for one that fights.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bot.core.errors import Rejected
from bot.core.kubernetes import KubernetesObject, ObjectRef, ResourceKind
from bot.core.site import ServiceTarget
from bot.workloads.objects import argocd_application, kinds
from bot.workloads.objects import run_markers as marks
from bot.workloads.objects.owners import ManagedBy, Owner
from bot.workloads.rollback import helm_history

_FLUX: Mapping[str, ResourceKind] = {one.title: one for one in (kinds.KUSTOMIZATION, kinds.HELMRELEASE)}
_RECONCILE, _APPLY = "kustomize.toolkit.fluxcd.io/reconcile", "kustomize.toolkit.fluxcd.io/ssa"


@dataclass(frozen=True, kw_only=True, slots=True)
class GitOpsConflict:
    """What becomes of a change. `message`: a sentence for the plan; `advice`: what a person does about it, a
    sentence.
    """

    refuses: bool  #: it would be taken back at once, or nobody can tell that it would not
    message: str
    advice: str = ""

    @property
    def refusal(self) -> str:
        """All of it, where it is refused."""
        return f"{self.message} Nothing was done. {self.advice}".rstrip()


def gitops_conflict_over(
    target: ServiceTarget, thing: KubernetesObject, owner: Owner, path: str, *, ref: ObjectRef | None = None
) -> GitOpsConflict | None:
    """What whoever keeps `thing` does about a change of that JSON path of it; None: nobody keeps it.

    `thing` is the site's workload, or what is at `ref`: an autoscaler of it. Only reads.
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
    """The Application that an owner is said to be; by Argo CD itself where the settings say where that is.

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
        return _unread(owner, target, "There is none.")
    if not argocd_application.names(application, thing, path):
        message = f"{owner} keeps {ref}, and git says nothing about {path}: the change stays."
        return GitOpsConflict(refuses=False, message=message)
    if argocd_application.is_skipped(application):
        message = (
            f"{owner} keeps {ref}, and is told to leave it alone ({argocd_application.SKIPPED}): the "
            "change stays until then."
        )
        return GitOpsConflict(refuses=False, message=message, advice=_git(path))
    return _by_policy(target, owner, application, path, ref)


def _by_policy(
    target: ServiceTarget, owner: Owner, application: KubernetesObject, path: str, ref: ObjectRef
) -> GitOpsConflict:
    if argocd_application.ignores(application, ref, path):
        if argocd_application.respects(application):
            return GitOpsConflict(
                refuses=False, message=f"{owner} keeps {ref}, and leaves {path} to others: the change stays."
            )
        message = f"{owner} keeps {ref} and does not look at {path}, but its next sync sets it to what git has."
        return GitOpsConflict(refuses=False, message=message, advice=_git(path))
    if argocd_application.heals_itself(application):
        message = f"{owner} keeps {ref} and heals itself: a change of {path} is taken back within seconds."
        todo = f"Say `autosync {target.service} off for 2h` first, or change it in git."
        return GitOpsConflict(refuses=True, message=message, advice=todo)
    if argocd_application.syncs_itself(application):
        message = f"{owner} keeps {ref}: the next change of git sets {path} back."
        return GitOpsConflict(refuses=False, message=message, advice=_git(path))
    message = (
        f"{owner} keeps {ref}, and syncs when somebody asks: it will be OutOfSync, and that sync sets {path} back."
    )
    return GitOpsConflict(refuses=False, message=message, advice=_git(path))


def _unread(owner: Owner, target: ServiceTarget, reason: str) -> GitOpsConflict:
    where = f"clusters.{target.cluster.name}.argocd"
    message = (
        f"By its mark it is kept by {owner}, which cannot be read, so that nobody can tell what it takes back. {reason}"
    )
    todo = f"Set {where}.url and .token, or {where}.namespace where it runs in this cluster and the bot may read it."
    return GitOpsConflict(refuses=True, message=message, advice=todo)


def _by_flux(target: ServiceTarget, thing: KubernetesObject, owner: Owner, path: str, ref: ObjectRef) -> GitOpsConflict:
    meta = thing.get("metadata") or {}
    marks = {**(meta.get("labels") or {}), **(meta.get("annotations") or {})}
    if marks.get(_RECONCILE) == "disabled" or marks.get(_APPLY) in ("Ignore", "IfNotPresent"):
        message = f"{owner} made {ref}, and is told on it to leave it alone: the change stays."
        return GitOpsConflict(refuses=False, message=message, advice=_git(path))
    kind = _FLUX[owner.kind]
    held = ObjectRef(kind=kind, namespace=owner.namespace or ref.namespace, name=owner.name)
    suspend = f"`flux suspend {kind.title.lower()} {held.name} -n {held.namespace}`"
    try:
        keeper = target.cluster.get(held)
    except Rejected as refused:
        reason = refused.message.removesuffix(" Nothing was done.")
        message = f"{owner} keeps {ref}, and cannot be read, so that nobody can tell whether it is suspended. {reason}"
        return GitOpsConflict(
            refuses=True, message=message, advice=f"Let the bot read {kind.plural}, or change it in git."
        )
    if keeper is None:
        message = f"By its labels {owner} keeps {ref}, and there is none: nobody can tell what takes it back."
        return GitOpsConflict(
            refuses=True, message=message, advice="Correct its labels, or change it where it comes from."
        )
    spec = keeper.get("spec") or {}
    if spec.get("suspend") is True:
        message = f"{owner} keeps {ref}, and is suspended: a change of {path} stays until it is resumed."
        return GitOpsConflict(refuses=False, message=message, advice=f"Before `flux resume`: {_git(path)}")
    message = f"{owner} keeps {ref}: a change of {path} is taken back{_when(kind, spec)}."
    return GitOpsConflict(refuses=True, message=message, advice=f"{suspend} first, or change it in git.")


def _when(kind: ResourceKind, spec: Mapping[str, object]) -> str:
    drift = spec.get("driftDetection")
    watches = kind is kinds.KUSTOMIZATION or (isinstance(drift, dict) and drift.get("mode") == "enabled")
    if not watches:
        return " by its next upgrade"
    return f" within {spec['interval']}" if spec.get("interval") else " soon"


def _by_operator(owner: Owner, path: str, ref: ObjectRef) -> GitOpsConflict:
    message = f"{ref} is made by {owner}: a change of {path} is taken back by that."
    return GitOpsConflict(
        refuses=True, message=message, advice=f"Change {owner.kind} {owner.name}, of which it is made."
    )


def _by_helm(thing: KubernetesObject, owner: Owner, path: str, ref: ObjectRef) -> GitOpsConflict:
    field = path.replace("/", ".")
    if marks.appliers_of(thing, *path.strip("/").split("/")):
        message = f"{owner} keeps {field} of {ref} by server-side apply: while this stands, its next `helm upgrade` or"
        message += " rollback stops half-way at a conflict over it, unless that is forced, or the values say the same."
        return GitOpsConflict(refuses=False, message=message, advice="`undo` gives the field back.")
    if marks.applies(thing, helm_history.MANAGER):  # Whoever wrote the field last has taken it from Helm.
        who = marks.owner_name_of_field(thing, *path.strip("/").split("/"))
        message = f"{owner} keeps {ref} by server-side apply, and {field} is held by {who}: its next `helm upgrade` or"
        message += f" rollback stops half-way at a conflict if it says another {field}, unless that is forced."
        return GitOpsConflict(refuses=False, message=message, advice="Put it into the values of the release as well.")
    message = f"{owner} made {ref}: its next `helm upgrade` or rollback may set {field} back."
    return GitOpsConflict(refuses=False, message=message, advice="Put it into the values of the release as well.")


def _git(path: str) -> str:
    return f"Change {path} in git too, or it comes back."
