"""One webhook delivery as its sender writes it, and what the bot makes of it: incident, alerts, card, notification."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from bot.alerts.classification import AlertRules
from bot.core.alert import AlertBatch, AlertView, view_of
from bot.core.incident import Incident
from bot.core.message import Card, Contact, MessageKind, Notification
from bot.core.severity_words import USUAL_SEVERITIES
from bot.incidents import lifecycle
from bot.incidents.transitions import AlertsChanged
from bot.integrations.alertmanager.source import AlertmanagerSource
from bot.notifications.card import CardSettings, incident_card, lead_first

NIGHT = datetime(2026, 11, 24, 3, 7, tzinfo=UTC)  #: when the deliveries come in
RULES = AlertRules(severities=USUAL_SEVERITIES)
ANA = Contact(id="ana", name="Ana Lima", account="U1")
CARDS = CardSettings(public_url="https://vakhta.example.com", names={"ana": "Ana Lima", "bo": "Bo"})
CARDS_ON_CALL = CardSettings(
    public_url=CARDS.public_url, names=CARDS.names, on_call=lambda _service, _channel: (ANA,), can_silence=True
)


@dataclass(frozen=True, kw_only=True)
class Firing:
    """One alert that fires: what differs from the labels and annotations of its payload."""

    labels: Mapping[str, str] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)
    minutes: int = 5  #: for how long it fires


@dataclass(frozen=True, kw_only=True)
class Payload:
    """The labels and annotations that all of its alerts have, and the title that its incident must get."""

    title: str
    labels: Mapping[str, str]
    notes: Mapping[str, str] = field(default_factory=dict)
    firing: tuple[Firing, ...] = (Firing(),)
    grouped_by: tuple[str, ...] = ("cluster", "namespace", "alertname")
    generator: str = "http://prometheus-k8s-0:9090/graph?g0.expr=up&g0.tab=1"
    external: str = "http://alertmanager-main-0:9093"

    def body(self) -> bytes:
        """The webhook's body, of Alertmanager's payload version 4."""
        group = {name: self.labels[name] for name in sorted(self.grouped_by) if name in self.labels}
        route = ", ".join(f'{name}="{value}"' for name, value in group.items())
        payload = {
            "version": "4",
            "groupKey": f'{{}}/{{severity=~"critical|warning"}}:{{{route}}}',
            "truncatedAlerts": 0,
            "status": "firing",
            "receiver": "vakhta",
            "groupLabels": group,
            "commonLabels": dict(self.labels),
            "commonAnnotations": dict(self.notes),
            "externalURL": self.external,
            "alerts": [self._alert(number, one) for number, one in enumerate(self.firing)],
        }
        return json.dumps(payload).encode()

    def _alert(self, number: int, one: Firing) -> dict[str, object]:
        return {
            "status": "firing",
            "labels": {**self.labels, **one.labels},
            "annotations": {**self.notes, **one.notes},
            "startsAt": (NIGHT - timedelta(minutes=one.minutes)).isoformat().replace("+00:00", "Z"),
            "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": self.generator,
            "fingerprint": f"{number:016x}",
        }

    def batch(self) -> AlertBatch:
        """As the source reads it."""
        return AlertmanagerSource(lambda: NIGHT).read({}, self.body())

    def incident(self, number: int = 42) -> Incident:
        """The incident that the delivery opens."""
        batch = self.batch()
        changed = AlertsChanged(source=batch.source, fired=len(batch.alerts), lead=RULES.lead(batch.alerts))
        return lifecycle.opened_by_alerts(number, batch.group, changed, now=NIGHT).incident

    def alerts(self) -> list[AlertView]:
        """The alerts as the database gives them back."""
        return [view_of(one) for one in self.batch().alerts]

    def card(self, channel: str = "", settings: CardSettings = CARDS) -> Card:
        return incident_card(self.incident(), settings, channel=channel, alerts=self.alerts())

    def notification(
        self, channel: str = "", kind: MessageKind = MessageKind.CARD, settings: CardSettings = CARDS
    ) -> Notification:
        """What the sender hands to the channel at first."""
        incident = self.incident()
        return Notification(
            key="1-1",
            kind=kind,
            incident=incident,
            event=None,
            card=self.card(channel, settings),
            alerts=tuple(lead_first(self.alerts(), incident)),
            ref=None,
            due_at=NIGHT,
        )
