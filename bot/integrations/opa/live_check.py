"""What `vakhta check --live` asks Open Policy Agent: its health, and whether there is a policy. It only reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from bot.core.live_check import LiveAnswer, LiveQuestion, fault, ok
from bot.integrations.http import HttpApi
from bot.integrations.http_live import answered, unreadable
from bot.integrations.opa.settings import OpaSettings


class OpaLiveCheck:
    """GET /health, and GET of the document, which is evaluated without an input."""

    section = OpaSettings

    def questions(self, section: OpaSettings, place: str) -> Sequence[LiveQuestion]:  # noqa: ARG002 (one of them)
        return [
            LiveQuestion(key="url", ask=partial(answered, "Open Policy Agent", partial(_ask_health, section))),
            LiveQuestion(key="path", ask=partial(answered, "Open Policy Agent", partial(_ask_policy, section))),
        ]


def _ask_health(section: OpaSettings) -> LiveAnswer:
    if not isinstance(_api(section).get("GET", "/health"), Mapping):
        return unreadable("Open Policy Agent", "opa.url")
    return ok("Open Policy Agent is healthy")


def _ask_policy(section: OpaSettings) -> LiveAnswer:
    answer = _api(section).get("GET", f"/v1/data/{section.path}")
    if not isinstance(answer, Mapping):
        return unreadable("Open Policy Agent", "opa.url")
    if "result" not in answer:
        return fault(f"Nothing is defined at {section.path}: load the policy, give it a default, or correct opa.path.")
    return ok(f"a policy is defined at {section.path}")


def _api(section: OpaSettings) -> HttpApi:
    return HttpApi(section.url, called="Open Policy Agent", token=section.token, timeout=section.timeout)
