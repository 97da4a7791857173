"""Rules of the settings for alerts: severity, title, service, and the time limits of correlation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from bot.alerts.internal import OWN
from bot.core.alert import Alert, Severity
from bot.core.catalog import Catalog
from bot.core.severity_words import NEVER_PAGED, fold, severity_of
from bot.incidents.transitions import PLACE_LABELS, USUAL_COURSE_RULES, CourseRules, LeadAlert
from bot.notifications.alert_texts import name_of, summary_of, unsaid
from bot.notifications.places import PLACE_ORDER, cut, own_service, where
from bot.notifications.templates import TITLE, AlertFacts, Templates

_TITLE = 200
_PLACE = 200


@dataclass(frozen=True, kw_only=True)
class AlertRules:
    """The settings' rules for alerts."""

    severities: Mapping[str, Severity]  #: value of a label, as `severity_words.fold` gives it -> severity
    severity_labels: Sequence[str] = ("severity", "priority", "level")
    catalog: Catalog = field(default_factory=Catalog)
    place_order: Sequence[str] = PLACE_ORDER  #: the labels that say where, from the widest place to the narrowest
    templates: Templates = field(default_factory=Templates)
    late_copy: timedelta = timedelta(minutes=5)  #: how long after its end a firing counts as a delayed copy
    reopen_within: timedelta = timedelta(
        hours=1
    )  #: how long a resolved incident is reopened instead of opening a new one
    unknown_severity: Severity = Severity.ERROR  #: of an alert whose severity no rule knows
    on_unknown_severity: Callable[[str], None] = lambda _: None  #: called with the severity of each such alert
    on_unowned: Callable[[], None] = lambda: None  #: called for each new alert that no service of the catalog owns
    place_labels: Sequence[str] = PLACE_LABELS  #: an alert with other values of these fires in another place
    course: CourseRules = USUAL_COURSE_RULES

    def severity(self, labels: Mapping[str, str]) -> Severity:
        """The severity by the labels; `warning` without one, which is shown but by itself wakes nobody."""
        known, unknown = severity_of(labels, self.severity_labels, self.severities)
        return known or (self.unknown_severity if unknown else Severity.WARNING)

    def is_never_paged(self, labels: Mapping[str, str]) -> bool:
        """Whether its author says that nobody is to be woken."""
        return any(fold(labels.get(name, "")) == NEVER_PAGED for name in self.severity_labels)

    def count_unknown(self, alerts: Iterable[Alert]) -> None:
        """Report the severities of new alerts that no rule knows, and alerts that no service owns.

        The bot's own alerts are about the bot: that no service owns them is nothing to be mended.
        """
        for one in alerts:
            if one.source != OWN and self.catalog.owned(one.labels, own_service(one.labels)) is None:
                self.on_unowned()
            _, unknown = severity_of(one.labels, self.severity_labels, self.severities)
            if unknown:
                self.on_unknown_severity(unknown)

    def places(self, labelled: Iterable[Mapping[str, str]]) -> tuple[str, ...]:
        """The different places of alerts with these labels, such as "prod-eu/payments"."""
        of = self.place_labels
        found = {"/".join([labels[name] for name in of if labels.get(name)])[:_PLACE] for labels in labelled}
        return tuple(sorted(found - {""}))

    def lead(self, alerts: Iterable[Alert], *, before: str = "") -> LeadAlert | None:
        """The alert that gives the incident its title and severity, with a sort key among leads of other deliveries.

        The worst, then the earliest, then the one with the least fingerprint; None without alerts, or where it does not
        sort before the lead whose key is `before`.
        """
        rated = [(self.severity(one.labels), one) for one in alerts]
        if not rated:
            return None
        severity, alert = min(rated, key=_order)
        order = f"{severity.rank}|{alert.starts_at.isoformat()}|{alert.fingerprint}"
        if before and order >= before:
            return None
        service = service_of(alert.labels, self.catalog)
        return LeadAlert(
            order=order,
            title=self._title(alert, severity, service),
            severity=severity,
            service=service,
            never_pages=severity is Severity.INFO and self.is_never_paged(alert.labels),
        )

    def _title(self, alert: Alert, severity: Severity, service: str | None) -> str:
        facts = AlertFacts(
            labels=alert.labels,
            annotations=alert.annotations,
            source=alert.source,
            group=alert.group,
            severity=severity,
            service=service,
        )
        written = self.templates.text(TITLE, facts, _TITLE)
        return " ".join(written.split()) if written else title_of(alert, self.place_order)


def _order(rated: tuple[Severity, Alert]) -> tuple[int, datetime, str]:
    severity, alert = rated
    return severity.rank, alert.starts_at, alert.fingerprint


def title_of(alert: Alert, order: Sequence[str] = PLACE_ORDER) -> str:
    """What, where, and what happens: `KubePodCrashLooping prod-eu/payments/checkout-7d9: Pod is crash looping.`

    The place is said whether or not another open incident has the same name: the title of an incident must not change
    because another one opens.
    """
    what, summary = named(alert, order), summary_of(alert.annotations)
    return cut(f"{what}: {summary}" if summary else what, _TITLE)


def named(alert: Alert, order: Sequence[str] = PLACE_ORDER) -> str:
    """What and where. What the name says already is not said again as a place."""
    name = name_of(alert.labels, alert.group)
    return f"{name} {where(unsaid(alert.labels, name), order)}".rstrip()


def service_of(labels: Mapping[str, str], catalog: Catalog) -> str | None:
    """The service of the catalog that owns the alert, else the default one, else the alert's own `service` label."""
    own = own_service(labels)
    return catalog.owned(labels, own) or catalog.default or own
