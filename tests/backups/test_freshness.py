"""Stores are looked at every few minutes, and what is wrong with one opens an incident, which ends by itself."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from bot.alerts import internal
from bot.backups.freshness import Freshness
from bot.backups.judging import StoreReport, Verdict
from bot.core.alert import Alert
from bot.core.backup import Backup, BackupReader, BackupStore, Inventory
from bot.core.incident import Incident, Status
from bot.store.backup_rows import StoredBackupRecords
from tests.backups.stores import HOUR, drill, store
from tests.fakes.backup_engine import BackupWorld, FakeBackupReader, FakeRestorer
from tests.house import House
from tests.running import until

pytestmark = pytest.mark.waits
_MINUTE = timedelta(minutes=1)


class Watched:
    """The stores of a House, and the process that looks at them. Looks are made at once, unless `threads`."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.world = BackupWorld(house.clock, lambda _: None)
        self.world.interval = None
        self.records = StoredBackupRecords(house.store)
        self.stores: dict[str, BackupStore] = {}
        self.reports: dict[str, StoreReport] = {}
        self.seconds = 0.0
        self.threads = False
        self.add("prod/orders-db", FakeRestorer(self.world))
        self.drilled()
        self.watch = self.process()

    def add(self, name: str, engine: BackupReader) -> None:
        self.stores[name] = store(engine, name=name)

    def process(self) -> Freshness:
        """Another life of the bot, or another replica."""

        def start(work: Callable[[], None], name: str) -> None:
            threading.Thread(target=work, name=name, daemon=True).start() if self.threads else work()

        return Freshness(
            self,
            now=self.house.clock,
            look_every=5 * _MINUTE,
            take=lambda batch, done: done(self.house.hears_all(batch)[0]),
            firing=self.firing,
            observe=lambda report, _: self.reports.update({report.store: report}),
            start=start,
            clock=lambda: self.seconds,
        )

    def firing(self) -> list[Alert]:
        with self.house.store.read() as reading:
            groups = (internal.BACKUPS, internal.QUIET_BACKUPS)
            return [one for prefix in groups for one in reading.firing_in_groups(internal.OWN, prefix)]

    def drilled(self, age: timedelta = timedelta(0), name: str = "prod/orders-db") -> None:
        at = self.house.clock() - age
        self.records.put_drill(drill(run=f"{name}-{at.timestamp():.0f}", began_at=at, finished_at=at, store=name))

    def backed_up(self, age: timedelta = timedelta(0), **said: object) -> Backup:
        return self.world.add_backup(f"b{len(self.world.backups)}", self.house.clock() - age, **said)

    def later(self, **much: float) -> None:
        """Time passes, tick by tick of every half hour at most."""
        left = timedelta(**much)
        while left > timedelta(0):
            step = min(left, HOUR / 2)
            self.house.clock.at += step
            left -= step
            self.watch.tick()

    def open(self) -> list[str]:
        """The unresolved incidents, by their alerts' names."""
        return sorted(one.labels["alertname"] for one in self.firing())

    def incident(self) -> Incident:
        return self.house.incidents()[-1]


@pytest.fixture
def watched(house: House) -> Watched:
    return Watched(house)


def test_a_store_that_is_as_promised_opens_nothing(watched: Watched) -> None:
    watched.backed_up()

    watched.watch.tick()

    assert watched.house.incidents() == []
    assert watched.reports["prod/orders-db"].verdict is Verdict.OK


def test_data_older_than_the_rpo_pages_and_a_new_backup_resolves_it(watched: Watched) -> None:
    watched.backed_up()
    watched.later(hours=2)

    assert watched.open() == ["BackupTooOld"]
    opened = watched.incident()
    watched.house.drain()
    assert (opened.severity, opened.source) == ("critical", "vakhta")
    assert len(watched.house.pagerduty.given) == 1
    (firing,) = watched.firing()
    assert firing.annotations["summary"] == (
        "prod/orders-db: The newest data that can be restored is of 2026-11-23 12:00 UTC; RPO 1 h."
    )
    assert "backup prod/orders-db" in firing.annotations["description"]
    assert firing.starts_at == watched.house.clock() - HOUR

    watched.backed_up()
    watched.later(minutes=10)

    assert watched.house.incident(opened.id).status is Status.RESOLVED
    assert watched.open() == []


def test_a_trouble_that_goes_on_is_told_once(watched: Watched) -> None:
    watched.backed_up()
    watched.later(hours=8)

    assert len(watched.house.incidents()) == 1
    assert len([event for event in watched.house.story() if "TooOld" in event.text]) <= 1


def test_a_gap_in_the_log_pages(watched: Watched) -> None:
    watched.world.point_in_time = True
    watched.backed_up()
    watched.world.gap = "3 segments lost since 09:40 UTC"

    watched.watch.tick()

    assert watched.open() == ["BackupLogGap"]
    watched.house.drain()
    assert len(watched.house.pagerduty.given) == 1


def test_a_late_backup_and_a_store_that_was_never_drilled_wake_nobody(house: House) -> None:
    watched = Watched(house)
    watched.add("prod/other", FakeRestorer(watched.world))
    watched.world.interval = timedelta(minutes=20)
    watched.backed_up(timedelta(minutes=31))

    watched.watch.tick()
    house.drain()

    assert watched.open() == ["BackupLate", "BackupLate", "BackupNotDrilled"]
    assert house.pagerduty.given == []
    assert house.slack.given

    watched.drilled(name="prod/other")
    watched.backed_up()
    watched.later(minutes=6)
    assert watched.open() == []


def test_a_drill_that_is_overdue_opens_an_incident(watched: Watched) -> None:
    watched.world.point_in_time = True
    watched.backed_up()
    watched.later(days=14, hours=1)

    assert watched.open() == ["BackupNotDrilled"]


def test_a_store_that_cannot_be_read_alarms_after_an_hour_and_ends_when_it_answers(watched: Watched) -> None:
    watched.world.point_in_time = True
    watched.backed_up()
    watched.watch.tick()
    watched.world.dark_until = watched.house.clock() + 3 * HOUR
    watched.later(minutes=60)

    assert watched.open() == []
    assert watched.reports["prod/orders-db"].verdict is Verdict.UNKNOWN

    watched.later(minutes=60)
    assert watched.open() == ["BackupUnknown"]
    assert "db.example:5432 does not answer" in watched.firing()[0].annotations["summary"]

    watched.later(hours=2)
    assert watched.open() == []
    assert watched.incident().status is Status.RESOLVED


def test_what_cannot_be_read_neither_breaks_nor_heals_what_was_known_of_it(watched: Watched) -> None:
    watched.backed_up()
    watched.later(hours=2)
    watched.world.dark_until = watched.house.clock() + 3 * HOUR
    watched.backed_up()

    watched.later(hours=2)

    assert watched.open() == ["BackupTooOld", "BackupUnknown"]
    watched.later(hours=1)
    watched.backed_up()
    watched.later(minutes=6)
    assert watched.open() == []


def test_the_end_is_told_by_a_process_that_did_not_see_the_beginning(watched: Watched) -> None:
    watched.backed_up()
    watched.later(hours=2)
    watched.watch = watched.process()
    watched.backed_up()

    watched.later(minutes=6)

    assert watched.open() == []


def test_a_store_that_is_gone_from_the_settings_ends_its_incidents(watched: Watched) -> None:
    watched.backed_up()
    watched.later(hours=2)
    del watched.stores["prod/orders-db"]
    watched.watch = watched.process()

    watched.watch.tick()

    assert watched.open() == []
    assert watched.incident().status is Status.RESOLVED


def test_two_replicas_open_one_incident_and_end_it_once(watched: Watched) -> None:
    other = watched.process()
    watched.backed_up()
    watched.later(hours=2)
    other.tick()

    assert len(watched.house.incidents()) == 1

    watched.backed_up()
    watched.later(minutes=6)
    other.tick()
    assert len(watched.house.incidents()) == 1
    assert watched.open() == []


def test_an_incident_that_a_person_resolves_comes_back_only_after_hours(watched: Watched) -> None:
    watched.backed_up()
    watched.later(hours=2)
    watched.house.says("resolve 1")

    watched.later(hours=3)
    assert watched.house.incident().status is Status.RESOLVED

    watched.later(hours=2)
    assert watched.house.incident().status is Status.OPEN


def test_a_new_trouble_after_one_that_a_person_resolved_is_told_at_once(watched: Watched) -> None:
    watched.backed_up()
    watched.later(hours=2)
    watched.house.says("resolve 1")
    watched.backed_up()
    watched.later(minutes=30)

    watched.later(hours=1)

    assert watched.open() == ["BackupTooOld"]


class Stuck:
    """An engine that answers when the test lets it."""

    title = "Stuck"

    def __init__(self) -> None:
        self.asked = 0
        self.free = threading.Event()

    def inventory(self) -> Inventory:
        self.asked += 1
        self.free.wait(60)
        return Inventory()


class Buggy:
    title = "Buggy"

    def inventory(self) -> Inventory:
        raise ZeroDivisionError("a bug")


def test_an_engine_that_hangs_delays_no_other_store_is_asked_once_and_is_unknown(watched: Watched) -> None:
    stuck = Stuck()
    watched.add("prod/hung", stuck)
    watched.threads = True
    watched.backed_up()

    watched.watch.tick()
    until(lambda: watched.records.get_look("prod/orders-db") is not None, "the other store is looked at")
    watched.seconds = 200
    watched.later(minutes=30)
    until(lambda: watched.records.get_look("prod/hung") is not None, "the one that hangs is given up")

    seen = watched.records.get_look("prod/hung")
    assert seen is not None
    assert (seen.problem, stuck.asked) == ("it did not answer within 3 min", 1)
    stuck.free.set()
    until(lambda: (watched.records.get_look("prod/hung") or seen).problem == "", "its late answer counts")


def test_a_bug_in_an_engine_is_a_store_that_is_unknown_and_ends_no_other_look(watched: Watched) -> None:
    watched.add("prod/buggy", Buggy())
    watched.threads = True
    watched.backed_up()

    watched.watch.tick()

    until(lambda: watched.records.get_look("prod/buggy") is not None, "the look has failed")
    until(lambda: watched.records.get_look("prod/orders-db") is not None, "the other look is made")
    seen = watched.records.get_look("prod/buggy")
    assert seen is not None
    assert seen.problem.startswith("its engine failed in a way that nobody expected")


class NoZone(FakeBackupReader):
    """Its moments have no time zone, so that they cannot be compared with ours."""

    def inventory(self) -> Inventory:
        return Inventory(backups=(Backup(id="b", data_at=datetime(2026, 11, 23, 11)),))  # noqa: DTZ001


def test_what_cannot_be_judged_is_unknown_and_keeps_no_other_store_from_its_alarm(watched: Watched) -> None:
    watched.stores = {"prod/a": store(NoZone(watched.world), name="prod/a"), **watched.stores}
    watched.backed_up(2 * HOUR)
    watched.watch.tick()
    watched.later(hours=3)

    assert {"BackupTooOld", "BackupUnknown"} <= set(watched.open())


def test_a_store_is_looked_at_as_often_as_the_settings_say_by_one_of_the_replicas(watched: Watched) -> None:
    counted: list[datetime] = []

    class Counting(FakeBackupReader):
        def inventory(self) -> Inventory:
            counted.append(watched.house.clock())
            return super().inventory()

    watched.add("prod/orders-db", Counting(watched.world))
    for _ in range(10):
        watched.watch.tick()
        watched.house.clock.pass_by(minutes=1)

    assert len(counted) == 2
