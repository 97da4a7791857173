"""What `vakhta check --live` asks a cluster: who the bot is there. `check --cluster` asks for its permissions."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from http import HTTPStatus

from bot.core.errors import Rejected
from bot.core.live_check import LiveAnswer, LiveQuestion, fault, no_answer, ok
from bot.integrations.kubernetes.client import KubernetesClient
from bot.integrations.kubernetes.errors import ApiErrorKind
from bot.integrations.kubernetes.settings import ClusterSettings
from bot.lib.redact import shown

_REFUSALS = frozenset({ApiErrorKind.NO_ENTRY, ApiErrorKind.REFUSED, ApiErrorKind.DENIED})


class KubernetesLiveCheck:
    """A SelfSubjectReview, which every authenticated user may make."""

    section = ClusterSettings

    def questions(self, section: ClusterSettings, place: str) -> Sequence[LiveQuestion]:
        name = place.rpartition(".")[2]
        return [LiveQuestion(key="kubeconfig", ask=partial(_ask, KubernetesClient(name, section)))]


def _ask(cluster: KubernetesClient) -> LiveAnswer:
    try:
        user = cluster.whoami()
    except Rejected as refused:
        message = refused.message.replace(" Nothing was done.", "")
        return fault(message) if _is_own_refusal(refused) else no_answer(message)
    who = f"the bot is {shown(user, 120)}" if user else "the cluster answers, and does not say who the bot is"
    return ok(f"{who}; `vakhta check --cluster` asks for its permissions")


def _is_own_refusal(refused: Rejected) -> bool:
    """Whether the cluster said so: a proxy before it answers 5xx, or a 403 without Kubernetes' own words."""
    if refused.code == "bad_kubeconfig":
        return True
    if refused.status == HTTPStatus.FORBIDDEN and "forbidden:" not in refused.message:
        return False
    return refused.code in _REFUSALS and refused.status < HTTPStatus.INTERNAL_SERVER_ERROR
