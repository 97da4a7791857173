"""Regressions: messages that nearly did not arrive, or arrived twice, each as it was found."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import timedelta

import pytest

from bot.alerts import intake
from bot.alerts.intake import IntakeResult, NotStored
from bot.core.alert import AlertBatch
from bot.core.channel import RateLimit
from bot.core.incident import EventType, Status
from bot.core.message import MessageKind, Notification
from bot.notifications import sender
from bot.store.engine import Unavailable
from bot.store.transaction import Tx
from tests.house import House, alert, down, into

pytestmark = pytest.mark.waits


def what(notice: Notification) -> EventType:
    assert notice.event is not None
    return notice.event.type


def states(house: House, channel: str) -> list[str]:
    return [one.state for one in house.deliveries() if one.channel == channel]


def test_after_it_was_told_once_and_recovered_a_page_that_dies_is_told_again(house: House) -> None:
    house.hears(alert())
    house.drain()
    house.says("ack 1")
    house.pagerduty.fail_with = [down()]
    house.drain()
    house.clock.pass_by(seconds=50)
    house.pagerduty.fail_with = [down()]
    house.drain()
    house.watch.report_late_pages()
    house.clock.pass_by(seconds=2)
    house.drain()  # recovered
    house.hears(alert(firing=False))
    house.drain()
    house.clock.pass_by(minutes=10)
    house.hears(alert(starts_at=house.clock.at))
    house.pagerduty.fail_with = [down("401", permanent=True)]
    house.drain()

    assert states(house, "pagerduty")[-1] == "dead"
    told = [e.text for e in house.story() if e.type is EventType.MESSAGE_UNDELIVERED]
    assert len(told) == 2


def test_late_pages_of_new_incidents_are_told_though_fifty_others_are_late_and_told(house: House) -> None:
    for n in range(50):
        house.hears(alert(f"A{n}", group=f"g{n}"))
    house.clock.pass_by(seconds=50)
    house.watch.report_late_pages()
    for n in range(1, 51):
        house.says(f"ack {n}")
    house.hears(alert("New", group="new"))
    house.clock.pass_by(seconds=50)
    for _ in range(10):
        house.watch.report_late_pages()

    assert EventType.MESSAGE_UNDELIVERED in [e.type for e in house.story(51)]


def test_a_worsened_incidents_page_does_not_wait_behind_a_storm_of_warnings(house: House) -> None:
    house.pagerduty.limits = (RateLimit(count=20, per=timedelta(seconds=60)),)
    for n in range(100):
        house.hears(alert(f"W{n}", group=f"w{n}", severity="warning"))
    house.hears(alert("X", group="x", severity="warning"))
    house.drain(house.pagerduty)
    house.hears(alert("Y", group="x", severity="critical"))
    house.drain(house.pagerduty)
    house.clock.pass_by(seconds=61)
    house.drain(house.pagerduty)

    assert [n for n in house.pagerduty.given if n.incident.key == "x"]


def test_what_was_resolved_in_the_pager_is_not_triggered_there_afterwards(house: House) -> None:
    house.hears(alert())
    house.pagerduty.fail_with = [down("timed out, but it had arrived")]
    house.drain()
    house.says("resolve 1", place="pagerduty")
    house.clock.pass_by(seconds=5)
    house.drain()

    last = what(house.pagerduty.given[-1])
    assert len(house.pagerduty.given) == 1 or last is EventType.RESOLVED


def test_the_resolve_of_an_earlier_incident_does_not_close_the_page_of_the_next(house: House) -> None:
    house.hears(alert())
    house.drain()
    house.hears(alert(firing=False))
    house.clock.pass_by(minutes=61)
    house.pagerduty.fail_with = [down()]
    house.drain()
    house.hears(alert(starts_at=house.clock.at))
    house.drain()
    house.clock.pass_by(seconds=5)
    house.drain()

    assert len({n.incident.page_key for n in house.pagerduty.given}) == 1
    assert what(house.pagerduty.given[-1]) is EventType.OPENED


def test_a_pause_is_not_shortened_by_a_later_answer(house: House) -> None:
    house.hears(alert(group="a"), alert("B", group="b"))
    house.hears(alert("B", group="b"))
    one, two = house.claim(house.slack), house.claim(house.slack)
    house.delivery._give_back(one, down("429", after=timedelta(seconds=60)))
    house.delivery._give_back(two, down("429", after=timedelta(seconds=1)))
    house.clock.pass_by(seconds=2)
    house.drain(house.slack)

    assert house.slack.given == []


def test_the_first_holders_no_does_not_bury_the_lines_of_a_card_that_another_posted(house: House) -> None:
    house.hears(alert())
    slow = house.claim(house.slack)
    house.says("ack 1")
    house.clock.pass_by(seconds=31)
    house.watch.release_leases()
    house.slack.meanwhile = [lambda: house.delivery._give_back(slow, down("channel_not_found", permanent=True))]
    house.drain(house.slack)

    assert any(n.kind is MessageKind.LINE for n in house.slack.given)


def test_a_card_that_moved_on_while_an_edit_was_refused_is_sent(house: House) -> None:
    house.hears(alert())
    house.drain(house.slack)
    house.hears(alert("B"))
    house.slack.fail_with = [down("msg_too_long", permanent=True)]
    house.slack.meanwhile = [lambda: house.says("resolve 1")]
    house.drain(house.slack)

    cards = [n for n in house.slack.given if n.kind is MessageKind.CARD]
    assert cards[-1].incident.status is Status.RESOLVED


def test_an_edit_that_shows_an_ack_is_not_put_back_by_a_count(house: House) -> None:
    house.hears(alert())
    house.drain()
    house.says("ack 1")
    house.hears(alert("B"))
    house.hears(alert("C", group="c", severity="info"))
    house.drain(house.slack)

    cards = [n.incident.key for n in house.slack.given if n.kind is MessageKind.CARD]
    assert cards[1] == "api"


def test_an_answer_with_odd_characters_does_not_hold_a_page_for_ever(house: House) -> None:
    house.hears(alert())
    house.pagerduty.fail_with = [down("bad \x00 \ud800", permanent=True)]
    house.drain(house.pagerduty)

    assert states(house, "pagerduty") == ["dead"]


def test_one_fault_after_many_outages_does_not_bury_a_page(house: House) -> None:
    house.hears(alert())
    for _ in range(5):
        house.pagerduty.fail_with = [down()]
        house.drain(house.pagerduty)
        house.clock.pass_by(seconds=2)
    house.pagerduty.fail_with = [RuntimeError("once")]
    house.drain(house.pagerduty)

    assert states(house, "pagerduty") == ["owed"]


def test_the_newest_deliveries_are_shown(house: House) -> None:
    house.hears(alert())
    for n in range(600):
        house.says(f"note 1 n{n}")
    with house.store.begin() as tx:
        newest = tx.sql.scalar("SELECT max(id) FROM delivery")
    assert newest in [d.id for d in house.deliveries()]


def test_what_the_provider_took_is_not_sent_again_because_the_database_was_busy_for_a_moment(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.hears(alert())
    begin, calls = house.store.begin, list[str]()

    @contextmanager
    def busy_once(lane: str = "incidents", *, synced: bool = True) -> Iterator[Tx]:
        calls.append(lane)
        if len(calls) == 2:
            raise Unavailable("database is locked")
        with begin(lane, synced=synced) as tx:
            yield tx

    monkeypatch.setattr(house.store, "begin", busy_once)
    house.drain(house.slack)
    house.clock.pass_by(seconds=31)
    house.watch.release_leases()
    house.drain(house.slack)

    assert [n.ref for n in house.slack.given] == [None]


def test_while_the_database_is_down_senders_hear_of_it_together_not_one_lock_timeout_after_another(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []
    all_wait = threading.Event()

    @contextmanager
    def locked(lane: str = "incidents", **_: object) -> Iterator[Tx]:
        tried.append(lane)
        assert all_wait.wait(60)  # in place of the seconds of LOCK_TIMEOUT_S
        raise Unavailable("database is locked")
        yield

    monkeypatch.setattr(house.store, "begin", locked)
    monkeypatch.setattr(intake, "_BEHIND_S", 0.0)  # or nobody has waited for long enough when the first one is told
    answers: list[Future[IntakeResult]] = [Future() for _ in range(50)]
    for n, answer in enumerate(answers):
        alerts = tuple(alert(f"A{i}", fingerprint=f"{n}-{i}") for i in range(600))
        house.intake.take(AlertBatch(source="alertmanager", group="api", alerts=alerts), into(answer))
    all_wait.set()
    for answer in answers:
        with pytest.raises(NotStored):
            answer.result(60)

    assert len(tried) < 10


def test_a_page_that_hangs_is_late_too(house: House) -> None:
    house.hears(alert())
    house.clock.pass_by(seconds=50)
    house.pagerduty.meanwhile = [house.watch.report_late_pages]
    house.drain(house.pagerduty)

    assert EventType.MESSAGE_UNDELIVERED in [e.type for e in house.story()]


def test_a_bug_of_the_card_renderer_after_claim(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A message whose notification cannot be built is given up like any other that meets a bug."""
    house.hears(alert())
    monkeypatch.setattr(sender, "incident_card", lambda *_a, **_k: 1 / 0)
    for _ in range(8):
        house.drain(house.pagerduty)
        house.clock.pass_by(seconds=31)
        house.watch.release_leases()
    assert states(house, "pagerduty") == ["dead"]
