"""Any order and any duplication of the same deliveries ends in the same state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count, permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from bot.alerts.classification import AlertRules
from bot.alerts.correlation import Correlator
from bot.alerts.episodes import DOUBT, AlertEffect, classify
from bot.core.alert import Alert, AlertBatch, EpisodeState
from bot.core.incident import EventType, Incident, Status
from bot.incidents import lifecycle
from bot.incidents.transitions import Acknowledge, LookAgain
from tests.house import NOON, SEVERITIES, alert

LATE = timedelta(minutes=5)
RULES = AlertRules(severities=SEVERITIES)
_QUICK = timedelta(seconds=1)  #: so that all deliveries of a test come before a doubt ends


@dataclass
class Ledger:
    """The database's content, in memory; each `commit` correlates deliveries as the intake does."""

    now: datetime = NOON
    standings: dict[tuple[str, str, datetime], EpisodeState] = field(default_factory=dict)
    incidents: dict[int, Incident] = field(default_factory=dict)
    alerts: dict[tuple[str, str, datetime], Alert] = field(default_factory=dict)
    rows: count[int] = field(default_factory=lambda: count(1))
    in_parts: bool = False  #: changes are written after each delivery, still in the one commit
    pace: timedelta = timedelta()  #: how much time passes with each commit
    events: list[EventType] = field(default_factory=list)

    def reserve(self, table: str, count: int = 1) -> int:
        assert table == "alert" or (table, count) == ("incident", 1)
        return len(self.incidents) + 1000 * next(self.rows)

    def episode(self, of: tuple[str, str, datetime]) -> EpisodeState | None:
        return self.standings.get(of)

    def alerts_of(self, incident_id: int, *, ended: bool) -> list[Alert]:
        return [
            replace(self.alerts[of], firing=one.firing)
            for of, one in self.standings.items()
            if one.incident_id == incident_id and (one.firing or ended)
        ]

    def commit(self, *deliveries: AlertBatch) -> None:
        self.now += self.pace
        fold = Correlator(self, RULES, self.now)
        newest: dict[tuple[str, str], EpisodeState] = {}
        in_turn = sorted(self.standings.items(), key=lambda one: (one[1].firing, one[1].starts_at))
        for (source, fingerprint, _), standing in in_turn:
            newest[source, fingerprint] = standing
        fold.load(newest, self.incidents.values())
        for one in deliveries:
            fold.add(one)
            if self.in_parts:
                self._write(fold)
        self._write(fold)

    def _write(self, fold: Correlator) -> None:
        changes, new, moved, retold = fold.drain()
        for change in changes:
            self.incidents[change.incident.id] = change.incident
            self.events += [event.type for event in change.events]
        for one, standing in new:
            of = (one.source, one.fingerprint, standing.starts_at)
            assert of not in self.standings
            self.standings[of] = standing
            self.alerts[of] = one
        self.alerts.update({(one.source, one.fingerprint, standing.starts_at): one for one, standing in retold})
        of_row = {standing.row_id: of for of, standing in self.standings.items()}
        self.standings.update({of_row[standing.row_id]: standing for standing in moved})

    def acknowledge_all(self) -> None:
        ack = Acknowledge(by="ana", name="Ana", via="slack")
        for one in [incident for incident in self.incidents.values() if incident.status is Status.OPEN]:
            self.incidents[one.id] = lifecycle.change(one, ack, now=self.now).incident

    def settle(self) -> None:
        """The scheduler looks at what is due until nothing is left to be looked at."""
        while due := [one for one in self.incidents.values() if one.look_at is not None]:
            self.now = max(self.now, *(one.look_at for one in due if one.look_at))
            for one in due:
                change = lifecycle.change(one, LookAgain(), now=self.now)
                self.incidents[one.id] = change.incident
                self.events += [event.type for event in change.events]

    def state(self) -> object:
        """Everything that must not depend on the order: alerts, and incidents without ids and times."""
        self.settle()
        alerts = {of: (one.firing, self._key(one.incident_id)) for of, one in self.standings.items()}
        found = sorted(
            (one.key, one.status, one.severity, one.title, one.firing, one.total) for one in self.incidents.values()
        )
        return alerts, found

    def _key(self, incident_id: int | None) -> str | None:
        return None if incident_id is None else self.incidents[incident_id].key


def delivered(*alerts: Alert) -> AlertBatch:
    return AlertBatch(source="alertmanager", group=alerts[0].group, alerts=alerts)


def told(
    fingerprint: str, episode: float, *, firing: bool, severity: str = "warning", until: float | None = None
) -> Alert:
    """One alert of group `a` or `b`, by its fingerprint's first letter; times in minutes after noon."""
    return alert(
        f"Alert-{fingerprint}",
        fingerprint=fingerprint,
        group=fingerprint[0],
        starts_at=NOON + timedelta(minutes=episode),
        firing=firing,
        severity=severity,
        ends_at=None if until is None else NOON + timedelta(minutes=until),
    )


def state_of(deliveries: Sequence[AlertBatch], pace: timedelta = timedelta()) -> object:
    ledger = Ledger(pace=pace)
    for one in deliveries:
        ledger.commit(one)
    return ledger.state()


SEVERITY_OF = {"a1": "warning", "a2": "critical", "b1": "error", "b2": "info"}
alerts_told = st.builds(
    lambda fingerprint, episode, firing: told(fingerprint, episode, firing=firing, severity=SEVERITY_OF[fingerprint]),
    st.sampled_from(sorted(SEVERITY_OF)),
    st.integers(0, 2),
    st.booleans(),
) | st.builds(lambda firing: replace(told("a3", 0, firing=firing, severity="error"), undated=True), st.booleans())
in_one_group = st.lists(alerts_told, min_size=1, max_size=4).map(
    lambda alerts: delivered(*(one for one in alerts if one.group == alerts[0].group))
)


@given(st.lists(in_one_group, min_size=1, max_size=7), st.data())
def test_any_order_and_any_duplication_of_deliveries_ends_in_the_same_state(
    deliveries: list[AlertBatch], data: st.DataObject
) -> None:
    again = data.draw(st.lists(st.sampled_from(deliveries), max_size=5))
    shuffled = data.draw(st.permutations([*deliveries, *again]))

    assert state_of(shuffled) == state_of(deliveries)


@given(st.lists(in_one_group, min_size=1, max_size=8), st.data())
def test_any_order_over_half_a_minute_ends_in_the_same_state(deliveries: list[AlertBatch], data: st.DataObject) -> None:
    """Incidents open again without a page, and flap, or not, by the order; in the end it comes to the same."""
    again = data.draw(st.lists(st.sampled_from(deliveries), max_size=5))
    shuffled = data.draw(st.permutations([*deliveries, *again]))

    assert state_of(shuffled, pace=_QUICK) == state_of(deliveries, pace=_QUICK) == state_of(deliveries)


@given(st.integers(4, 6), st.lists(in_one_group, max_size=2), st.data())
def test_cycles_in_any_order_end_in_the_same_state(count: int, others: list[AlertBatch], data: st.DataObject) -> None:
    """In their order they make the incident flap; in another one they may not."""
    cycles = [delivered(told("a1", at, firing=firing)) for at in range(10, 10 + count) for firing in (True, False)]
    ordered, shuffled = Ledger(pace=_QUICK), data.draw(st.permutations([*cycles, *others]))
    for one in cycles:
        ordered.commit(one)
    assert [one.is_flapping for one in ordered.incidents.values()] == [True]
    for one in others:
        ordered.commit(one)

    state = ordered.state()

    assert ordered.events.count(EventType.REOPENED) <= 2
    assert state == state_of(shuffled, pace=_QUICK) == state_of(shuffled)


@given(st.lists(in_one_group, min_size=1, max_size=7), st.integers(0, 7), st.data())
def test_the_same_deliveries_again_in_any_order_page_nobody_again(
    deliveries: list[AlertBatch], acked_after: int, data: st.DataObject
) -> None:
    ledger = Ledger(pace=_QUICK)
    for one in deliveries[:acked_after]:
        ledger.commit(one)
    ledger.acknowledge_all()
    for one in deliveries[acked_after:]:
        ledger.commit(one)
    before = len(ledger.events)

    for one in data.draw(st.permutations(deliveries)):
        ledger.commit(one)

    assert not {EventType.OPENED, EventType.REOPENED, EventType.PAGED_AGAIN} & set(ledger.events[before:])


@given(st.lists(in_one_group, min_size=1, max_size=7), st.data())
def test_deliveries_that_share_a_commit_end_like_those_that_do_not(
    deliveries: list[AlertBatch], data: st.DataObject
) -> None:
    cut = data.draw(st.integers(0, len(deliveries)))

    shared = Ledger(in_parts=data.draw(st.booleans()))
    shared.commit(*deliveries[:cut])
    shared.commit(*deliveries[cut:])

    assert shared.state() == state_of(deliveries)


@given(st.lists(in_one_group, min_size=1, max_size=8))
def test_an_incident_is_open_while_the_newest_episode_of_an_alert_fires_and_is_named_after_the_worst_of_them(
    deliveries: list[AlertBatch],
) -> None:
    ledger = Ledger()
    for one in deliveries:
        ledger.commit(one)

    ledger.settle()
    for incident in ledger.incidents.values():
        firing = sum(one.firing for one in ledger.standings.values() if one.incident_id == incident.id)
        held = sum(one.incident_id == incident.id for one in ledger.standings.values())
        assert (incident.status is Status.OPEN) == (firing > 0)
        assert (incident.firing, incident.total) == (firing, held)
        alerts = [one for one in ledger.alerts_of(incident.id, ended=True) if one.firing or not firing]
        lead = RULES.lead(alerts)
        assert lead is not None
        assert (incident.severity, incident.title, incident.lead) == (lead.severity, lead.title, lead.order)


def test_a_firing_its_end_and_a_second_firing_end_the_same_in_all_24_orders() -> None:
    story = [
        delivered(told("a1", 0, firing=True)),
        delivered(told("a1", 0, firing=False)),
        delivered(told("a1", 5, firing=True)),
        delivered(told("a2", 0, firing=True)),
    ]

    ends = [state_of(order) for order in permutations(story)]

    assert ends == [ends[0]] * 24


def test_starts_that_two_alertmanagers_tell_differently_end_the_same_in_all_24_orders() -> None:
    story = [
        delivered(told("a1", 1, firing=True)),
        delivered(told("a1", 0, firing=True)),
        delivered(told("a1", 0, firing=False, until=9)),
        delivered(told("a1", 1, firing=False, until=9)),
    ]

    ends = [state_of(order) for order in permutations(story)]

    assert ends == [ends[0]] * 24
    ledger = Ledger()
    ledger.commit(*story)
    [incident] = ledger.incidents.values()
    assert (incident.status, incident.firing, incident.total) == (Status.RESOLVED, 0, 2)


def test_what_had_ended_before_it_was_heard_names_what_is_over_also_if_all_comes_in_one_commit() -> None:
    story = [
        delivered(told("a2", 1, firing=False, severity="critical")),
        delivered(told("a1", 1, firing=True), told("a2", 1, firing=True, severity="critical")),
        delivered(told("a1", 1, firing=False)),
    ]

    shared = Ledger()
    shared.commit(story[0])
    shared.commit(*story[1:])

    assert shared.state() == state_of(story)
    assert [one.title for one in shared.incidents.values()] == ["Alert-a2"]


#: Three firings of one alert. Each is seen by two servers, 15 s apart, and ends 20 s after the next one has begun.
SEEN_BY_TWO = [(begins + server, firing) for begins in (0, 10, 20) for server in (0, 0.25) for firing in (True, False)]


@given(st.lists(st.sampled_from(SEEN_BY_TWO), min_size=1, max_size=8), st.data())
def test_firings_that_overlap_and_starts_that_were_merged_end_the_same_in_any_order(
    seen: list[tuple[float, bool]], data: st.DataObject
) -> None:
    """Compared is what fires. Which of the starts of one firing have a row depends on whether its end came first."""
    shuffled = data.draw(st.permutations([*seen, *data.draw(st.lists(st.sampled_from(seen), max_size=4))]))

    def fires_after(told_in_turn: Sequence[tuple[float, bool]]) -> object:
        ledger = Ledger(now=NOON + timedelta(hours=1))
        for starts, firing in told_in_turn:
            until = None if firing else starts // 10 * 10 + 10 + 1 / 3
            ledger.commit(delivered(told("a1", starts, firing=firing, until=until)))
        fires = {of for of, one in ledger.standings.items() if one.firing}
        return fires, [(one.status, one.firing, one.title) for one in ledger.incidents.values() if one.firing]

    assert fires_after(shuffled) == fires_after(seen)


def test_a_late_copy_of_a_firing_does_not_undo_its_end() -> None:
    ledger = Ledger()
    ledger.commit(delivered(told("a1", 0, firing=True)))
    ledger.commit(delivered(told("a1", 0, firing=False)))

    ledger.now += LATE
    ledger.commit(delivered(told("a1", 0, firing=True)))

    [incident] = ledger.incidents.values()
    assert incident.status is Status.RESOLVED


def test_an_alert_that_goes_on_firing_long_after_its_end_is_believed_and_reopens_the_incident() -> None:
    ledger = Ledger()
    ledger.commit(delivered(told("a1", 0, firing=True)))
    ledger.commit(delivered(told("a1", 0, firing=False)))

    ledger.now += LATE + timedelta(seconds=1)
    ledger.commit(delivered(told("a1", 0, firing=True)))

    [incident] = ledger.incidents.values()
    assert (incident.status, incident.firing, incident.total) == (Status.OPEN, 1, 1)


def test_an_older_episode_that_fires_again_long_after_a_newer_one_ended_reopens_its_incident() -> None:
    ledger = Ledger()
    ledger.commit(delivered(told("a1", -20, firing=True)))
    ledger.commit(delivered(told("a1", -10, firing=True)))
    ledger.commit(delivered(told("a1", -10, firing=False)))

    ledger.now += LATE + timedelta(seconds=1)
    ledger.commit(delivered(told("a1", -20, firing=True)))

    [incident] = ledger.incidents.values()
    assert (incident.status, incident.firing) == (Status.OPEN, 1)
    assert len(ledger.standings) == 2


@pytest.mark.parametrize("in_parts", [False, True])
def test_a_covered_firing_and_its_own_end_in_one_commit_are_one_episode_of_one_incident(*, in_parts: bool) -> None:
    ledger = Ledger(in_parts=in_parts)
    ledger.commit(delivered(told("a1", -1, firing=True)))
    ledger.commit(delivered(told("a1", -1, firing=False, until=1)))

    ledger.commit(delivered(told("a1", 0, firing=True)), delivered(told("a1", 0, firing=False, until=3)))

    assert [one.total for one in ledger.incidents.values()] == [2]
    assert {one.incident_id for one in ledger.standings.values()} == set(ledger.incidents)


def test_each_verdict_has_its_row_in_the_table() -> None:
    def standing(minutes: int, *, firing: bool) -> EpisodeState:
        at = NOON + timedelta(minutes=minutes)
        return EpisodeState(row_id=1, incident_id=1, starts_at=at, firing=firing, ended_at=None if firing else NOON)

    def verdict(one: Alert, stored: EpisodeState | None, now: datetime = NOON) -> AlertEffect:
        return classify(one, stored, now=now, late_copy=LATE)

    fires, ends = told("a1", 5, firing=True), told("a1", 5, firing=False)
    rows = [
        (fires, None, AlertEffect.FIRED),
        (fires, standing(0, firing=True), AlertEffect.FIRED),
        (fires, standing(5, firing=True), AlertEffect.AGAIN),
        (ends, standing(5, firing=True), AlertEffect.ENDED),
        (fires, standing(5, firing=False), AlertEffect.LATE),
        (ends, standing(5, firing=False), AlertEffect.KNOWN),
        (ends, None, AlertEffect.UNHEARD),
        (ends, standing(0, firing=True), AlertEffect.UNHEARD),
        (fires, standing(9, firing=True), AlertEffect.OVER),
        (ends, standing(9, firing=False), AlertEffect.OVER),
    ]
    for one, stored, expected in rows:
        assert verdict(one, stored) is expected
    doubted = replace(standing(5, firing=False), doubted_at=NOON)
    assert verdict(fires, doubted, NOON + DOUBT) is AlertEffect.LATE
    assert verdict(fires, doubted, NOON + DOUBT + timedelta(seconds=1)) is AlertEffect.FIRED
    assert verdict(ends, doubted, NOON + DOUBT) is AlertEffect.KNOWN
    assert verdict(fires, standing(5, firing=False), NOON + LATE * 2) is AlertEffect.FIRED


def test_of_a_source_that_tells_once_a_covered_firing_is_over_however_late_and_a_later_one_is_news() -> None:
    ended = EpisodeState(
        row_id=1, incident_id=1, starts_at=NOON, firing=False, ended_at=NOON, source_ended_at=NOON + LATE
    )
    firing = {minute: replace(told("a1", minute, firing=True), sent_once=True) for minute in (-1, 0, 5, 6)}

    for hours in (0, 1, 1000):
        now = NOON + timedelta(hours=hours)
        said = {at: classify(one, ended, now=now, late_copy=LATE) for at, one in firing.items()}

        assert said == {-1: AlertEffect.OVER, 0: AlertEffect.OVER, 5: AlertEffect.OVER, 6: AlertEffect.FIRED}
