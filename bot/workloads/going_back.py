"""Which way a workload goes back to an older revision: whoever keeps it decides, and then what kind it is."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from bot.clusters import Kind
from bot.ports import Rejected
from bot.workloads import gitops, kinds
from bot.workloads.back_argocd import ByArgoCd
from bot.workloads.back_deployment import ByReplicaSet
from bot.workloads.back_helm import ByHelm
from bot.workloads.back_revisions import ByControllerRevision
from bot.workloads.back_rollout import ByRollout
from bot.workloads.owners import By
from bot.workloads.ways import Case, Way

_ALL: tuple[Way, ...] = (ByReplicaSet(), ByControllerRevision(), ByRollout(), ByArgoCd(), ByHelm())
#: Every way there is, by its name.
WAYS: Mapping[str, Way] = {way.name: way for way in _ALL}

_BY_OWNER: Mapping[By, str] = {By.ARGOCD: "argocd", By.HELM: "helm"}  #: Flux and operators have none
_BY_KIND: Mapping[Kind, str] = {
    kinds.DEPLOYMENT: "deployment",
    kinds.STATEFULSET: "revisions",
    kinds.DAEMONSET: "revisions",
    kinds.ROLLOUT: "rollout",
}
#: What a person does where there is no way.
_BY_HAND = {
    By.ARGOCD: "roll the application back in Argo CD, or revert its commit",
    By.FLUX: "revert the commit in git, or suspend it first (`flux suspend`) and ask again",
    By.HELM: "`helm history`, then `helm rollback`",
    By.OPERATOR: "go back in the object that the operator reads",
    By.NOBODY: "`kubectl rollout undo`, or deploy the older version",
}


def way_for(case: Case) -> Way:
    """Raises `Rejected` where there is none: what a person can do instead."""
    by, workload = case.owner.by, case.site.workload
    itself = by is By.NOBODY or bool(_suspended(case))
    name = _BY_KIND.get(workload.kind, "") if itself else _BY_OWNER.get(by, "")
    if name in WAYS:
        return WAYS[name]
    said = f"{workload} is kept by {case.owner}, which takes back what others do to it."
    if by is By.NOBODY:
        said = f"The bot knows no way back for a {workload.kind.title}."
    raise Rejected(f"{said} Nothing was done. By hand: {_BY_HAND[by]}.", code="no_way", status=HTTPStatus.CONFLICT)


def check_wishes(case: Case, way: Way) -> None:
    """Raises `Rejected` for what only Helm's way can do."""
    if way.name == ByHelm.name or not (case.keep or case.force):
        return
    said = f"{case.site.workload} does not go back by Helm: its replicas stay as they are, and nothing is forced."
    raise Rejected(f"{said} Nothing was done. Leave out `replicas` and `conflicts`.", code="not_helm", status=400)


def why(case: Case) -> str:
    """Why it goes by that way: a sentence."""
    if case.owner.by is By.NOBODY:
        return f"Nobody else keeps {case.site.workload}, so it goes back by itself, to a revision that it still has."
    suspended = _suspended(case)
    if suspended:
        return f"{suspended} So it goes back by itself, to a revision that it still has."
    return f"{case.site.workload} is kept by {case.owner}, so it goes back by that."


def _suspended(case: Case) -> str:
    """What is to be said where Flux does not keep it for now; "" where it does, or nobody can tell."""
    if case.owner.by is not By.FLUX:
        return ""
    fight = gitops.fight_over(case.site, case.thing, case.owner, "/spec/template")
    return "" if fight is None or fight.refuse else fight.said
