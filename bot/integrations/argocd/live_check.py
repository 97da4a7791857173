"""What `vakhta check --live` asks Argo CD: whose token it is. It only reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from bot.core.live_check import LiveAnswer, LiveQuestion, fault, ok
from bot.integrations.argocd.client import api_of
from bot.integrations.argocd.settings import ArgoCdSettings
from bot.integrations.http_live import answered, unreadable
from bot.lib.redact import shown


class ArgoCdLiveCheck:
    """GET /api/v1/session/userinfo."""

    section = ArgoCdSettings

    def questions(self, section: ArgoCdSettings, place: str) -> Sequence[LiveQuestion]:
        if section.url is None:
            return []
        return [LiveQuestion(key="token", ask=partial(answered, "Argo CD", partial(_ask, section, f"{place}.url")))]


def _ask(section: ArgoCdSettings, key: str) -> LiveAnswer:
    answer = api_of(section).get("GET", "/session/userinfo")
    if not isinstance(answer, Mapping):
        return unreadable("Argo CD", key)
    if answer.get("loggedIn") is not True:
        return fault("Argo CD does not know the token. Make one with `argocd account generate-token --account vakhta`.")
    return ok(f"the bot is {shown(str(answer.get('username')), 80)} in Argo CD")
