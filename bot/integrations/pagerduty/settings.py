"""The settings' section about PagerDuty."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from bot.core.alert import Severity
from bot.lib.settings_fields import Address, ChannelSection, Secret


class PagerDutySettings(ChannelSection):
    """One PagerDuty service: pages out by Events v2, what people do there in by webhooks v3."""

    called: ClassVar[str] = "PagerDuty"

    routing_key: Secret = Field(description="Integration key (Events API v2) of the service.")
    api_token: Secret | None = Field(None, description="REST API token, to look incidents up.")
    webhook_secrets: tuple[Secret, ...] = Field((), description="Signing secrets of the webhook; two while you rotate.")
    events_url: Address = "https://events.pagerduty.com"
    api_url: Address = "https://api.pagerduty.com"
    severities: tuple[Severity, ...] = Field(tuple(Severity), description="Which severities page somebody.")

    @property
    def summary(self) -> str:
        return ", ".join(self.severities)
