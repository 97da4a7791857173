"""The sections of the settings that tools are made from."""

from __future__ import annotations

from datetime import timedelta

from pydantic import Field

from bot.lib.settings_fields import Address, Seconds, Secret, Section


class MetricsSettings(Section):
    """The Prometheus that is asked whether all is well."""

    url: Address = Field(description="Prometheus, or what answers /api/v1/query like it.")
    token: Secret | None = Field(None, description="Bearer token, where it asks for one.")
    timeout: Seconds = Field(
        timedelta(seconds=5),
        description="Seconds after which no answer is none.",
        json_schema_extra={"default": 5},
    )
