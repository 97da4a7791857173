"""PagerDuty on the bench."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from pydantic import SecretStr

from bot.core.incident import EventType
from bot.integrations.pagerduty.channel import PagerDuty
from bot.integrations.pagerduty.settings import PagerDutySettings
from tests.fakes.door import ANA, SmallDoor
from tests.fakes.pagerduty import API_TOKEN, ROUTING_KEY, WEBHOOK_SECRET, FakePagerDuty
from tests.integrations.contract import INCIDENT, Act, Bench, incident, page

PAGE_KEY = incident().page_key

_REFUSAL = {"status": "invalid event", "message": f"Event of {ROUTING_KEY} is invalid", "errors": []}


def section(fake: FakePagerDuty, **changed: Any) -> PagerDutySettings:
    """The settings that point at that fake."""
    told: dict[str, Any] = {
        "routing_key": SecretStr(ROUTING_KEY),
        "webhook_secrets": (SecretStr(WEBHOOK_SECRET),),
        "events_url": fake.url,
        "api_url": fake.url,
    }
    return PagerDutySettings(**{**told, **changed})


class PagerDutyBench(Bench):
    secrets = (ROUTING_KEY, ROUTING_KEY[-8:], API_TOKEN, WEBHOOK_SECRET)
    #: What was acknowledged in PagerDuty has happened there, whoever it was; see `PagerDuty._principal`.
    refuses_strangers = False

    def __init__(self, fake: FakePagerDuty) -> None:
        self.fake = fake
        self.door = SmallDoor(people={("pagerduty", "PANA"): ANA}, paged={PAGE_KEY: INCIDENT})
        self.channel = PagerDuty(section(fake, api_token=SecretStr(API_TOKEN)))

    def genuine(self, body: bytes) -> Act:
        headers, body = self.fake.sign(body)
        return Act(headers=headers, body=body)

    def act(self, *, listed: bool, once: str) -> Act:
        self.channel.deliver(page(EventType.OPENED))
        agent = ("PANA", "Ana") if listed else ("PBOB", "Bob")
        headers, body = self.fake.webhook("incident.acknowledged", PAGE_KEY, agent=agent, event_id=once)
        return Act(headers=headers, body=body)

    def standing(self) -> list[str]:
        return [alert.summary for alert in self.fake.alerts if alert.status != "resolved"]

    def answer_next(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.fake.answer_next(status=status, body=body, headers=headers, path="/v2/enqueue")

    def fail_next(self, trouble: str) -> None:
        told: dict[str, dict[str, Any]] = {
            "slow_down": {"status": 429, "retry_after": 7},
            "refusal": {"status": 400, "body": json.dumps(_REFUSAL).encode()},
            "failure": {"status": 503, "body": f"<html>{ROUTING_KEY}</html>".encode()},
            "reset": {"reset": True},
            "hang": {"hang": True},
            "lost_answer": {"reset": True, "after_effect": True},
        }
        self.fake.answer_next(**told[trouble])


@contextmanager
def open_pagerduty(patch: pytest.MonkeyPatch) -> Iterator[PagerDutyBench]:
    patch.setattr("bot.integrations.pagerduty.channel._SEND_S", 2.0)
    with FakePagerDuty() as fake:
        yield PagerDutyBench(fake)
