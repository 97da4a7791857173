"""What the settings say about alerts: how bad one is, what it is called, whose it is, how long things count."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from bot.catalog import Service, service_of
from bot.model import Alert, Severity
from bot.wishes import Lead

_TITLE = 200


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What the settings say about alerts."""

    severities: Mapping[str, Severity]  #: label value, lower case -> severity
    severity_labels: Sequence[str] = ("severity", "priority", "level")
    services: Sequence[Service] = ()
    late_copy: timedelta = timedelta(minutes=5)  #: how long a firing after its end is taken for a delayed copy
    reopen_within: timedelta = timedelta(hours=1)  #: how long a resolved incident is reopened rather than a new one
    unknown: Callable[[str], None] = lambda _: None  #: told each severity that no rule knows

    def severity(self, labels: Mapping[str, str]) -> Severity:
        """Of an alert without a known severity, `warning`: seen, but not by itself a reason to be woken."""
        for name in self.severity_labels:
            value = labels.get(name)
            if value is None:
                continue
            known = self.severities.get(value.lower())
            if known is not None:
                return known
            self.unknown(value)
        return Severity.WARNING

    def lead(self, alert: Alert) -> Lead:
        """How it would name and weigh an incident, and how it sorts among others that would."""
        severity = self.severity(alert.labels)
        summary = alert.notes.get("summary") or alert.notes.get("description") or ""
        title = f"{alert.title}: {summary}" if summary else alert.title
        return Lead(
            order=f"{severity.rank}|{alert.starts_at.isoformat()}|{alert.fingerprint}",
            title=title[:_TITLE] if title.isprintable() else " ".join(title.split())[:_TITLE],
            severity=severity,
            service=service_of(alert.labels, self.services),
        )
