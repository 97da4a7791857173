"""Texts of messages by the settings' templates: an incident's title, the text of its card, the summary of its page.

A template of the alert's service comes before one of its source; where neither has one, or it cannot be filled in, the
usual text is used. The promise: no template can lose an alert or a page.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from bot.core.alert import Severity
from bot.notifications.alert_texts import description_of, name_of, summary_of, value_of
from bot.notifications.places import PLACE_ORDER, where

logger = logging.getLogger(__name__)

#: The values that a template may use.
NAMES = (
    "name", "where", "summary", "description", "value", "severity", "service", "source", "labels", "annotations",
)  # fmt: skip
TITLE, CARD, PAGE = "title", "card", "page"
_LOGGED = 100

#: Renders values into at most so many characters; raises ValueError where it cannot.
Render = Callable[[Mapping[str, object], int], str]


@dataclass(frozen=True, kw_only=True, slots=True)
class AlertFacts:
    """An alert, as far as a template may know it."""

    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    source: str
    group: str
    severity: Severity
    service: str | None


@dataclass(frozen=True, kw_only=True)
class Templates:
    """Templates by their owner (a service's or a source's name) and their part (`TITLE`, `CARD`, `PAGE`)."""

    of_services: Mapping[tuple[str, str], Render] = field(default_factory=dict)
    of_sources: Mapping[tuple[str, str], Render] = field(default_factory=dict)
    place_order: tuple[str, ...] = PLACE_ORDER
    logged: set[tuple[str, str]] = field(default_factory=set)  #: what went wrong with which part, logged once each

    def text(self, part: str, alert: AlertFacts, most: int) -> str | None:
        """The text of that part; None: use the usual one."""
        if not self.of_services and not self.of_sources:
            return None
        render = self.of_services.get((alert.service or "", part)) or self.of_sources.get((alert.source, part))
        if render is None:
            return None
        try:
            text = render(_values(alert, self.place_order), most)
        except ValueError as error:
            self._log(part, alert, str(error))
            return None
        if not text:
            self._log(part, alert, "it gives no text")
        return text or None

    def _log(self, part: str, alert: AlertFacts, why: str) -> None:
        if (part, why) in self.logged or len(self.logged) >= _LOGGED:
            return
        self.logged.add((part, why))
        logger.warning("template not used", extra={"part": part, "service": alert.service, "why": why})


def _values(alert: AlertFacts, order: tuple[str, ...]) -> dict[str, object]:
    return {
        "name": name_of(alert.labels, alert.group),
        "where": where(alert.labels, order),
        "summary": summary_of(alert.annotations),
        "description": description_of(alert.annotations),
        "value": value_of(alert.annotations),
        "severity": str(alert.severity),
        "service": alert.service or "",
        "source": alert.source,
        "labels": dict(alert.labels),
        "annotations": dict(alert.annotations),
    }
