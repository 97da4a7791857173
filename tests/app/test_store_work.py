"""Periodic work on stores whose engines do not answer: each by itself, told, and over when one has answered."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from bot.alerts import internal
from bot.app.build_drills import end_of_removed_stores
from bot.app.store_work import StoreWork, WorkKind
from bot.core.backup import BackupStore
from tests.backups.drill_ground import NAME
from tests.backups.test_drill_tick import Night
from tests.house import House
from tests.running import until

pytestmark = pytest.mark.waits

SECOND = "prod/second"
REAPER = WorkKind(
    thread="reaper",
    alert="DrillReaperHangs",
    unknown="whether copies of drills are left behind",
    limit=timedelta(minutes=30),
)


class Stuck:
    """Work whose call for one store does not come back while it is closed."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.calls: list[str] = []

    def __call__(self, store: BackupStore) -> None:
        self.calls.append(store.name)
        if store.name == NAME:
            self.open.wait(60)


@pytest.fixture
def stuck() -> Iterator[Stuck]:
    work = Stuck()
    yield work
    work.open.set()


def replica(night: Night, work: Stuck) -> StoreWork:
    return StoreWork(
        kind=REAPER,
        work=work,
        stores={NAME: night.store, SECOND: replace(night.store, name=SECOND)},
        now=night.house.clock,
        take=night.take,
        firing=night.firing,
        clock=lambda: night.house.clock().timestamp(),
    )


def test_a_store_whose_engine_hangs_holds_up_no_other_one_and_is_called_once(house: House, stuck: Stuck) -> None:
    turns = replica(Night(house), stuck)

    def again() -> bool:
        turns.tick()
        return stuck.calls.count(SECOND) > 2

    until(again, "the other store has its turns")
    assert stuck.calls.count(NAME) == 1


def test_what_hangs_is_told_once_with_since_when_it_is_unknown_and_ends_with_an_answer(
    house: House, stuck: Stuck
) -> None:
    night = Night(house)
    turns = replica(night, stuck)
    turns.tick()
    until(lambda: NAME in stuck.calls, "it is called")
    house.clock.pass_by(minutes=29)
    turns.tick()
    assert night.fires() == []
    house.clock.pass_by(minutes=1)
    turns.tick()
    turns.tick()

    (told,) = night.firing(internal.drill_group(NAME))
    assert told.labels["alertname"] == "DrillReaperHangs"
    said = "2026-11-23 12:00 UTC has not ended; whether copies of drills are left behind is unknown since."
    assert said in told.annotations["summary"]

    night.ticks.look_after(night.store)
    assert night.fires() == ["DrillReaperHangs"], "what the rows say ends nothing that they do not know"
    stuck.open.set()
    until(lambda: night.fires() == [], "it has answered")


def test_another_replica_that_is_answered_ends_it_and_it_is_not_raised_again(house: House, stuck: Stuck) -> None:
    night, well = Night(house), Stuck()
    well.open.set()
    turns, other = replica(night, stuck), replica(night, well)
    turns.tick()
    until(lambda: NAME in stuck.calls, "it is called")
    house.clock.pass_by(minutes=30)
    turns.tick()
    assert night.fires() == ["DrillReaperHangs"]

    other.tick()
    until(lambda: night.fires() == [], "the other one is answered")
    house.clock.pass_by(hours=5)
    turns.tick()
    assert night.fires() == []


def test_what_fires_about_a_store_that_is_not_in_the_settings_any_more_ends(house: House) -> None:
    night = Night(house)
    gone = replace(night.store, name=SECOND)
    for store in (night.store, gone):
        night.take(internal.drill_trouble(store, "DrillFailed", "It failed.", house.clock()))

    end_of_removed_stores({NAME: night.store}, house.clock, night.take, night.firing)

    assert [one.labels["store"] for one in night.firing(internal.drill_group(""))] == [NAME]
