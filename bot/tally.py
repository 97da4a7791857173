"""What one delivery does to each incident, counted, and what a fold has changed so far. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from bot.model import Alert, Delivered, Event, Incident, Standing
from bot.rules import Rules
from bot.wishes import Told

Print = tuple[str, str]  #: (source, fingerprint)
Group = tuple[str, str]  #: (source, group's key)
Firing = tuple[str, str, datetime]  #: (source, fingerprint, startsAt): one episode

_NAMED = 3


@dataclass(slots=True)
class Layer:
    """What is known and what was changed: by the whole commit, or by one delivery on top of it."""

    newest: dict[Print, Standing] = field(default_factory=dict)
    touched: dict[Firing, Standing] = field(default_factory=dict)
    new: dict[Firing, Alert] = field(default_factory=dict)  #: the touched ones that have no row yet
    groups: dict[Group, int] = field(default_factory=dict)
    incidents: dict[int, Incident] = field(default_factory=dict)
    events: dict[int, list[Event]] = field(default_factory=dict)


@dataclass(slots=True)
class Count:
    """What one delivery does to one incident, while its alerts are gone through."""

    fired: int = 0
    back: int = 0
    ended: int = 0
    past: int = 0
    still: int = 0
    joined: dict[Firing, Alert] = field(default_factory=dict)  #: episodes that are to stand in this incident

    def nothing(self) -> bool:
        return not (self.fired or self.ended or self.past or self.still)

    def told(self, delivered: Delivered, rules: Rules) -> Told:
        """As the incident is told."""
        joined = self.joined.values()
        names = dict.fromkeys([alert.title for alert in joined])
        return Told(
            source=delivered.source,
            fired=self.fired,
            back=self.back,
            ended=self.ended,
            past=self.past,
            still=self.still,
            lead=rules.lead(joined),
            names=tuple(names)[:_NAMED],
            truncated=delivered.truncated,
        )
