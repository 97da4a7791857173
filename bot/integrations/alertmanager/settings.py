"""The settings' section about Alertmanager."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import Field, model_validator

from bot.core.alert import Severity
from bot.core.severity_words import USUAL_SEVERITIES, fold
from bot.lib.settings_fields import Address, Mistake, PlugSection, Secret, path_mistake, text_of
from bot.notifications.template_settings import TemplatesSettings

_MIB = 1024 * 1024
_SMALL_BODY = 64 * 1024


class AlertmanagerSettings(PlugSection):
    """Alerts from Prometheus Alertmanager's webhook."""

    tokens: tuple[Secret, ...] = Field(min_length=1, description="Accepted bearer tokens; two while you rotate.")
    api_url: Address | None = Field(None, description="Alertmanager's own address, to read alerts and silence them.")
    api_token: Secret | None = Field(None, description="Bearer token for api_url; with api_user, that user's password.")
    api_user: str | None = Field(None, min_length=1, description="User for api_url, if it needs basic auth.")
    severity: Mapping[str, Severity] = Field(
        USUAL_SEVERITIES,
        description="Value of a severity label -> critical, error, warning or info; adds to the usual ones.",
    )
    severity_labels: tuple[str, ...] = Field(
        ("severity", "priority", "level"), description="Labels with the severity; the first with a known word counts."
    )
    unknown_severity: Severity = Field(
        Severity.ERROR,
        description="Severity of alerts whose own severity is a word that is not known; it is told once a day."
        " An alert without such a label is a warning.",
    )
    templates: TemplatesSettings | None = None
    max_body: int = Field(
        16 * _MIB, gt=0, le=256 * _MIB, description="Largest accepted body, in bytes, after decompression."
    )

    @model_validator(mode="before")
    @classmethod
    def _usual_severities_too(cls, given: Any) -> Any:
        if isinstance(given, Mapping) and isinstance(given.get("severity"), Mapping):
            own = {fold(str(word)): severity for word, severity in given["severity"].items()}
            return {**given, "severity": {**USUAL_SEVERITIES, **own}}
        return given

    @classmethod
    def mistakes(cls, given: Mapping[str, object]) -> Iterator[Mistake]:
        yield from path_mistake(given, "api_url", "/api/v1", "/api/v2")

    @classmethod
    def doubts(cls, given: Mapping[str, object]) -> Iterator[Mistake]:
        if given.get("severity_labels") == []:
            yield ("severity_labels",), "is empty, so no alert has a severity; leave this key out for the usual labels"
        body = given.get("max_body")
        if isinstance(body, int) and body < _SMALL_BODY:
            yield ("max_body",), "is in bytes, and so little that usual deliveries are refused and lost"
        unused = [key for key in ("api_token", "api_user") if text_of(given, key) and not text_of(given, "api_url")]
        if unused:
            yield (unused[0],), "has no effect without api_url; add Alertmanager's address, or leave this key out"
            return
        if text_of(given, "api_user") and not text_of(given, "api_token"):
            yield ("api_user",), "needs api_token, which is that user's password"
