"""A severity that no rule knows is counted, told once a day, and treated as the settings say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from bot.alerts.classification import AlertRules
from bot.alerts.unknown_severities import UnknownSeverities
from bot.core.alert import Severity
from bot.core.incident import EventType
from bot.core.severity_words import USUAL_SEVERITIES
from tests.house import House, alert


@dataclass
class Words:
    """A house whose rules report unknown severities, and what was counted."""

    house: House
    unknown: UnknownSeverities
    counted: list[None] = field(default_factory=list)

    def tick(self) -> None:
        self.unknown.report(self.house.clock(), lambda batch, done: done(self.house.hears_all(batch)[0]))

    def own(self) -> list[str]:
        return [one.title for one in reversed(self.house.incidents()) if one.source == "vakhta"]


@pytest.fixture
def words(store_url: str) -> Iterator[Words]:
    counted: list[None] = []
    unknown = UnknownSeverities(Severity.ERROR, lambda: counted.append(None))
    rules = AlertRules(severities=USUAL_SEVERITIES, on_unknown_severity=unknown.heard)
    house = House(store_url, rules=rules)
    yield Words(house, unknown, counted)
    house.close()


def test_an_unknown_word_counts_as_error_is_counted_and_told_once(words: Words) -> None:
    words.house.hears(alert("A", severity="sev-zero"), alert("B", severity="sev-zero"), alert("C", severity="P1"))
    words.tick()
    words.house.hears(alert("D", severity="sev-zero", group="d"))
    words.tick()

    assert words.house.incident(3).severity is Severity.ERROR
    assert len(words.counted) == 3
    assert words.own() == [
        'SeverityUnknown: Alerts have the severity "sev-zero", which is not known: each counts as error'
    ]
    assert words.house.incident(2).severity is Severity.INFO
    words.house.drain()
    assert 2 not in {notice.incident.id for notice in words.house.pagerduty.given}


def test_repeats_and_other_alerts_that_end_count_nothing(words: Words) -> None:
    words.house.hears(alert("A", severity="odd"), alert("B", severity="odd"))
    words.house.hears(alert("A", severity="odd", firing=False), alert("B", severity="odd"))

    assert len(words.counted) == 2


def test_what_was_resolved_is_not_told_again_on_the_same_day_also_after_a_restart_but_on_the_next(words: Words) -> None:
    words.house.hears(alert("A", severity="odd"))
    words.tick()
    words.house.says("resolve 2")
    words.house.clock.pass_by(hours=3)
    again = UnknownSeverities(Severity.ERROR)
    again.heard("odd")
    words.unknown = again
    words.tick()
    same_day = [event.type for event in words.house.story(2)]
    words.house.clock.at += timedelta(days=1)
    again.heard("odd")
    words.tick()

    assert same_day == [EventType.OPENED, EventType.RESOLVED]
    assert len(words.own()) == 2


def test_what_could_not_be_stored_is_told_by_a_later_tick(words: Words) -> None:
    words.unknown.heard("odd")
    words.unknown.report(words.house.clock(), lambda _, done: done(OSError("full")))
    words.unknown.heard("odd")
    words.tick()

    assert len(words.own()) == 1


def test_severity_none_triggers_no_pager_until_something_worse_fires_in_its_group(words: Words) -> None:
    house = words.house
    house.hears(alert("Watchdog", severity="none"))
    house.hears(alert("Quiet", severity="info", group="quiet"))
    house.drain()
    first = [(notice.incident.id, notice.event.type) for notice in house.pagerduty.given if notice.event]
    house.hears(alert("Down"))
    house.drain()

    assert first == [(2, EventType.OPENED)]
    assert house.incident().severity is Severity.CRITICAL
    assert [notice.event.type for notice in house.pagerduty.given if notice.event and notice.incident.id == 1] == [
        EventType.SEVERITY_RAISED
    ]
