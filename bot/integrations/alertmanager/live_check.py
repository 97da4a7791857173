"""What `vakhta check --live` asks Alertmanager: whether its API answers with these credentials. It only reads."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from bot.core.live_check import LiveAnswer, LiveQuestion, not_asked, ok
from bot.integrations.alertmanager.client import api_of
from bot.integrations.alertmanager.settings import AlertmanagerSettings
from bot.integrations.http_live import answered, unreadable
from bot.lib.redact import shown

_TOKENS = "Alertmanager sends one of these with its alerts and cannot be asked for it"


class AlertmanagerLiveCheck:
    """GET /api/v2/status."""

    section = AlertmanagerSettings

    def questions(self, section: AlertmanagerSettings, place: str) -> Sequence[LiveQuestion]:  # noqa: ARG002
        asked = [LiveQuestion(key="tokens", ask=partial(not_asked, _TOKENS))]
        if section.api_url is not None:
            asked.append(LiveQuestion(key="api_url", ask=partial(answered, "Alertmanager", partial(_ask, section))))
        return asked


def _ask(section: AlertmanagerSettings) -> LiveAnswer:
    status = api_of(section).get("GET", "/status")
    info = status.get("versionInfo") if isinstance(status, dict) else None
    if not isinstance(info, dict):
        return unreadable("Alertmanager", "sources.alertmanager.api_url")
    return ok(f"Alertmanager {shown(str(info.get('version')), 40)} answers")
