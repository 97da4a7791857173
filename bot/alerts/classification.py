"""What the settings say about alerts: how bad one is, what it is called, whose it is, how long things count."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.core.alert import Alert, Severity
from bot.incidents.transitions import LeadAlert

_TITLE = 200


@dataclass(frozen=True, kw_only=True)
class AlertRules:
    """What the settings say about alerts."""

    severities: Mapping[str, Severity]  #: label value, lower case -> severity
    severity_labels: Sequence[str] = ("severity", "priority", "level")
    services: Sequence[Service] = ()
    late_copy: timedelta = timedelta(minutes=5)  #: how long a firing after its end is taken for a delayed copy
    reopen_within: timedelta = timedelta(hours=1)  #: how long a resolved incident is reopened rather than a new one
    on_unknown_severity: Callable[[str], None] = lambda _: None  #: told each severity that no rule knows

    def severity(self, labels: Mapping[str, str]) -> Severity:
        """Of an alert without a known severity, `warning`: seen, but not by itself a reason to be woken."""
        for name in self.severity_labels:
            value = labels.get(name)
            if value is None:
                continue
            known = self.severities.get(value.lower())
            if known is not None:
                return known
            self.on_unknown_severity(value)
        return Severity.WARNING

    def lead(self, alerts: Iterable[Alert]) -> LeadAlert | None:
        """The one of them that names and weighs their incident, and how it sorts among those of other deliveries.

        The worst, then the earliest, then the least fingerprint; None of none.
        """
        weighed = [(self.severity(one.labels), one) for one in alerts]
        if not weighed:
            return None
        return _lead(*min(weighed, key=_order), self.services)


def _order(weighed: tuple[Severity, Alert]) -> tuple[int, datetime, str]:
    severity, alert = weighed
    return severity.rank, alert.starts_at, alert.fingerprint


def _lead(severity: Severity, alert: Alert, services: Sequence[Service]) -> LeadAlert:
    """`order` is a text that sorts as `_order` does."""
    summary = alert.annotations.get("summary") or alert.annotations.get("description") or ""
    title = f"{alert.title}: {summary}" if summary else alert.title
    return LeadAlert(
        order=f"{severity.rank}|{alert.starts_at.isoformat()}|{alert.fingerprint}",
        title=title[:_TITLE] if title.isprintable() else " ".join(title.split())[:_TITLE],
        severity=severity,
        service=service_of(alert.labels, services),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Service:
    """One entry of `services`."""

    name: str
    match: Mapping[str, str]
    owner: str | None = None


def service_of(labels: Mapping[str, str], services: Sequence[Service]) -> str | None:
    """The service's name; else what the alert's own `service` label says; None when neither tells."""
    for service in services:
        if service.match and all(labels.get(name) == value for name, value in service.match.items()):
            return service.name
    return labels.get("service") or None
