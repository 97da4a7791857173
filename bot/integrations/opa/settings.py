"""The settings' section about Open Policy Agent."""

from __future__ import annotations

from datetime import timedelta

from pydantic import Field

from bot.lib.settings_fields import Address, Seconds, Secret, Section


class OpaSettings(Section):
    """Open Policy Agent as a second opinion on actions: it can say no, and without its yes nothing is done."""

    url: Address = Field(description="http://opa:8181")
    path: str = Field(
        "vakhta/decision",
        pattern=r"^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*$",
        description="Of the document under /v1/data.",
    )
    token: Secret | None = Field(None, description="Bearer token, where it asks for one.")
    timeout: Seconds = Field(
        timedelta(seconds=2),
        description="Seconds to wait for a connection, and again for the answer.",
        json_schema_extra={"default": 2},
    )
