"""The settings' section about Prometheus."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta

from pydantic import Field

from bot.lib.settings_fields import Address, Mistake, Seconds, Secret, Section, path_mistake


class MetricsSettings(Section):
    """The Prometheus that evaluates the services' checks."""

    url: Address = Field(description="Address of Prometheus, or of an API with the same /api/v1/query.")
    token: Secret | None = Field(None, description="Bearer token, if it needs one.")
    timeout: Seconds = Field(
        timedelta(seconds=5),
        description="Seconds to wait for an answer.",
        json_schema_extra={"default": 5},
    )

    @classmethod
    def mistakes(cls, given: Mapping[str, object]) -> Iterator[Mistake]:
        yield from path_mistake(given, "url", "/api/v1", "/graph")
