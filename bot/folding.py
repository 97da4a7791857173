"""Many deliveries of alerts folded into incidents in memory: the working set of one commit. Pure but for its `Stored`.

Each delivery is folded on a layer of its own, kept only if it ends well, so one that cannot be folded harms no other
that shares its commit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from operator import attrgetter
from typing import Protocol

from bot import incidents
from bot.episodes import Verdict, judge
from bot.incidents import Told
from bot.model import Alert, Change, Delivered, Event, Incident, Standing, Status
from bot.rules import Rules

Print = tuple[str, str]  #: (source, fingerprint)
Group = tuple[str, str]  #: (source, group's key)
Firing = tuple[str, str, datetime]  #: (source, fingerprint, startsAt): one episode

_NAMED = 3


class Stored(Protocol):
    """What a fold may ask of the database while it runs; almost everything is loaded before it."""

    def reserve(self, table: str, count: int = 1) -> int: ...

    def episode(self, of: tuple[str, str, datetime]) -> Standing | None: ...


@dataclass(slots=True)
class _Layer:
    """What is known and what was changed: by the whole commit, or by one delivery on top of it."""

    newest: dict[Print, Standing] = field(default_factory=dict)
    touched: dict[Firing, Standing] = field(default_factory=dict)
    new: dict[Firing, Alert] = field(default_factory=dict)  #: the touched ones that have no row yet
    groups: dict[Group, int] = field(default_factory=dict)
    incidents: dict[int, Incident] = field(default_factory=dict)
    events: dict[int, list[Event]] = field(default_factory=dict)


@dataclass(slots=True)
class _Count:
    """What one delivery does to one incident, while its alerts are gone through."""

    fired: int = 0
    back: int = 0
    ended: int = 0
    past: int = 0
    still: int = 0
    joined: dict[Firing, Alert] = field(default_factory=dict)  #: episodes that are to stand in this incident


_Counts = dict[int | Group, _Count]


class Fold:
    """Folds deliveries one after another; `changes`, `touched` and `new` tell what has to be written."""

    def __init__(self, stored: Stored, rules: Rules, now: datetime) -> None:
        self._stored = stored
        self._rules = rules
        self._now = now
        self._kept = _Layer()
        self._layer = _Layer()

    def know(self, newest: Mapping[Print, Standing], found: Iterable[Incident]) -> None:
        """What the database holds: the newest episode of each fingerprint, and incidents. What is known stays."""
        kept = self._kept
        kept.newest = {**newest, **kept.newest}
        for incident in found:
            group = (incident.source, incident.key)
            kept.incidents.setdefault(incident.id, incident)
            kept.groups[group] = max(incident.id, kept.groups.get(group, 0))

    def take(self, delivered: Delivered) -> list[int]:
        """Fold one delivery; returns the incidents that it changed. What raises leaves nothing behind."""
        self._layer = _Layer()
        counts: _Counts = {}
        for alert in delivered.alerts:
            self._place(alert, counts)
        changed = [self._tell(of, count, delivered) for of, count in counts.items()]
        self._keep()
        return [of for of in changed if of is not None]

    def changes(self) -> list[Change]:
        """Every changed incident once, with all its events in order."""
        kept = self._kept
        return [Change(incident=kept.incidents[of], events=tuple(events)) for of, events in kept.events.items()]

    @property
    def touched(self) -> Mapping[Firing, Standing]:
        """Every episode that is new or has moved, as it stands now."""
        return self._kept.touched

    @property
    def new(self) -> Mapping[Firing, Alert]:
        """Those of the touched that have no row yet."""
        return self._kept.new

    def _place(self, alert: Alert, counts: _Counts) -> None:
        standing = self._newest((alert.source, alert.fingerprint))
        match judge(alert, standing, now=self._now, late_copy=self._rules.late_copy):
            case Verdict.FIRED:
                self._fire(alert, standing, counts)
            case Verdict.AGAIN if standing:
                self._repeat(alert, standing, counts)
            case Verdict.ENDED if standing:
                self._touch(alert, self._ended(_firing(alert), standing, counts))
            case Verdict.LATE if standing:
                self._pass(alert, standing, counts)
            case Verdict.UNHEARD:
                self._supersede(alert, standing, counts)
                self._add(alert, ended_at=self._now)
            case Verdict.OLDER:
                self._older(alert, counts)

    def _fire(self, alert: Alert, standing: Standing | None, counts: _Counts) -> None:
        home = self._home(alert, standing)
        count = counts.setdefault(home, _Count())
        count.fired += 1
        count.joined[_firing(alert)] = alert
        if standing and standing.starts_at == alert.starts_at:
            count.back += standing.incident_id == home
            self._touch(alert, replace(standing, firing=True, ended_at=None))
            return
        self._supersede(alert, standing, counts)
        self._add(alert, ended_at=None)

    def _repeat(self, alert: Alert, standing: Standing, counts: _Counts) -> None:
        """A firing that is known. It matters only where a person resolved the incident and it does not stop."""
        incident = self._incident(standing.incident_id)
        if incident is None or incident.status is not Status.RESOLVED:
            return
        if incident.resolved_at and self._now - incident.resolved_at <= self._rules.late_copy:
            return
        home = self._home(alert, standing)
        if home == incident.id or isinstance(home, tuple):
            counts.setdefault(incident.id, _Count()).still += 1
            return
        counts.setdefault(incident.id, _Count()).ended += 1
        count = counts.setdefault(home, _Count())
        count.fired += 1
        count.joined[_firing(alert)] = alert
        self._touch(alert, standing)

    def _ended(self, firing: Firing, standing: Standing, counts: _Counts) -> Standing:
        """The episode, ended, and counted as such where it stands; that may be a group that has no incident yet."""
        home = standing.incident_id
        for count in counts.values() if home is None else (counts.setdefault(home, _Count()),):
            if home is not None or firing in count.joined:
                count.ended += 1
        return replace(standing, firing=False, ended_at=self._now)

    def _pass(self, alert: Alert, standing: Standing, counts: _Counts) -> None:
        """The firing of an episode whose end came first: it belongs to its group's incident all the same."""
        firing = _firing(alert)
        count = counts.setdefault(self._home(alert, None), _Count())
        if standing.incident_id is None and firing not in count.joined:
            count.past += 1
            count.joined[firing] = alert
            self._layer.touched[firing] = standing

    def _older(self, alert: Alert, counts: _Counts) -> None:
        """An episode that a newer one has superseded: it has ended, whatever this delivery says."""
        firing = _firing(alert)
        standing = self._layer.touched.get(firing) or self._kept.touched.get(firing) or self._stored.episode(firing)
        if standing is None:
            standing = self._standing(alert, ended_at=self._now)
            self._layer.touched[firing] = standing
            self._layer.new[firing] = alert
        if alert.firing:
            self._pass(alert, standing, counts)

    def _supersede(self, alert: Alert, older: Standing | None, counts: _Counts) -> None:
        """A newer episode of the fingerprint is known: the older one has ended, though nobody said so."""
        if older is None or not older.firing:
            return
        firing = (alert.source, alert.fingerprint, older.starts_at)
        self._layer.touched[firing] = self._ended(firing, older, counts)

    def _home(self, alert: Alert, standing: Standing | None) -> int | Group:
        """Where the alert belongs: the open incident it fires in, else its group's; the group itself if that is new.

        Alertmanager's groupKey holds the route's path, so a change of routing renames groups; an alert that
        goes on firing must not open a second incident for that.
        """
        if standing and standing.firing:
            present = self._incident(standing.incident_id)
            if present and present.status is not Status.RESOLVED:
                return present.id
        group = (alert.source, alert.group)
        found = self._incident(self._layer.groups.get(group) or self._kept.groups.get(group))
        if found is None:
            return group
        if found.resolved_at and self._now - found.resolved_at > self._rules.reopen_within:
            return group
        return found.id

    def _tell(self, of: int | Group, count: _Count, delivered: Delivered) -> int | None:
        """Let the counted happen to the incident; returns its id if that changed anything."""
        if count == _NOTHING:
            return None
        told = self._told(count, delivered)
        if isinstance(of, tuple):
            change = incidents.opened(self._stored.reserve("incident"), of[1], told, now=self._now)
            if count.ended:
                change = self._and_ended(change, told)
            self._layer.groups[of] = change.incident.id
        else:
            incident = self._incident(of)
            assert incident is not None, "an episode's incident is a foreign key"
            change = incidents.change(incident, told, now=self._now)
        home = change.incident.id
        for firing in count.joined:
            self._settle(firing, home)
        if not change.events:
            return None
        self._layer.incidents[home] = change.incident
        self._layer.events.setdefault(home, []).extend(change.events)
        return home

    def _settle(self, firing: Firing, home: int) -> None:
        """The episode stands in that incident."""
        was = self._layer.touched[firing]
        standing = Standing(
            row=was.row, incident_id=home, starts_at=was.starts_at, firing=was.firing, ended_at=was.ended_at
        )
        self._layer.touched[firing] = standing
        newest = self._newest(firing[:2])
        if newest and newest.starts_at == was.starts_at:
            self._layer.newest[firing[:2]] = standing

    def _and_ended(self, change: Change, told: Told) -> Change:
        more = incidents.change(change.incident, Told(source=told.source, ended=told.ended), now=self._now)
        return Change(incident=more.incident, events=change.events + more.events)

    def _told(self, count: _Count, delivered: Delivered) -> Told:
        joined = count.joined.values()
        leads = map(self._rules.lead, joined)
        names = dict.fromkeys([alert.title for alert in joined])
        return Told(
            source=delivered.source,
            fired=count.fired,
            back=count.back,
            ended=count.ended,
            past=count.past,
            still=count.still,
            lead=min(leads, key=_ORDER, default=None),
            names=tuple(names)[:_NAMED],
            truncated=delivered.truncated,
        )

    def _newest(self, of: Print) -> Standing | None:
        return self._layer.newest.get(of) or self._kept.newest.get(of)

    def _incident(self, incident_id: int | None) -> Incident | None:
        if incident_id is None:
            return None
        return self._layer.incidents.get(incident_id) or self._kept.incidents.get(incident_id)

    def _standing(self, alert: Alert, *, ended_at: datetime | None) -> Standing:
        return Standing(row=0, incident_id=None, starts_at=alert.starts_at, firing=ended_at is None, ended_at=ended_at)

    def _add(self, alert: Alert, *, ended_at: datetime | None) -> None:
        self._layer.new[_firing(alert)] = alert
        self._touch(alert, self._standing(alert, ended_at=ended_at))

    def _touch(self, alert: Alert, standing: Standing) -> None:
        self._layer.touched[_firing(alert)] = standing
        self._layer.newest[alert.source, alert.fingerprint] = standing

    def _keep(self) -> None:
        kept, layer = self._kept, self._layer
        kept.newest.update(layer.newest)
        kept.touched.update(layer.touched)
        kept.new.update(layer.new)
        kept.groups.update(layer.groups)
        kept.incidents.update(layer.incidents)
        for of, events in layer.events.items():
            kept.events.setdefault(of, []).extend(events)


_NOTHING = _Count()
_ORDER = attrgetter("order")


def _firing(alert: Alert) -> Firing:
    return (alert.source, alert.fingerprint, alert.starts_at)
