"""Sections of the settings below `incidents`: what pages again, and when an incident flaps."""

from __future__ import annotations

from datetime import timedelta

from pydantic import Field

from bot.lib.settings_fields import Minutes, Section


class PageAgainSettings(Section):
    """When an acknowledged incident pages again: its acknowledgement covers what was known when it was given."""

    factor: float = Field(
        2,
        ge=1,
        le=1000,
        description="It pages again when this many times the alerts fire that did when acknowledged ...",
    )
    at_least: int = Field(3, ge=1, le=100_000, description="... and at least this many more.")
    later: Minutes = Field(
        timedelta(minutes=60),
        description="It pages again for a firing that began more than this many minutes after the acknowledgement.",
        json_schema_extra={"default": 60},
    )


class FlappingSettings(Section):
    """When an incident that its alerts reopen again and again is held open instead."""

    reopenings: int = Field(
        3, ge=0, le=100, description="An incident flaps after this many reopenings by its alerts; 0 switches this off."
    )
    within: Minutes = Field(
        timedelta(minutes=60),
        description="Minutes within which those reopenings count.",
        json_schema_extra={"default": 60},
    )
    quiet: Minutes = Field(
        timedelta(minutes=15),
        description="An incident that flaps is resolved when nothing has fired for this many minutes.",
        json_schema_extra={"default": 15},
    )
