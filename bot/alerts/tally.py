"""What one delivery does to each incident, counted, and what a fold has changed so far. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from bot.alerts.classification import AlertRules
from bot.core.alert import Alert, AlertBatch, EpisodeState
from bot.core.incident import Event, Incident
from bot.incidents.transitions import AlertsChanged

FingerprintKey = tuple[str, str]  #: (source, fingerprint)
GroupKey = tuple[str, str]  #: (source, group's key)
EpisodeKey = tuple[str, str, datetime]  #: (source, fingerprint, startsAt): one episode

_NAMED = 3


@dataclass(slots=True)
class Overlay:
    """What is known and what was changed: by the whole commit, or by one delivery on top of it."""

    newest: dict[FingerprintKey, EpisodeState] = field(default_factory=dict)
    touched: dict[EpisodeKey, EpisodeState] = field(default_factory=dict)
    new: dict[EpisodeKey, Alert] = field(default_factory=dict)  #: the touched ones that have no row yet
    groups: dict[GroupKey, int] = field(default_factory=dict)
    incidents: dict[int, Incident] = field(default_factory=dict)
    events: dict[int, list[Event]] = field(default_factory=dict)


@dataclass(slots=True)
class AlertCounts:
    """What one delivery does to one incident, while its alerts are gone through."""

    fired: int = 0
    refired: int = 0
    ended: int = 0
    already_ended: int = 0
    repeated: int = 0
    joined: dict[EpisodeKey, Alert] = field(default_factory=dict)  #: episodes that are to stand in this incident

    def is_empty(self) -> bool:
        return not (self.fired or self.ended or self.already_ended or self.repeated)

    def as_transition(self, batch: AlertBatch, rules: AlertRules) -> AlertsChanged:
        """As the incident is told."""
        joined = self.joined.values()
        names = dict.fromkeys([alert.title for alert in joined])
        return AlertsChanged(
            source=batch.source,
            fired=self.fired,
            refired=self.refired,
            ended=self.ended,
            already_ended=self.already_ended,
            repeated=self.repeated,
            lead=rules.lead(joined),
            titles=tuple(names)[:_NAMED],
            truncated=batch.truncated,
        )
