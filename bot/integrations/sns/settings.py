"""The settings' section about Amazon SNS."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, Field

from bot.core.alert import Severity
from bot.lib.settings_fields import PlugSection
from bot.notifications.template_settings import TemplatesSettings

_ARN = re.compile(r"arn:aws[a-z-]{0,20}:sns:[a-z0-9-]{1,32}:[0-9]{12}:[A-Za-z0-9_-]{1,256}")


def _topic(arn: str) -> str:
    if arn.endswith(".fifo"):
        raise ValueError("is a FIFO topic, and those cannot send over HTTP")
    if not _ARN.fullmatch(arn):
        raise ValueError("must be the ARN of a topic, such as arn:aws:sns:eu-central-1:123456789012:alarms")
    return arn


_Topic = Annotated[str, AfterValidator(_topic)]


class SnsSettings(PlugSection):
    """Alerts from Amazon SNS: CloudWatch's alarms, and any other messages of a topic."""

    templates: TemplatesSettings | None = None
    topics: tuple[_Topic, ...] = Field((), description="ARNs of the topics that may send; without any, SNS is off.")
    severity: Mapping[str, Severity] = Field(
        {},
        description="Glob of TOPIC/ALARM (names) -> critical, error, warning or info; the first match counts.",
    )

    @property
    def on(self) -> bool:
        return bool(self.topics)

    @property
    def summary(self) -> str:
        return ", ".join(arn.rpartition(":")[2] for arn in self.topics)
