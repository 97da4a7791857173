"""Chooses how a workload is rolled back: by the tool that manages it, otherwise by its kind."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from bot.core.errors import Rejected
from bot.core.kubernetes import ResourceKind
from bot.workloads.gitops import conflict
from bot.workloads.objects import kinds
from bot.workloads.objects.owners import ManagedBy
from bot.workloads.objects.strategy import Strategy, StrategyRequest
from bot.workloads.rollback.argo_rollout import ArgoRolloutRollback
from bot.workloads.rollback.argocd import ArgoCdRollback
from bot.workloads.rollback.deployment import ReplicaSetRollback
from bot.workloads.rollback.helm import HelmRollback
from bot.workloads.rollback.stateful_set import ControllerRevisionRollback

_ALL: tuple[Strategy, ...] = (
    ReplicaSetRollback(),
    ControllerRevisionRollback(),
    ArgoRolloutRollback(),
    ArgoCdRollback(),
    HelmRollback(),
)
#: All strategies by name.
STRATEGIES: Mapping[str, Strategy] = {one.name: one for one in _ALL}

_BY_OWNER: Mapping[ManagedBy, str] = {
    ManagedBy.ARGOCD: "argocd",
    ManagedBy.HELM: "helm",
}  #: Flux and operators have no rollback
_BY_KIND: Mapping[ResourceKind, str] = {
    kinds.DEPLOYMENT: "deployment",
    kinds.STATEFULSET: "revisions",
    kinds.DAEMONSET: "revisions",
    kinds.ROLLOUT: "rollout",
}
#: What a person can do if there is no strategy.
_BY_HAND = {
    ManagedBy.ARGOCD: "roll the application back in Argo CD, or revert its commit",
    ManagedBy.FLUX: "revert the commit in git, or suspend it first (`flux suspend`) and ask again",
    ManagedBy.HELM: "`helm history`, then `helm rollback`",
    ManagedBy.OPERATOR: "roll back the object that the operator reads",
    ManagedBy.NOBODY: "`kubectl rollout undo`, or deploy the older version",
}


def strategy_for(request: StrategyRequest) -> Strategy:
    """Raises `Rejected` if there is none, with what a person can do instead."""
    by, workload = request.owner.by, request.site.workload
    itself = by is ManagedBy.NOBODY or bool(_suspended(request))
    name = _BY_KIND.get(workload.kind, "") if itself else _BY_OWNER.get(by, "")
    if name in STRATEGIES:
        return STRATEGIES[name]
    message = f"{workload} is managed by {request.owner}, which reverts the changes of others."
    if by is ManagedBy.NOBODY:
        message = f"The bot cannot roll back a {workload.kind.title}."
    raise Rejected(f"{message} Nothing was done. By hand: {_BY_HAND[by]}.", code="no_way", status=HTTPStatus.CONFLICT)


def check_options(request: StrategyRequest, strategy: Strategy) -> None:
    """Raises `Rejected` for options that only Helm's strategy supports."""
    if strategy.name == HelmRollback.name or not (request.keep_replicas or request.force):
        return
    message = f"{request.site.workload} is not rolled back by Helm: its replicas stay, and no conflict is forced."
    raise Rejected(f"{message} Nothing was done. Leave out `replicas` and `conflicts`.", code="not_helm", status=400)


def reason(request: StrategyRequest) -> str:
    """Why it is rolled back by that strategy: a sentence."""
    if request.owner.by is ManagedBy.NOBODY:
        return f"No other tool manages {request.site.workload}, so one of its own revisions is restored."
    suspended = _suspended(request)
    if suspended:
        return f"{suspended} So one of its own revisions is restored."
    return f"{request.site.workload} is managed by {request.owner}, so {request.owner.by} rolls it back."


def _suspended(request: StrategyRequest) -> str:
    """The sentence for a Flux that is suspended; "" if it is active or unknown."""
    if request.owner.by is not ManagedBy.FLUX:
        return ""
    found = conflict.gitops_conflict_over(request.site, request.workload, request.owner, "/spec/template")
    return "" if found is None or found.refuses else found.message
