"""The settings section of templates: what stands in titles, cards and pages of a source or a service."""

from __future__ import annotations

from importlib import import_module
from typing import Annotated

from pydantic import AfterValidator, Field

from bot.lib.settings_fields import Section
from bot.notifications.templates import NAMES


def _usable(text: str) -> str:
    """Jinja is loaded only where there is a template."""
    import_module("bot.lib.sandboxed_template").SandboxedTemplate(text, names=NAMES)
    return text


TemplateText = Annotated[str, Field(min_length=1, max_length=4000), AfterValidator(_usable)]


class TemplatesSettings(Section):
    """Templates in Jinja's syntax; see docs/operating.md for their values."""

    title: TemplateText | None = Field(None, description="The incident's title, in lists, cards and pages.")
    card: TemplateText | None = Field(None, description="The text of the card, instead of the alert's description.")
    page: TemplateText | None = Field(None, description="The summary of the page, instead of the title.")
