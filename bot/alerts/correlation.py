"""Many deliveries of alerts folded into incidents in memory: the working set of one commit. Pure but for its
`EpisodeLookup`.

Each delivery is folded on a layer of its own, kept only if it ends well, so one that cannot be folded harms no other
that shares its commit.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, Protocol

from msgspec.structs import replace

from bot.alerts.classification import AlertRules
from bot.alerts.episodes import AlertEffect, classify, recent
from bot.core.alert import Alert, AlertBatch, EpisodeState
from bot.core.incident import Event, Incident, IncidentChange, Status
from bot.incidents import lifecycle
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


_Counts = defaultdict[int | GroupKey, AlertCounts]


class EpisodeLookup(Protocol):
    """What a fold may ask of the database while it runs; almost everything is loaded before it."""

    def reserve(self, table: str, count: int = 1) -> int: ...

    def episode(self, of: tuple[str, str, datetime]) -> EpisodeState | None: ...


class CorrelationResult(NamedTuple):
    """What has to be written, in this order."""

    changes: list[IncidentChange]  #: every changed incident once, with all its events in order
    new_episodes: list[tuple[Alert, EpisodeState]]  #: episodes to be stored for the first time, as they stand
    updated_episodes: list[EpisodeState]  #: stored episodes that stand elsewhere now


class Correlator:
    """Folds deliveries one after another; `drain` tells what has to be written."""

    def __init__(self, stored: EpisodeLookup, rules: AlertRules, now: datetime) -> None:
        self._stored = stored
        self._rules = rules
        self._now = now
        self._kept = Overlay()
        self._layer = Overlay()

    def load(self, newest: Mapping[FingerprintKey, EpisodeState], found: Iterable[Incident]) -> None:
        """What the database holds: the newest episode of each fingerprint, and incidents. What is known stays."""
        kept = self._kept
        kept.newest = {**newest, **kept.newest}
        for incident in found:
            group = (incident.source, incident.key)
            kept.incidents.setdefault(incident.id, incident)
            kept.groups[group] = max(incident.id, kept.groups.get(group, 0))

    def add(self, batch: AlertBatch) -> list[int]:
        """Fold one delivery; returns the incidents that it changed. What raises leaves nothing behind."""
        self._layer = Overlay()
        counts: _Counts = defaultdict(AlertCounts)
        for alert in batch.alerts:
            self._place(alert, counts)
        changed = [self._tell(of, count, batch) for of, count in counts.items()]
        self._keep()
        return [of for of in changed if of is not None]

    def pending(self) -> int:
        """How many episodes have to be written by now."""
        return len(self._kept.touched)

    def drain(self) -> CorrelationResult:
        """What has to be written since this was last asked; each new episode has its row from now on."""
        kept = self._kept
        first = self._stored.reserve("alert", len(kept.new))
        new: list[tuple[Alert, EpisodeState]] = []
        for row, (firing, alert) in enumerate(kept.new.items(), first):
            standing = kept.touched.pop(firing)
            placed = replace(standing, row_id=row)
            if kept.newest.get(firing[:2]) is standing:
                kept.newest[firing[:2]] = placed
            new.append((alert, placed))
        changes = [
            IncidentChange(incident=kept.incidents[of], events=tuple(events)) for of, events in kept.events.items()
        ]
        folded = CorrelationResult(changes, new, list(kept.touched.values()))
        kept.events, kept.new, kept.touched = {}, {}, {}
        return folded

    def _place(self, alert: Alert, counts: _Counts) -> None:
        standing = self._newest(_print(alert))
        match classify(alert, standing, now=self._now, late_copy=self._rules.late_copy):
            case AlertEffect.FIRED:
                self._fire(alert, standing, counts)
            case AlertEffect.AGAIN if standing:
                self._repeat(alert, standing, counts)
            case AlertEffect.ENDED if standing:
                self._touch(alert, self._ended(alert, standing, counts, until=alert.ends_at))
            case AlertEffect.LATE if standing and standing.incident_id is None:
                self._pass(alert, standing, counts)
            case AlertEffect.LATE if standing:
                self._doubt(alert, standing)
            case AlertEffect.KNOWN if standing:
                self._trust(alert, standing)
            case AlertEffect.UNHEARD:
                self._supersede(alert, standing, counts)
                self._add(alert, self._ended_standing(alert, until=alert.ends_at))
            case AlertEffect.OVER:
                self._over(alert, standing, counts)

    def _fire(self, alert: Alert, state: EpisodeState | None, counts: _Counts) -> None:
        home = self._home(alert, state)
        count = counts[home]
        count.fired += 1
        count.joined[_firing(alert)] = alert
        if state and alert.starts_at <= state.starts_at:
            same = state if alert.starts_at == state.starts_at else self._episode(_firing(alert))
            if same:
                count.refired += same.incident_id == home
                present = home if isinstance(home, int) else None
                self._touch(
                    alert, EpisodeState(row_id=same.row_id, incident_id=present, starts_at=same.starts_at, firing=True)
                )
                return
        self._supersede(alert, state, counts)
        self._add(alert, EpisodeState(row_id=0, incident_id=None, starts_at=alert.starts_at, firing=True))

    def _repeat(self, alert: Alert, standing: EpisodeState, counts: _Counts) -> None:
        """A firing that is known. It matters only where a person resolved the incident and it does not stop."""
        incident = self._incident(standing.incident_id)
        if alert.sent_once or incident is None or incident.status is not Status.RESOLVED:
            return
        if recent(incident.resolved_at, self._now, self._rules.late_copy):
            return
        home = self._home(alert, standing)
        if home == incident.id or isinstance(home, tuple):
            counts[incident.id].repeated += 1
            return
        counts[incident.id].ended += 1
        count = counts[home]
        count.fired += 1
        count.joined[_firing(alert)] = alert
        self._touch(alert, standing)

    def _ended(self, alert: Alert, standing: EpisodeState, counts: _Counts, *, until: datetime | None) -> EpisodeState:
        """The episode, ended, and counted as such where it stands; that may be a group that has no incident yet."""
        firing, home = (alert.source, alert.fingerprint, standing.starts_at), standing.incident_id
        for count in counts.values() if home is None else (counts[home],):
            if home is not None or firing in count.joined:
                count.ended += 1
        return replace(standing, firing=False, ended_at=self._now, source_ended_at=until)

    def _doubt(self, alert: Alert, standing: EpisodeState) -> None:
        """A copy, or a sender that had lost sight of it: `watch` asks again, unless an end is heard meanwhile."""
        if standing.doubted_at is None:
            self._touch(alert, replace(standing, doubted_at=self._now))

    def _trust(self, alert: Alert, standing: EpisodeState) -> None:
        """The end is said once more: whatever was doubted was a copy."""
        if standing.doubted_at is not None:
            self._touch(alert, replace(standing, doubted_at=None))

    def _pass(self, alert: Alert, standing: EpisodeState, counts: _Counts) -> None:
        """The firing of an episode whose end came first: it belongs to its group's incident all the same."""
        firing = _firing(alert)
        if standing.incident_id is not None or any(firing in count.joined for count in counts.values()):
            return
        count = counts[self._home(alert, None)]
        count.already_ended += 1
        count.joined[firing] = alert
        self._layer.touched[firing] = standing

    def _over(self, alert: Alert, current: EpisodeState | None, counts: _Counts) -> None:
        """An episode that another one has superseded or covers: it has ended, whatever this delivery says."""
        firing = _firing(alert)
        standing = self._episode(firing)
        if standing is None:
            covered = current.source_ended_at if current and not current.firing else None
            standing = self._ended_standing(alert, until=alert.ends_at or covered)
            self._layer.touched[firing] = standing
            self._layer.new[firing] = alert
            if current and not current.firing and alert.starts_at > current.starts_at:
                self._layer.newest[_print(alert)] = standing  # of those that have ended, the one that began last counts
        if alert.firing:
            self._pass(alert, standing, counts)

    def _episode(self, firing: EpisodeKey) -> EpisodeState | None:
        """This very episode, whether or not it is what counts of its fingerprint."""
        return self._layer.touched.get(firing) or self._kept.touched.get(firing) or self._stored.episode(firing)

    def _supersede(self, alert: Alert, older: EpisodeState | None, counts: _Counts) -> None:
        """A newer episode of the fingerprint is known: the older one has ended, though nobody said so."""
        if older is None or not older.firing:
            return
        firing = (alert.source, alert.fingerprint, older.starts_at)
        self._layer.touched[firing] = self._ended(alert, older, counts, until=None)

    def _home(self, alert: Alert, state: EpisodeState | None) -> int | GroupKey:
        """Where the alert belongs: the open incident it fires in, else its group's; the group itself if that is new.

        Alertmanager's groupKey holds the route's path, so a change of routing renames groups; an alert that
        goes on firing must not open a second incident for that.
        """
        if state and state.firing:
            present = self._incident(state.incident_id)
            if present and present.status is not Status.RESOLVED:
                return present.id
        group = (alert.source, alert.group)
        found = self._incident(self._layer.groups.get(group) or self._kept.groups.get(group))
        if found is None:
            return group
        if found.status is Status.RESOLVED and not recent(found.resolved_at, self._now, self._rules.reopen_within):
            return group
        return found.id

    def _tell(self, of: int | GroupKey, count: AlertCounts, batch: AlertBatch) -> int | None:
        """Let the counted happen to the incident; returns its id if that changed anything."""
        if count.is_empty():
            return None
        told = count.as_transition(batch, self._rules)
        if isinstance(of, tuple):
            change = lifecycle.opened_by_alerts(self._stored.reserve("incident"), of[1], told, now=self._now)
            if count.ended:
                change = self._and_ended(change, told)
            self._layer.groups[of] = change.incident.id
        else:
            incident = self._incident(of)
            assert incident is not None, "an episode's incident is a foreign key"
            change = lifecycle.change(incident, told, now=self._now)
        home = change.incident.id
        for firing in count.joined:
            self._settle(firing, home)
        if not change.events:
            return None
        self._layer.incidents[home] = change.incident
        self._layer.events.setdefault(home, []).extend(change.events)
        return home

    def _settle(self, firing: EpisodeKey, home: int) -> None:
        """The episode stands in that incident."""
        was = self._layer.touched[firing]
        self._layer.touched[firing] = standing = replace(was, incident_id=home)
        newest = self._newest(firing[:2])
        if newest and newest.starts_at == was.starts_at:
            self._layer.newest[firing[:2]] = standing

    def _and_ended(self, change: IncidentChange, on_commit: AlertsChanged) -> IncidentChange:
        more = lifecycle.change(
            change.incident, AlertsChanged(source=on_commit.source, ended=on_commit.ended), now=self._now
        )
        return IncidentChange(incident=more.incident, events=change.events + more.events)

    def _newest(self, of: FingerprintKey) -> EpisodeState | None:
        return self._layer.newest.get(of) or self._kept.newest.get(of)

    def _incident(self, incident_id: int | None) -> Incident | None:
        if incident_id is None:
            return None
        return self._layer.incidents.get(incident_id) or self._kept.incidents.get(incident_id)

    def _ended_standing(self, alert: Alert, *, until: datetime | None) -> EpisodeState:
        at = alert.starts_at
        return EpisodeState(
            row_id=0, incident_id=None, starts_at=at, firing=False, ended_at=self._now, source_ended_at=until
        )

    def _add(self, alert: Alert, standing: EpisodeState) -> None:
        self._layer.new[_firing(alert)] = alert
        self._touch(alert, standing)

    def _touch(self, alert: Alert, standing: EpisodeState) -> None:
        """It is what counts of its fingerprint from now on."""
        self._layer.touched[alert.source, alert.fingerprint, standing.starts_at] = standing
        self._layer.newest[_print(alert)] = standing

    def _keep(self) -> None:
        kept, layer = self._kept, self._layer
        kept.newest.update(layer.newest)
        kept.touched.update(layer.touched)
        kept.new.update(layer.new)
        kept.groups.update(layer.groups)
        kept.incidents.update(layer.incidents)
        for of, events in layer.events.items():
            kept.events.setdefault(of, []).extend(events)


def _print(alert: Alert) -> FingerprintKey:
    return (alert.source, alert.fingerprint)


def _firing(alert: Alert) -> EpisodeKey:
    return (alert.source, alert.fingerprint, alert.starts_at)
