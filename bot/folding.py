"""Many deliveries of alerts folded into incidents in memory: the working set of one commit. Pure but for its `Stored`.

Each delivery is folded on a layer of its own, kept only if it ends well, so one that cannot be folded harms no other
that shares its commit.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import NamedTuple, Protocol

from msgspec.structs import replace

from bot import incidents
from bot.episodes import Verdict, judge, recent
from bot.model import Alert, Change, Delivered, Incident, Standing, Status
from bot.rules import Rules
from bot.tally import Count, Firing, Group, Layer, Print
from bot.wishes import Told


class Stored(Protocol):
    """What a fold may ask of the database while it runs; almost everything is loaded before it."""

    def reserve(self, table: str, count: int = 1) -> int: ...

    def episode(self, of: tuple[str, str, datetime]) -> Standing | None: ...


_Counts = defaultdict[int | Group, Count]


class Folded(NamedTuple):
    """What has to be written, in this order."""

    changes: list[Change]  #: every changed incident once, with all its events in order
    new: list[tuple[Alert, Standing]]  #: episodes to be stored for the first time, as they stand
    moved: list[Standing]  #: stored episodes that stand elsewhere now


class Fold:
    """Folds deliveries one after another; `drain` tells what has to be written."""

    def __init__(self, stored: Stored, rules: Rules, now: datetime) -> None:
        self._stored = stored
        self._rules = rules
        self._now = now
        self._kept = Layer()
        self._layer = Layer()

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
        self._layer = Layer()
        counts: _Counts = defaultdict(Count)
        for alert in delivered.alerts:
            self._place(alert, counts)
        changed = [self._tell(of, count, delivered) for of, count in counts.items()]
        self._keep()
        return [of for of in changed if of is not None]

    def pending(self) -> int:
        """How many episodes have to be written by now."""
        return len(self._kept.touched)

    def drain(self) -> Folded:
        """What has to be written since this was last asked; each new episode has its row from now on."""
        kept = self._kept
        first = self._stored.reserve("alert", len(kept.new))
        new: list[tuple[Alert, Standing]] = []
        for row, (firing, alert) in enumerate(kept.new.items(), first):
            standing = kept.touched.pop(firing)
            placed = replace(standing, row=row)
            if kept.newest.get(firing[:2]) is standing:
                kept.newest[firing[:2]] = placed
            new.append((alert, placed))
        changes = [Change(incident=kept.incidents[of], events=tuple(events)) for of, events in kept.events.items()]
        folded = Folded(changes, new, list(kept.touched.values()))
        kept.events, kept.new, kept.touched = {}, {}, {}
        return folded

    def _place(self, alert: Alert, counts: _Counts) -> None:
        standing = self._newest(_print(alert))
        match judge(alert, standing, now=self._now, late_copy=self._rules.late_copy):
            case Verdict.FIRED:
                self._fire(alert, standing, counts)
            case Verdict.AGAIN if standing:
                self._repeat(alert, standing, counts)
            case Verdict.ENDED if standing:
                self._touch(alert, self._ended(alert, standing, counts, until=alert.ends_at))
            case Verdict.LATE if standing and standing.incident_id is None:
                self._pass(alert, standing, counts)
            case Verdict.LATE if standing:
                self._doubt(alert, standing)
            case Verdict.KNOWN if standing:
                self._trust(alert, standing)
            case Verdict.UNHEARD:
                self._supersede(alert, standing, counts)
                self._add(alert, self._ended_standing(alert, until=alert.ends_at))
            case Verdict.OVER:
                self._over(alert, standing, counts)

    def _fire(self, alert: Alert, standing: Standing | None, counts: _Counts) -> None:
        home = self._home(alert, standing)
        count = counts[home]
        count.fired += 1
        count.joined[_firing(alert)] = alert
        if standing and alert.starts_at <= standing.starts_at:
            same = standing if alert.starts_at == standing.starts_at else self._episode(_firing(alert))
            if same:
                count.back += same.incident_id == home
                present = home if isinstance(home, int) else None
                self._touch(alert, Standing(row=same.row, incident_id=present, starts_at=same.starts_at, firing=True))
                return
        self._supersede(alert, standing, counts)
        self._add(alert, Standing(row=0, incident_id=None, starts_at=alert.starts_at, firing=True))

    def _repeat(self, alert: Alert, standing: Standing, counts: _Counts) -> None:
        """A firing that is known. It matters only where a person resolved the incident and it does not stop."""
        incident = self._incident(standing.incident_id)
        if alert.told_once or incident is None or incident.status is not Status.RESOLVED:
            return
        if recent(incident.resolved_at, self._now, self._rules.late_copy):
            return
        home = self._home(alert, standing)
        if home == incident.id or isinstance(home, tuple):
            counts[incident.id].still += 1
            return
        counts[incident.id].ended += 1
        count = counts[home]
        count.fired += 1
        count.joined[_firing(alert)] = alert
        self._touch(alert, standing)

    def _ended(self, alert: Alert, standing: Standing, counts: _Counts, *, until: datetime | None) -> Standing:
        """The episode, ended, and counted as such where it stands; that may be a group that has no incident yet."""
        firing, home = (alert.source, alert.fingerprint, standing.starts_at), standing.incident_id
        for count in counts.values() if home is None else (counts[home],):
            if home is not None or firing in count.joined:
                count.ended += 1
        return replace(standing, firing=False, ended_at=self._now, until=until)

    def _doubt(self, alert: Alert, standing: Standing) -> None:
        """A copy, or a sender that had lost sight of it: `watch` asks again, unless an end is heard meanwhile."""
        if standing.doubted_at is None:
            self._touch(alert, replace(standing, doubted_at=self._now))

    def _trust(self, alert: Alert, standing: Standing) -> None:
        """The end is said once more: whatever was doubted was a copy."""
        if standing.doubted_at is not None:
            self._touch(alert, replace(standing, doubted_at=None))

    def _pass(self, alert: Alert, standing: Standing, counts: _Counts) -> None:
        """The firing of an episode whose end came first: it belongs to its group's incident all the same."""
        firing = _firing(alert)
        if standing.incident_id is not None or any(firing in count.joined for count in counts.values()):
            return
        count = counts[self._home(alert, None)]
        count.past += 1
        count.joined[firing] = alert
        self._layer.touched[firing] = standing

    def _over(self, alert: Alert, current: Standing | None, counts: _Counts) -> None:
        """An episode that another one has superseded or covers: it has ended, whatever this delivery says."""
        firing = _firing(alert)
        standing = self._episode(firing)
        if standing is None:
            covered = current.until if current and not current.firing else None
            standing = self._ended_standing(alert, until=alert.ends_at or covered)
            self._layer.touched[firing] = standing
            self._layer.new[firing] = alert
            if current and not current.firing and alert.starts_at > current.starts_at:
                self._layer.newest[_print(alert)] = standing  # of those that have ended, the one that began last counts
        if alert.firing:
            self._pass(alert, standing, counts)

    def _episode(self, firing: Firing) -> Standing | None:
        """This very episode, whether or not it is what counts of its fingerprint."""
        return self._layer.touched.get(firing) or self._kept.touched.get(firing) or self._stored.episode(firing)

    def _supersede(self, alert: Alert, older: Standing | None, counts: _Counts) -> None:
        """A newer episode of the fingerprint is known: the older one has ended, though nobody said so."""
        if older is None or not older.firing:
            return
        firing = (alert.source, alert.fingerprint, older.starts_at)
        self._layer.touched[firing] = self._ended(alert, older, counts, until=None)

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
        if found.status is Status.RESOLVED and not recent(found.resolved_at, self._now, self._rules.reopen_within):
            return group
        return found.id

    def _tell(self, of: int | Group, count: Count, delivered: Delivered) -> int | None:
        """Let the counted happen to the incident; returns its id if that changed anything."""
        if count.nothing():
            return None
        told = count.told(delivered, self._rules)
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
        self._layer.touched[firing] = standing = replace(was, incident_id=home)
        newest = self._newest(firing[:2])
        if newest and newest.starts_at == was.starts_at:
            self._layer.newest[firing[:2]] = standing

    def _and_ended(self, change: Change, told: Told) -> Change:
        more = incidents.change(change.incident, Told(source=told.source, ended=told.ended), now=self._now)
        return Change(incident=more.incident, events=change.events + more.events)

    def _newest(self, of: Print) -> Standing | None:
        return self._layer.newest.get(of) or self._kept.newest.get(of)

    def _incident(self, incident_id: int | None) -> Incident | None:
        if incident_id is None:
            return None
        return self._layer.incidents.get(incident_id) or self._kept.incidents.get(incident_id)

    def _ended_standing(self, alert: Alert, *, until: datetime | None) -> Standing:
        at = alert.starts_at
        return Standing(row=0, incident_id=None, starts_at=at, firing=False, ended_at=self._now, until=until)

    def _add(self, alert: Alert, standing: Standing) -> None:
        self._layer.new[_firing(alert)] = alert
        self._touch(alert, standing)

    def _touch(self, alert: Alert, standing: Standing) -> None:
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


def _print(alert: Alert) -> Print:
    return (alert.source, alert.fingerprint)


def _firing(alert: Alert) -> Firing:
    return (alert.source, alert.fingerprint, alert.starts_at)
