"""What `vakhta check --live` asks PagerDuty. Nothing here can page.

The routing key is not asked for: Events v2 takes it only with an event, and a rule of the account's event orchestration
may turn any event into a page.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from pydantic import SecretStr

from bot.core.errors import Undelivered
from bot.core.live_check import LiveAnswer, LiveQuestion, failed, not_asked, ok
from bot.integrations.pagerduty.channel import PagerDuty
from bot.integrations.pagerduty.settings import PagerDutySettings

_KEY = "PagerDuty takes a routing key only with an event, which may page; try it with `page` when somebody is awake"
_WEBHOOKS = (
    "PagerDuty signs its webhooks with this secret and cannot be asked for it; send a test from the subscription"
)
_REMEDY = "Set channels.pagerduty.api_token to a REST API key (read-only is enough) of the same account and region."


class PagerDutyLiveCheck:
    """The REST API's token is asked for what the bot reads with it: incidents."""

    section = PagerDutySettings

    def questions(self, section: PagerDutySettings, place: str) -> Sequence[LiveQuestion]:  # noqa: ARG002 (one of them)
        asked = [LiveQuestion(key="routing_key", ask=partial(not_asked, _KEY))]
        if section.api_token is not None:
            asked.append(LiveQuestion(key="api_token", ask=partial(_ask_token, section, section.api_token)))
        if section.webhook_secrets:
            asked.append(LiveQuestion(key="webhook_secrets", ask=partial(not_asked, _WEBHOOKS)))
        return asked


def _ask_token(section: PagerDutySettings, token: SecretStr) -> LiveAnswer:
    channel = PagerDuty(section)
    try:
        channel.read_an_incident(token.get_secret_value())
    except Undelivered as error:
        remedy = f" {_REMEDY}" if error.permanent else ""
        return failed("PagerDuty", f"{error.message}{remedy}", refused=error.permanent)
    finally:
        channel.stop()
    return ok("the REST API lets the bot read incidents")
