"""A silenced alert is left out when its group ends. It is asked about, and ended or kept with the reason."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from bot.alerts.classification import AlertRules
from bot.alerts.unheard import UnheardAlerts
from bot.core.alert import Alert, AlertBatch
from bot.core.errors import Rejected
from bot.core.incident import EventType, Status
from bot.integrations.alertmanager.source import AlertmanagerSource
from tests.alerts.alerts_of import alert as payload_alert
from tests.alerts.alerts_of import body
from tests.house import SEVERITIES, House, alert

A, B, C = alert("A"), alert("B"), alert("C")
SILENCED = "is silenced in Alertmanager until 2026-11-23 15:00 UTC"


def ended(*names: str, truncated: int = 0, group_ended: bool = True) -> AlertBatch:
    alerts = tuple(alert(name, firing=False) for name in names)
    over = group_ended and not truncated
    return AlertBatch(source="alertmanager", group="api", alerts=alerts, truncated=truncated, group_ended=over)


@dataclass
class Unheard:
    """A house in which A, B and C fire, and an Alertmanager that can be asked."""

    house: House
    known: dict[str, str] = field(default_factory=dict)  #: fingerprint -> what Alertmanager says of it
    asked: list[list[str]] = field(default_factory=list)
    trouble: Rejected | None = None
    meanwhile: list[Callable[[], object]] = field(default_factory=list)
    monotonic: float = 1000.0

    def states(self, alerts: Sequence[Alert]) -> Mapping[str, str]:
        assert not self.house.store.writing(), "Alertmanager was asked inside a transaction"
        self.asked.append([one.fingerprint for one in alerts])
        if self.meanwhile:
            self.meanwhile.pop(0)()
        if self.trouble:
            raise self.trouble
        return {one.fingerprint: self.known[one.fingerprint] for one in alerts if one.fingerprint in self.known}

    def watch(self, *, api: bool) -> UnheardAlerts:
        return UnheardAlerts(
            self.house.store,
            rules=AlertRules(severities=SEVERITIES),
            subscriptions=self.house.mouths,
            on_commit=self.house.written.append,
            after=timedelta(minutes=30),
            states=self if api else None,
            clock=lambda: self.monotonic,
        )

    def passes(self, **much: float) -> None:
        self.house.clock.pass_by(**much)
        self.monotonic += timedelta(**much).total_seconds()

    def told(self) -> list[str]:
        return [f"{event.type}: {event.text}" for event in self.house.story()][1:]


@pytest.fixture
def nights(house: House) -> Unheard:
    house.hears(A, B, C)
    house.clock.pass_by(minutes=140)
    return Unheard(house)


def test_without_an_api_it_is_shown_as_not_heard_of_and_ended_by_the_groups_word_after_half_an_hour(
    nights: Unheard,
) -> None:
    house, watch = nights.house, nights.watch(api=False)
    house.hears_all(ended("A", "C"))
    watch.tick()
    shown = house.says("incidents").text
    house.drain()
    card = house.slack.given[-1].card
    nights.passes(minutes=29)
    watch.tick()
    early = house.incident().status
    nights.passes(minutes=1)
    watch.tick()

    assert "1 firing; 1 alert not heard of since 14:20 UTC" in shown
    assert "1 alert not heard of since 14:20 UTC" in card.lines
    assert (early, house.incident().status, house.incident().firing) == (Status.OPEN, Status.RESOLVED, 0)
    since = "not heard of since 2026-11-23 14:20 UTC, when alertmanager said that the group had ended"
    assert nights.told() == [
        "alerts.ended: 2 alerts ended. alertmanager says that the group has ended, and nothing about 1 alert.",
        f"incident.resolved: B: {since}. All alerts have ended.",
    ]
    house.drain()
    assert [one.event.type for one in house.pagerduty.given if one.event] == [EventType.OPENED, EventType.RESOLVED]


def test_what_is_silenced_is_kept_with_the_reason_and_ends_when_alertmanager_has_it_no_more(nights: Unheard) -> None:
    house, watch = nights.house, nights.watch(api=True)
    nights.known["B-1"] = SILENCED
    house.hears_all(ended("A", "C"))
    for _ in range(3):
        watch.tick()
        nights.passes(minutes=20)
    kept = house.incident().status, house.says("incidents").text
    nights.known.clear()
    watch.tick()
    once = house.incident().status
    nights.passes(minutes=1)
    watch.tick()

    assert kept[0] is Status.OPEN
    assert f"B {SILENCED}" in kept[1]
    assert (once, house.incident().status) == (Status.OPEN, Status.RESOLVED)
    assert nights.told()[1:] == [
        f"alerts.changed: Kept open: B {SILENCED}.",
        "incident.resolved: B: no longer in alertmanager. All alerts have ended.",
    ]


def test_alertmanager_is_asked_once_a_minute_and_about_nothing_else(nights: Unheard) -> None:
    house, watch = nights.house, nights.watch(api=True)
    watch.tick()
    nights.known["B-1"] = SILENCED
    house.hears_all(ended("A", "C"))
    for _ in range(8):
        watch.tick()
        nights.passes(seconds=15)

    assert nights.asked == [["B-1"], ["B-1"]]


def test_of_several_only_what_is_gone_ends(nights: Unheard) -> None:
    house, watch = nights.house, nights.watch(api=True)
    nights.known["B-1"] = SILENCED
    house.hears_all(ended("A"))
    for _ in range(2):
        watch.tick()
        nights.passes(minutes=1)

    assert (house.incident().status, house.incident().firing) == (Status.OPEN, 1)
    assert nights.told()[-1] == "alerts.ended: C: no longer in alertmanager. 1 alert ended, 1 still firing."
    assert house.incident().title == "B"


def test_an_alertmanager_that_does_not_answer_ends_nothing_before_the_time_of_the_groups_word(nights: Unheard) -> None:
    house, watch = nights.house, nights.watch(api=True)
    nights.trouble = Rejected("Alertmanager did not answer. Nothing was done.", code="no_answer")
    house.hears_all(ended("A", "C"))
    watch.tick()
    nights.passes(minutes=29)
    watch.tick()
    early = house.incident().status
    nights.passes(minutes=2)
    watch.tick()

    assert (early, house.incident().status) == (Status.OPEN, Status.RESOLVED)
    assert "and alertmanager could not be asked. All alerts have ended." in nights.told()[-1]


def test_one_that_is_heard_of_again_is_not_ended(nights: Unheard) -> None:
    house, watch = nights.house, nights.watch(api=False)
    house.hears_all(ended("A", "C"))
    nights.passes(minutes=10)
    house.hears(B)
    nights.passes(hours=5)
    watch.tick()

    assert (house.incident().status, house.incident().unheard_clause) == (Status.OPEN, "")
    assert nights.told()[-1] == "alerts.changed: 1 alert heard of again."


def test_one_that_ends_by_itself_ends_the_incident(nights: Unheard) -> None:
    nights.house.hears_all(ended("A", "C"))
    nights.house.hears_all(ended("B"))

    assert nights.house.incident().status is Status.RESOLVED
    assert nights.house.incident().course.unheard is None


def test_one_that_fires_on_after_its_silence_is_news(nights: Unheard) -> None:
    house, watch = nights.house, nights.watch(api=False)
    house.hears_all(ended("A", "C"))
    nights.passes(minutes=31)
    watch.tick()
    nights.passes(minutes=20)
    house.hears(B)

    assert (house.incident().status, house.incident().firing) == (Status.OPEN, 1)


def test_what_is_heard_while_alertmanager_is_asked_counts(nights: Unheard) -> None:
    house, watch = nights.house, nights.watch(api=True)
    house.hears_all(ended("A", "C"))
    watch.tick()
    nights.passes(minutes=2)
    nights.meanwhile.append(lambda: house.hears(B))
    watch.tick()

    assert (house.incident().status, house.incident().firing) == (Status.OPEN, 1)


def test_what_a_person_resolved_and_reopened_is_left_to_people(nights: Unheard) -> None:
    house, watch = nights.house, nights.watch(api=False)
    house.hears_all(ended("A", "C"))
    house.says("resolve 1")
    house.says("reopen 1 because it is not over")
    nights.passes(hours=3)
    watch.tick()

    assert (house.incident().status, house.incident().firing) == (Status.OPEN, 1)


@pytest.mark.parametrize("batch", [ended("A", "C", truncated=1), ended("A", "C", group_ended=False)])
def test_a_group_that_is_truncated_or_fires_on_ends_nothing(nights: Unheard, batch: AlertBatch) -> None:
    house, watch = nights.house, nights.watch(api=False)
    house.hears_all(batch)
    nights.passes(hours=3)
    watch.tick()

    assert (house.incident().status, house.incident().firing) == (Status.OPEN, 1)


def test_a_group_is_over_by_its_status_where_it_is_whole_and_nothing_of_it_fires(house: House) -> None:
    def over(*alerts: dict[str, object], **more: object) -> bool:
        batch = AlertmanagerSource(house.clock).read({}, body(*alerts, **more))
        assert batch.alerts
        return batch.group_ended

    fires, ends = payload_alert(), payload_alert(status="resolved", fingerprint="b")
    assert over(ends, status="resolved")
    assert not over(ends, status="firing")
    assert not over(ends, fires, status="resolved")
    assert not over(ends, status="resolved", truncatedAlerts=1)
    assert not over(ends, {"status": "strange"}, status="resolved")
