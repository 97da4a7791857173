"""What `vakhta check --live` asks Prometheus: whether it evaluates an expression, and those of the services."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from bot.core.live_check import LiveAnswer, LiveQuestion, ok
from bot.integrations.http import HttpApi
from bot.integrations.http_live import answered, unreadable
from bot.integrations.prometheus.settings import MetricsSettings

_ALWAYS = "vector(1)"


class PrometheusLiveCheck:
    """POST /api/v1/query, which is what the bot itself calls."""

    section = MetricsSettings

    def questions(self, section: MetricsSettings, place: str) -> Sequence[LiveQuestion]:  # noqa: ARG002 (one of them)
        return [LiveQuestion(key="url", ask=partial(ask_expression, section, _ALWAYS, "Prometheus answers"))]


def ask_expression(section: MetricsSettings, expression: str, good: str) -> LiveAnswer:
    """Whether Prometheus can evaluate it, whatever its value is. `good`: the text if it can."""

    def ask() -> LiveAnswer:
        timeout = f"{int(section.timeout.total_seconds())}s"
        api = HttpApi(section.url.rstrip("/") + "/api/v1", called="Prometheus", token=section.token)
        answer = api.get("POST", "/query", query=[("query", expression), ("timeout", timeout)])
        if not isinstance(answer, dict) or answer.get("status") != "success":
            return unreadable("Prometheus", "metrics.url")
        return ok(good)

    return answered("Prometheus", ask)
