"""Which way a workload goes back to an older revision: whoever keeps it decides, and then what kind it is."""

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
#: Every way there is, by its name.
STRATEGIES: Mapping[str, Strategy] = {way.name: way for way in _ALL}

_BY_OWNER: Mapping[ManagedBy, str] = {
    ManagedBy.ARGOCD: "argocd",
    ManagedBy.HELM: "helm",
}  #: Flux and operators have none
_BY_KIND: Mapping[ResourceKind, str] = {
    kinds.DEPLOYMENT: "deployment",
    kinds.STATEFULSET: "revisions",
    kinds.DAEMONSET: "revisions",
    kinds.ROLLOUT: "rollout",
}
#: What a person does where there is no way.
_BY_HAND = {
    ManagedBy.ARGOCD: "roll the application back in Argo CD, or revert its commit",
    ManagedBy.FLUX: "revert the commit in git, or suspend it first (`flux suspend`) and ask again",
    ManagedBy.HELM: "`helm history`, then `helm rollback`",
    ManagedBy.OPERATOR: "go back in the object that the operator reads",
    ManagedBy.NOBODY: "`kubectl rollout undo`, or deploy the older version",
}


def strategy_for(request: StrategyRequest) -> Strategy:
    """Raises `Rejected` where there is none: what a person can do instead."""
    by, workload = request.owner.by, request.site.workload
    itself = by is ManagedBy.NOBODY or bool(_suspended(request))
    name = _BY_KIND.get(workload.kind, "") if itself else _BY_OWNER.get(by, "")
    if name in STRATEGIES:
        return STRATEGIES[name]
    message = f"{workload} is kept by {request.owner}, which takes back what others do to it."
    if by is ManagedBy.NOBODY:
        message = f"The bot knows no way back for a {workload.kind.title}."
    raise Rejected(f"{message} Nothing was done. By hand: {_BY_HAND[by]}.", code="no_way", status=HTTPStatus.CONFLICT)


def check_options(request: StrategyRequest, strategy: Strategy) -> None:
    """Raises `Rejected` for what only Helm's way can do."""
    if strategy.name == HelmRollback.name or not (request.keep_replicas or request.force):
        return
    message = f"{request.site.workload} does not go back by Helm: its replicas stay as they are, and nothing is forced."
    raise Rejected(f"{message} Nothing was done. Leave out `replicas` and `conflicts`.", code="not_helm", status=400)


def why(request: StrategyRequest) -> str:
    """Why it goes by that way: a sentence."""
    if request.owner.by is ManagedBy.NOBODY:
        return f"Nobody else keeps {request.site.workload}, so it goes back by itself, to a revision that it still has."
    suspended = _suspended(request)
    if suspended:
        return f"{suspended} So it goes back by itself, to a revision that it still has."
    return f"{request.site.workload} is kept by {request.owner}, so it goes back by that."


def _suspended(request: StrategyRequest) -> str:
    """What is to be said where Flux does not keep it for now; "" where it does, or nobody can tell."""
    if request.owner.by is not ManagedBy.FLUX:
        return ""
    fight = conflict.gitops_conflict_over(request.site, request.workload, request.owner, "/spec/template")
    return "" if fight is None or fight.refuses else fight.message
