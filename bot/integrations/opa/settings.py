"""The settings' section about Open Policy Agent."""

from __future__ import annotations

from datetime import timedelta

from pydantic import Field

from bot.lib.settings_fields import Address, Seconds, Secret, Section


class OpaSettings(Section):
    """Open Policy Agent as a second policy for actions: an action needs its permission as well."""

    url: Address = Field(description="http://opa:8181")
    path: str = Field(
        "vakhta/decision",
        pattern=r"^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*$",
        description="Path of the document under /v1/data.",
    )
    token: Secret | None = Field(None, description="Bearer token, if it needs one.")
    timeout: Seconds = Field(
        timedelta(seconds=2),
        description="Seconds to wait for a connection, and again for the answer.",
        json_schema_extra={"default": 2},
    )
