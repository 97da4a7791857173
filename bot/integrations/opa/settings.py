"""The settings' section about Open Policy Agent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta

from pydantic import Field

from bot.lib.settings_fields import Address, Mistake, Seconds, Secret, Section, path_mistake, text_of


class OpaSettings(Section):
    """Open Policy Agent as a second policy for actions: an action needs its permission as well."""

    url: Address = Field(description="http://opa:8181")
    path: str = Field(
        "vakhta/decision",
        pattern=r"^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*$",
        description="Path of the document under /v1/data.",
        json_schema_extra={"patternErrorMessage": "must be names joined by slashes, such as vakhta/decision"},
    )
    token: Secret | None = Field(None, description="Bearer token, if it needs one.")
    timeout: Seconds = Field(
        timedelta(seconds=2),
        description="Seconds to wait for a connection, and again for the answer.",
        json_schema_extra={"default": 2},
    )

    @classmethod
    def mistakes(cls, given: Mapping[str, object]) -> Iterator[Mistake]:
        yield from path_mistake(given, "url", "/v1/data", "/v1")
        path = text_of(given, "path")
        if path.strip("/").startswith("v1/data"):
            yield ("path",), "must be the path below /v1/data, such as vakhta/decision"
        elif path.startswith("data."):
            yield ("path",), "must have slashes and not begin with data., such as vakhta/decision"

    @classmethod
    def doubts(cls, given: Mapping[str, object]) -> Iterator[Mistake]:
        path = text_of(given, "path")
        if "." in path and "/" not in path:
            yield ("path",), "has dots and no slash; the package vakhta.decision is at vakhta/decision"
