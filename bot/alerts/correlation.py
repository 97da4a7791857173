"""Correlates deliveries of alerts into incidents, in memory: the working set of one commit. Pure except for its
`EpisodeLookup`.

Each delivery is correlated on a layer of its own. If one fails, its layer is dropped and the other deliveries of the
commit are not affected.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import NamedTuple, Protocol

from msgspec.structs import replace

from bot.alerts.classification import AlertRules, named
from bot.alerts.episodes import AlertEffect, classify, dated, no_page_until, recent
from bot.core.alert import Alert, AlertBatch, EpisodeState
from bot.core.incident import Event, Incident, IncidentChange, Status
from bot.incidents import lifecycle
from bot.incidents.transitions import AlertsChanged, LeadAlert

FingerprintKey = tuple[str, str]  #: (source, fingerprint)
GroupKey = tuple[str, str]  #: (source, group's key)
EpisodeKey = tuple[str, str, datetime]  #: (source, fingerprint, startsAt): one episode

_NAMED = 3
_LOOKED_AT = 8  #: for `_NAMED` different ones


@dataclass(slots=True)
class Overlay:
    """Known and changed state: of the whole commit, or of one delivery on top of it."""

    newest: dict[FingerprintKey, EpisodeState] = field(default_factory=dict)
    touched: dict[EpisodeKey, EpisodeState] = field(default_factory=dict)
    new: dict[EpisodeKey, Alert] = field(default_factory=dict)  #: the touched ones that have no row yet
    heard: dict[EpisodeKey, Alert] = field(default_factory=dict)  #: those with a row, heard with texts to be stored
    groups: dict[GroupKey, int] = field(default_factory=dict)
    incidents: dict[int, Incident] = field(default_factory=dict)
    events: dict[int, list[Event]] = field(default_factory=dict)


@dataclass(slots=True)
class AlertCounts:
    """The effects of one delivery on one incident, counted alert by alert. The fields are those of `AlertsChanged`."""

    fired: int = 0
    refired: int = 0
    ended: int = 0
    already_ended: int = 0
    repeated: int = 0
    came_back: int = 0
    no_page_until: datetime | None = None
    joined: dict[EpisodeKey, Alert] = field(default_factory=dict)  #: episodes to be stored in this incident
    lost: list[EpisodeKey] = field(default_factory=list)  #: episodes of this incident that ended
    heard_again: int = 0
    retold: LeadAlert | None = None  #: the alert that names the incident, heard with other texts than before

    def is_empty(self) -> bool:
        seen = self.fired or self.ended or self.already_ended or self.repeated
        return not (seen or self.retold or self.heard_again)

    def as_transition(
        self, batch: AlertBatch, rules: AlertRules, chosen: LeadChoice, *, opening: bool
    ) -> AlertsChanged:
        """The transition to apply to the incident. `opening`: it is new, so its title says what fires."""
        joined = () if opening else self.joined.values()
        names = dict.fromkeys(named(alert, rules.place_order) for alert in islice(joined, _LOOKED_AT))
        return AlertsChanged(
            source=batch.source,
            fired=self.fired,
            refired=self.refired,
            ended=self.ended,
            already_ended=self.already_ended,
            repeated=self.repeated,
            lead=chosen.lead,
            leads=chosen.leads,
            outranked=chosen.outranked,
            retold=self.retold,
            heard_again=self.heard_again,
            because=batch.because,
            titles=tuple(names)[:_NAMED],
            truncated=batch.truncated,
            came_back=self.came_back,
            no_page_until=self.no_page_until,
            rules=rules.course,
        )


class LeadChoice(NamedTuple):
    """The alert that names an incident after a delivery. The fields are those of `AlertsChanged`."""

    lead: LeadAlert | None
    leads: bool = False
    outranked: bool = False


_Counts = defaultdict[int | GroupKey, AlertCounts]


class EpisodeLookup(Protocol):
    """The queries that a correlator may make while it runs; almost everything is loaded before."""

    def reserve(self, table: str, count: int = 1) -> int: ...

    def episode(self, of: tuple[str, str, datetime]) -> EpisodeState | None: ...

    def alerts_of(self, incident_id: int, *, ended: bool) -> list[Alert]:
        """The episodes of the incident that fire, as they are stored; with `ended`, all of them."""
        ...


class CorrelationResult(NamedTuple):
    """What has to be written, in this order."""

    changes: list[IncidentChange]  #: every changed incident once, with all its events in order
    new_episodes: list[tuple[Alert, EpisodeState]]  #: episodes without a row, with their state
    updated_episodes: list[EpisodeState]  #: stored episodes whose state has changed
    retold: list[tuple[Alert, EpisodeState]]  #: stored episodes that were heard with new texts


class Correlator:
    """Correlates one delivery after another; `drain` returns what has to be written."""

    def __init__(self, stored: EpisodeLookup, rules: AlertRules, now: datetime) -> None:
        self._stored = stored
        self._rules = rules
        self._now = now
        self._kept = Overlay()
        self._layer = Overlay()

    def load(self, newest: Mapping[FingerprintKey, EpisodeState], found: Iterable[Incident]) -> None:
        """Add stored state: the newest episode of each fingerprint, and incidents. State that is known already wins."""
        kept = self._kept
        kept.newest = {**newest, **kept.newest}
        for incident in found:
            group = (incident.source, incident.key)
            kept.incidents.setdefault(incident.id, incident)
            kept.groups[group] = max(incident.id, kept.groups.get(group, 0))

    def add(self, batch: AlertBatch) -> list[int]:
        """Correlate one delivery; returns the incidents that it changed. If it raises, nothing of it is kept."""
        self._layer = Overlay()
        counts: _Counts = defaultdict(AlertCounts)
        for alert in batch.alerts:
            self._place(alert, counts)
        changed = [self._apply(of, count, batch) for of, count in counts.items()]
        self._keep()
        return [of for of in changed if of is not None]

    def keep(self, incident: Incident) -> None:
        """It was stored like this, and is gone on with."""
        self._kept.incidents[incident.id] = incident

    def pending(self) -> int:
        """The number of episodes that have to be written."""
        return len(self._kept.touched)

    def drain(self) -> CorrelationResult:
        """What has to be written since the last call. Each new episode gets its row id here."""
        kept = self._kept
        first = self._stored.reserve("alert", len(kept.new))
        new: list[tuple[Alert, EpisodeState]] = []
        for row, (key, alert) in enumerate(kept.new.items(), first):
            state = kept.touched.pop(key)
            placed = replace(state, row_id=row)
            if kept.newest.get(key[:2]) is state:
                kept.newest[key[:2]] = placed
            new.append((alert, placed))
        changes = [
            IncidentChange(incident=kept.incidents[of], events=tuple(events)) for of, events in kept.events.items()
        ]
        retold = [(alert, kept.touched[key]) for key, alert in kept.heard.items()]
        result = CorrelationResult(changes, new, list(kept.touched.values()), retold)
        kept.events, kept.new, kept.touched, kept.heard = {}, {}, {}, {}
        return result

    def _place(self, alert: Alert, counts: _Counts) -> None:
        state = self._newest(_fingerprint_key(alert))
        if alert.undated:
            alert = dated(alert, state, now=self._now, late_copy=self._rules.late_copy)
        match classify(alert, state, now=self._now, late_copy=self._rules.late_copy):
            case AlertEffect.FIRED:
                self._fire(alert, state, counts)
            case AlertEffect.AGAIN if state:
                self._repeat(alert, state, counts)
            case AlertEffect.ENDED if state:
                self._touch(alert, self._ended(alert, state, counts, until=alert.ends_at))
            case AlertEffect.LATE if state and state.incident_id is None:
                self._count_already_ended(alert, state, counts)
            case AlertEffect.LATE if state:
                self._doubt(alert, state)
            case AlertEffect.KNOWN if state:
                self._confirm_end(alert, state)
            case AlertEffect.UNHEARD:
                self._supersede(alert, state, counts)
                self._add(alert, self._ended_episode(alert, until=alert.ends_at))
            case AlertEffect.OVER:
                self._over(alert, state, counts)

    def _fire(self, alert: Alert, state: EpisodeState | None, counts: _Counts) -> None:
        home = self._home(alert, state)
        count = counts[home]
        count.fired += 1
        count.joined[_episode_key(alert)] = alert
        if state and state.incident_id == home:
            self._count_return(alert, state, count)
        if state and alert.starts_at <= state.starts_at:
            same = state if alert.starts_at == state.starts_at else self._episode(_episode_key(alert))
            if same:
                count.refired += same.incident_id == home
                present = home if isinstance(home, int) else None
                refired = EpisodeState(row_id=same.row_id, incident_id=present, starts_at=same.starts_at, firing=True)
                self._touch(alert, self._hear_texts(alert, refired))
                return
        self._supersede(alert, state, counts)
        digest = alert.text_digest
        self._add(
            alert,
            EpisodeState(row_id=0, incident_id=None, starts_at=alert.starts_at, firing=True, text_digest=digest),
        )

    def _hear_texts(self, alert: Alert, state: EpisodeState) -> EpisodeState:
        """Keep the alert with its texts and its link as they are now; returns the episode with their digest."""
        key = _episode_key(alert)
        self._layer.touched[key] = state = replace(state, text_digest=alert.text_digest)
        unstored = key in self._layer.new or key in self._kept.new
        (self._layer.new if unstored else self._layer.heard)[key] = alert
        return state

    def _count_return(self, alert: Alert, state: EpisodeState, count: AlertCounts) -> None:
        """An alert of the incident fires again. Until when that pages nobody, if it ended a moment ago."""
        until = no_page_until(alert, state, now=self._now, late_copy=self._rules.late_copy)
        if until is not None:
            count.came_back += 1
            count.no_page_until = max(until, count.no_page_until or until)

    def _repeat(self, alert: Alert, state: EpisodeState, counts: _Counts) -> None:
        """A known firing, repeated. It matters if it says something new, or a person has resolved the incident."""
        incident = self._incident(state.incident_id)
        if alert.text_digest != state.text_digest:
            before, state = state.text_digest, self._hear_texts(alert, state)
            self._touch(alert, state)
            if incident is not None and _leads(incident, _episode_key(alert)):
                lead = self._rules.lead([alert])
                if before is not None or (lead and lead.title != incident.title):  # None: of an earlier version
                    counts[incident.id].retold = lead
        if incident is not None and incident.course.unheard is not None:
            counts[incident.id].heard_again += 1
        if alert.sent_once or incident is None or incident.status is not Status.RESOLVED:
            return
        if not incident.course.fired_on and recent(incident.resolved_at, self._now, self._rules.late_copy):
            return
        home = self._home(alert, state)
        if home == incident.id or isinstance(home, tuple):
            count = counts[incident.id]
            count.repeated += 1
            if _leads(incident, _episode_key(alert)):
                count.retold = self._rules.lead([alert])
            return
        counts[incident.id].ended += 1
        counts[incident.id].lost.append(_episode_key(alert))
        count = counts[home]
        count.fired += 1
        count.joined[_episode_key(alert)] = alert
        self._touch(alert, state)

    def _ended(self, alert: Alert, state: EpisodeState, counts: _Counts, *, until: datetime | None) -> EpisodeState:
        """The episode, ended, and counted in its incident or in a group that has no incident yet."""
        key, home = (alert.source, alert.fingerprint, state.starts_at), state.incident_id
        for count in counts.values() if home is None else (counts[home],):
            if home is not None or key in count.joined:
                count.ended += 1
                count.lost.append(key)
        return replace(state, firing=False, ended_at=self._now, source_ended_at=until)

    def _doubt(self, alert: Alert, state: EpisodeState) -> None:
        """A late copy, or a sender that had timed it out: the scheduler delivers it again unless an end comes first."""
        if state.doubted_at is None:
            self._touch(alert, replace(state, doubted_at=self._now))

    def _confirm_end(self, alert: Alert, state: EpisodeState) -> None:
        """The end came again, so the doubted firing was a copy."""
        if state.doubted_at is not None:
            self._touch(alert, replace(state, doubted_at=None))

    def _count_already_ended(self, alert: Alert, state: EpisodeState, counts: _Counts) -> None:
        """A firing whose end came first: it still belongs to the incident of its group."""
        key = _episode_key(alert)
        if state.incident_id is not None or any(key in count.joined for count in counts.values()):
            return
        count = counts[self._home(alert, None)]
        count.already_ended += 1
        count.joined[key] = alert
        self._hear_texts(alert, state)

    def _over(self, alert: Alert, current: EpisodeState | None, counts: _Counts) -> None:
        """An episode that another one supersedes or covers: it has ended, even if this delivery says firing."""
        key = _episode_key(alert)
        state = self._episode(key)
        if state is None:
            covered = current.source_ended_at if current and not current.firing else None
            state = self._ended_episode(alert, until=alert.ends_at or covered)
            self._layer.touched[key] = state
            self._layer.new[key] = alert
            if current and not current.firing and alert.starts_at > current.starts_at:
                self._layer.newest[_fingerprint_key(alert)] = state  # of ended episodes, the one that began last counts
        if alert.firing:
            self._count_already_ended(alert, state, counts)

    def _episode(self, key: EpisodeKey) -> EpisodeState | None:
        """Exactly this episode, whether or not it is the newest of its fingerprint."""
        return self._layer.touched.get(key) or self._kept.touched.get(key) or self._stored.episode(key)

    def _supersede(self, alert: Alert, older: EpisodeState | None, counts: _Counts) -> None:
        """A newer episode of the fingerprint is known, so the older one has ended even if no end was sent."""
        if older is None or not older.firing:
            return
        key = (alert.source, alert.fingerprint, older.starts_at)
        self._layer.touched[key] = self._ended(alert, older, counts, until=None)

    def _home(self, alert: Alert, state: EpisodeState | None) -> int | GroupKey:
        """The alert's incident: the open one that it fires in, else its group's; the group itself if that has none.

        Alertmanager's groupKey contains the route's path, so a change of routing renames groups. An alert that keeps
        firing must not open a second incident because of that.
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

    def _apply(self, of: int | GroupKey, count: AlertCounts, batch: AlertBatch) -> int | None:
        """Apply the counted effects to the incident; returns its id if that changed anything."""
        if count.is_empty():
            return None
        transition = count.as_transition(
            batch, self._rules, self._choose_lead(of, count), opening=isinstance(of, tuple)
        )
        if isinstance(of, tuple):
            change = lifecycle.opened_by_alerts(self._stored.reserve("incident"), of[1], transition, now=self._now)
            if count.ended:
                change = self._and_ended(change, transition)
            self._layer.groups[of] = change.incident.id
        else:
            incident = self._incident(of)
            assert incident is not None, "an episode's incident is a foreign key"
            if batch.group_ended and incident.key == batch.group:
                transition = replace(transition, group_ended=True)
            if count.fired and incident.status is Status.ACKED:
                transition = self._with_news(transition, count, incident, batch)
            change = lifecycle.change(incident, transition, now=self._now)
        home = change.incident.id
        for key in count.joined:
            self._settle(key, home)
        if not change.events:
            return None
        self._layer.incidents[home] = change.incident
        self._layer.events.setdefault(home, []).extend(change.events)
        return home

    def _choose_lead(self, of: int | GroupKey, count: AlertCounts) -> LeadChoice:
        """The alert that names the incident: of those that fire now; when none does, of all that it had.

        The stored alerts are read only where the one that named it has ended and others fire on, and at the end of an
        incident that had been named after another one.
        """
        rules, joined = self._rules, count.joined
        rules.count_unknown(joined.values())
        incident = None if isinstance(of, tuple) else self._incident(of)
        firing = max(0, (incident.firing if incident else 0) + count.fired - count.ended)
        if not firing:
            if incident is None or incident.course.worst is None:
                return LeadChoice(rules.lead(joined.values()))
            return LeadChoice(rules.lead(self._alerts_in(incident.id, count, ended=True)), leads=True)
        new = [alert for key, alert in joined.items() if self._layer.touched[key].firing]
        outranked = len(new) < len(joined)
        if incident is None or firing <= len(new):
            return LeadChoice(rules.lead(new), leads=True, outranked=outranked)
        if any(_leads(incident, key) for key in count.lost):
            fire_on = self._alerts_in(incident.id, count, ended=False)
            return LeadChoice(rules.lead(fire_on), leads=True, outranked=True)
        return LeadChoice(rules.lead(new, before=incident.lead), outranked=outranked)

    def _alerts_in(self, incident_id: int, count: AlertCounts, *, ended: bool) -> list[Alert]:
        """The alerts of the incident that fire, also by what is not written yet; with `ended`, all of them."""
        found = {_episode_key(alert): alert for alert in self._stored.alerts_of(incident_id, ended=ended)}
        for overlay in (self._kept, self._layer):
            for key, state in overlay.touched.items():
                alert = overlay.new.get(key) or overlay.heard.get(key) or found.get(key) or count.joined.get(key)
                if alert is None or (state.incident_id != incident_id and key not in count.joined):
                    found.pop(key, None)
                else:
                    found[key] = alert if alert.firing == state.firing else replace(alert, firing=state.firing)
        return [alert for alert in found.values() if alert.firing or ended]

    def _with_news(
        self, transition: AlertsChanged, count: AlertCounts, incident: Incident, batch: AlertBatch
    ) -> AlertsChanged:
        """With where and since when the alerts fire, which may be more than the incident's acknowledgement covers."""
        fires = [one for key, one in count.joined.items() if self._layer.touched[key].firing]
        # If an earlier version stored the acknowledgement, what the delivery repeats says what was known.
        placed = fires if incident.course.covered else [one for one in batch.alerts if one.firing]
        anew = count.fired > count.came_back
        return replace(
            transition,
            places=self._rules.places(one.labels for one in placed),
            began_last=max((one.starts_at for one in fires), default=None) if anew else None,
        )

    def _settle(self, key: EpisodeKey, home: int) -> None:
        """Store the episode in that incident."""
        was = self._layer.touched[key]
        self._layer.touched[key] = state = replace(was, incident_id=home)
        newest = self._newest(key[:2])
        if newest and newest.starts_at == was.starts_at:
            self._layer.newest[key[:2]] = state

    def _and_ended(self, change: IncidentChange, transition: AlertsChanged) -> IncidentChange:
        more = lifecycle.change(
            change.incident, AlertsChanged(source=transition.source, ended=transition.ended), now=self._now
        )
        return IncidentChange(incident=more.incident, events=change.events + more.events)

    def _newest(self, of: FingerprintKey) -> EpisodeState | None:
        return self._layer.newest.get(of) or self._kept.newest.get(of)

    def _incident(self, incident_id: int | None) -> Incident | None:
        if incident_id is None:
            return None
        return self._layer.incidents.get(incident_id) or self._kept.incidents.get(incident_id)

    def _ended_episode(self, alert: Alert, *, until: datetime | None) -> EpisodeState:
        at = alert.starts_at
        return EpisodeState(
            row_id=0, incident_id=None, starts_at=at, firing=False, ended_at=self._now, source_ended_at=until
        )

    def _add(self, alert: Alert, state: EpisodeState) -> None:
        self._layer.new[_episode_key(alert)] = alert
        self._touch(alert, state)

    def _touch(self, alert: Alert, state: EpisodeState) -> None:
        """Make it the newest episode of its fingerprint."""
        self._layer.touched[alert.source, alert.fingerprint, state.starts_at] = state
        self._layer.newest[_fingerprint_key(alert)] = state

    def _keep(self) -> None:
        kept, layer = self._kept, self._layer
        kept.newest.update(layer.newest)
        kept.touched.update(layer.touched)
        kept.new.update(layer.new)
        kept.heard.update(layer.heard)
        kept.groups.update(layer.groups)
        kept.incidents.update(layer.incidents)
        for of, events in layer.events.items():
            kept.events.setdefault(of, []).extend(events)


def _leads(incident: Incident, key: EpisodeKey) -> bool:
    """Whether the incident is named after this episode (see `LeadAlert.order`)."""
    return incident.lead.endswith(f"|{key[2].isoformat()}|{key[1]}")


def _fingerprint_key(alert: Alert) -> FingerprintKey:
    return (alert.source, alert.fingerprint)


def _episode_key(alert: Alert) -> EpisodeKey:
    return (alert.source, alert.fingerprint, alert.starts_at)
