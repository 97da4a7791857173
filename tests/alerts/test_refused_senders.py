"""Senders with a wrong token: when they are reported, how often, and what a flood of them costs."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from bot.alerts import internal
from bot.alerts.answer_deadline import Done
from bot.alerts.refused_senders import MANY_ADDRESSES, RefusedSenders
from bot.core.alert import AlertBatch
from bot.core.incident import Status
from tests.house import House


@dataclass
class Watch:
    """Refused senders in front of the House, with a monotonic clock that only the test moves."""

    house: House
    seconds: float = 1000.0
    raised: list[AlertBatch] = field(default_factory=list)
    broken: bool = False

    def __post_init__(self) -> None:
        self.senders = RefusedSenders(self.house.clock, self._take, lambda: self.seconds)

    def _take(self, batch: AlertBatch, done: Done) -> None:
        self.raised.append(batch)
        done(OSError("disk full") if self.broken else self.house.hears_all(batch)[0])

    def refuses(self, times: int, address: str = "10.1.2.3", source: str = "alertmanager") -> None:
        for _ in range(times):
            self.senders.count(source, address, "auth_invalid")

    def passes(self, seconds: float) -> None:
        self.seconds += seconds
        self.house.clock.pass_by(seconds=seconds)
        self.senders.report()
        self.house.drain()

    def reported(self) -> list[tuple[str, bool]]:
        return [(alert.labels["address"], alert.firing) for batch in self.raised for alert in batch.alerts]


@pytest.fixture
def watch(house: House) -> Watch:
    return Watch(house)


def test_the_fifth_refusal_in_a_minute_is_an_incident_that_says_who_and_what_to_do(watch: Watch) -> None:
    watch.refuses(4)
    watch.passes(5)
    before = watch.house.incidents()
    watch.refuses(1)
    watch.passes(5)

    (alert,) = watch.raised[0].alerts
    assert before == []
    assert watch.house.incident().severity == "warning"
    assert alert.annotations["summary"] == "10.1.2.3 sends to /alerts/alertmanager with a wrong token"
    assert "give it a token of sources.alertmanager.tokens" in alert.annotations["description"]
    assert [one.split()[0] for one in watch.house.slack.said()] == ["post"]
    assert watch.house.pagerduty.said() == []


def test_it_pages_nobody_even_when_somebody_calls_it_critical(watch: Watch) -> None:
    watch.refuses(5)
    watch.passes(5)

    assert watch.house.says("severity 1 critical").ok
    assert watch.house.says("ack 1").ok
    watch.house.drain()

    assert watch.house.pagerduty.said() == []


def test_four_in_each_minute_are_no_incident(watch: Watch) -> None:
    for _ in range(5):
        watch.refuses(4)
        watch.passes(61)

    assert watch.raised == []


def test_what_goes_on_is_reported_once_an_hour_and_opens_again_if_somebody_resolved_it(watch: Watch) -> None:
    for minute in range(110):
        watch.refuses(10)
        watch.passes(60)
        if minute == 30:
            assert watch.house.says("resolve 1").ok

    assert watch.reported() == [("10.1.2.3", True)] * 2
    assert len(watch.house.incidents()) == 1
    assert watch.house.incident().status is Status.OPEN


def test_an_hour_without_a_refusal_ends_it(watch: Watch) -> None:
    watch.refuses(5)
    watch.passes(5)
    watch.passes(3601)

    assert watch.house.incident().status is Status.RESOLVED


def test_each_address_of_a_source_is_named_in_one_incident_of_the_source(watch: Watch) -> None:
    watch.refuses(5, "10.1.2.3")
    watch.refuses(5, "10.1.2.4")
    watch.refuses(5, "10.1.2.4", source="sns")
    watch.passes(5)

    assert [(one.key, one.firing) for one in reversed(watch.house.incidents())] == [
        ("vakhta/quiet/refused/alertmanager", 2),
        ("vakhta/quiet/refused/sns", 1),
    ]


def test_addresses_of_one_network_of_ipv6_are_one(watch: Watch) -> None:
    for last in range(5):
        watch.refuses(1, f"2001:db8::{last}")
    watch.refuses(5, "::ffff:10.1.2.3")
    watch.passes(5)

    assert watch.reported() == [("2001:db8::/64", True), ("10.1.2.3", True)]


def test_a_report_that_was_not_stored_is_made_again(watch: Watch) -> None:
    watch.refuses(5)
    watch.broken = True
    watch.passes(5)
    watch.broken = False
    watch.passes(5)

    assert len(watch.raised) == 2
    assert watch.house.incident().firing == 1


def test_a_flood_from_many_addresses_is_one_report_and_bounded_in_memory(watch: Watch) -> None:
    for number in range(20_000):
        watch.refuses(1, f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    watch.passes(5)

    assert watch.reported() == [(MANY_ADDRESSES, True)]
    assert len(watch.senders._counted) <= 1024


def test_a_flood_in_which_each_address_is_refused_often_is_bounded_too(watch: Watch) -> None:
    for number in range(2000):
        watch.refuses(5, f"10.0.{number >> 8}.{number & 255}")
    watch.passes(5)

    assert len(watch.reported()) == 51
    assert watch.reported()[-1] == (MANY_ADDRESSES, True)


def test_what_an_earlier_process_reported_is_over_after_an_hour_without_a_refusal(watch: Watch) -> None:
    watch.refuses(5)
    watch.passes(5)
    later = Watch(watch.house, watch.seconds)
    with watch.house.store.read() as reading:
        later.senders.take_over(reading.firing_in_groups(internal.OWN, internal.REFUSED))
    later.passes(1800)
    held = watch.house.incident().status
    later.passes(1801)

    assert (held, watch.house.incident().status) == (Status.OPEN, Status.RESOLVED)


def test_what_an_earlier_process_reported_goes_on_while_it_is_refused(watch: Watch) -> None:
    watch.refuses(5)
    watch.passes(5)
    later = Watch(watch.house, watch.seconds)
    with watch.house.store.read() as reading:
        later.senders.take_over(reading.firing_in_groups(internal.OWN, internal.REFUSED))
    later.passes(1800)
    later.refuses(1)
    later.passes(1801)

    assert watch.house.incident().status is Status.OPEN
    assert len(watch.house.incidents()) == 1
