"""The settings section of a store that says where the programs of its backup tool run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, model_validator

from bot.lib.settings_fields import Section

LOCAL = "local"


class JobSettings(Section):
    """A Kubernetes Job for each call, with a fixed image."""

    cluster: str = Field(min_length=1, description="A name under `clusters`.")
    namespace: str = Field(min_length=1)
    image: str = Field(min_length=1, description="The image that has the programs, best by digest.")


class RunSettings(Section):
    """Where programs run: `local`, or a Job."""

    job: JobSettings | None = None

    @model_validator(mode="before")
    @classmethod
    def _local(cls, given: Any) -> Any:
        if given == LOCAL:
            return {}
        if not isinstance(given, Mapping):
            raise ValueError("must be local, or {job: ...}")  # noqa: TRY004 (pydantic's exception for a fault)
        return given
