"""backups: every store, the worst first, and all that is known of one."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.backups.broken_engine import BrokenEngine
from bot.core.backup import BackupReader, BackupStore, DrillResult
from bot.store.backup_rows import StoredBackupRecords
from tests.backups.stores import DAY, HOUR, drill, store
from tests.fakes.backup_engine import BackupWorld, FakeBackupReader, FakeRestorer
from tests.house import ACCOUNTS, NOON, House

_PHONE = 62


class Kept:
    """The stores of a House, as its commands see them."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.world = BackupWorld(house.clock, lambda _: None)
        self.records = StoredBackupRecords(house.store)
        self.stores: dict[str, BackupStore] = {}
        self.add("prod/orders-db", FakeRestorer(self.world))
        house.tools = replace(house.tools, backups=self)
        house.settle(ACCOUNTS)

    def add(self, name: str, engine: BackupReader, **said: object) -> None:
        self.stores[name] = store(engine, **{"name": name, **said})

    def drilled(self, age: timedelta = DAY, result: DrillResult = DrillResult.PASSED, **said: object) -> None:
        number = len(self.records.list_drills("prod/orders-db"))
        self.records.put_drill(drill(age, result, run=f"{number:032d}", **said))

    def asked(self, words: str) -> list[str]:
        reply = self.house.says(words)
        assert reply.ok, reply.text
        return reply.text.splitlines()


@pytest.fixture
def kept(house: House) -> Kept:
    return Kept(house)


def test_one_store_with_all_that_is_known_of_it(kept: Kept) -> None:
    kept.world.interval = DAY
    for day in range(1, 5):
        kept.world.add_backup(f"b{day}", NOON - day * DAY, duration=HOUR / 6)
    kept.world.add_backup("b0", NOON - HOUR, problem="pg_restore cannot read it: it was cut off")
    kept.drilled(8 * DAY, rto=HOUR / 5, rpo=timedelta(minutes=9))
    kept.drilled(DAY, DrillResult.DAMAGED, rto=None, message="orders: 3 rows are missing")

    assert kept.asked("backups prod/orders-db") == [
        "prod/orders-db: RED (Fake). Times in UTC.",
        (
            "- The newest data that can be restored is of 2026-11-22 12:00 UTC; RPO 1 h."
            " b0 of 2026-11-23 11:00 UTC cannot be used: pg_restore cannot read it: it was cut off."
            " Since 2026-11-22 13:00 UTC."
        ),
        "- The last drill damaged: orders: 3 rows are missing. Since 2026-11-22 13:00 UTC.",
        "Read 2026-11-23 12:00 UTC.",
        "Newest data that can be restored: 11-22 12:00, 1 d old (RPO 1 h).",
        "Newest usable backup: b1 of 11-22 12:00, 10 GB, made in 10 min.",
        "Newest of any kind: b0 of 11:00, 10 GB; it cannot be used: pg_restore cannot read it: it was cut off.",
        "One backup every 1 d.",
        "Against the median of the last seven: size 100%, duration 100%.",
        "Drills: RTO 12 min (p50), 12 min (p95); promised 4 h.",
        "  11-22 12:00 damaged: orders: 3 rows are missing",
        "  11-15 12:00 passed, RTO 12 min, RPO 9 min",
        "Next drill: 11-29 12:00.",
        "To do: Find out why there is no newer backup, and make one: `backup prod/orders-db`.",
        "To do: Repair what it found, then: `drill prod/orders-db`.",
    ]


def test_all_stores_the_worst_first_in_lines_for_a_phone(kept: Kept) -> None:
    kept.world.point_in_time = True
    kept.world.add_backup("b1", NOON - DAY)
    kept.drilled(rto=HOUR / 5)
    kept.add("prod/cache", FakeBackupReader(kept.world))
    kept.add("prod/broken", BrokenEngine("rds", "no region is set"))
    for name in kept.stores:
        kept.asked(f"backups {name}")

    lines = kept.asked("backups")

    assert lines == [
        "1 UNKNOWN, 2 ok. 2026-11-23 12:00 UTC.",
        "prod/broken: UNKNOWN",
        "  unknown since 12:00",
        "  no drill has passed",
        (
            "  - It cannot be read: The engine rds could not be started: no region is set. Nothing was read."
            " Check the store's section in the settings, and what the engine needs on this host."
        ),
        "  - It was never drilled, so nobody knows that it restores; `drill prod/broken` makes one now.",
        "prod/cache: ok",
        "  data 1 min old, RPO 1 h",
        "  only read: no restore, no drill",
        "prod/orders-db: ok",
        "  data 1 min old, RPO 1 h",
        "  drill passed 11-22 12:00 in 12 min, RTO 4 h",
    ]
    assert max(len(line) for line in lines if " - " not in line) <= _PHONE


def test_a_store_that_nobody_has_looked_at_lately_is_looked_at_now(kept: Kept) -> None:
    kept.world.point_in_time = True
    kept.world.add_backup("b1", NOON - DAY)
    kept.drilled()

    assert kept.asked("backups")[1:3] == ["prod/orders-db: UNKNOWN", "  drill passed 11-22 12:00 in 1 h, RTO 4 h"]
    assert kept.asked("backups prod/orders-db")[0] == "prod/orders-db: ok (Fake). Times in UTC."

    kept.house.clock.pass_by(hours=2)
    assert kept.asked("backups")[1:3] == ["prod/orders-db: UNKNOWN", "  unknown since 12:00"]
    assert kept.asked("backups prod/orders-db")[1] == "Read 2026-11-23 14:00 UTC."


def test_a_store_that_cannot_be_read_is_answered_with_what_was_known(kept: Kept) -> None:
    kept.world.add_backup("b1", NOON - HOUR / 2)
    kept.drilled()
    kept.asked("backups prod/orders-db")
    kept.house.clock.pass_by(hours=2)
    kept.world.dark_until = NOON + DAY

    lines = kept.asked("backups prod/orders-db")

    assert lines[0] == "prod/orders-db: UNKNOWN (Fake). Times in UTC."
    assert "db.example:5432 does not answer" in lines[1]
    assert "Newest usable backup: b1 of 11:30, 10 GB." in lines


def test_of_many_stores_the_answer_still_is_one_message(kept: Kept) -> None:
    kept.world.add_backup("b1", NOON)
    for number in range(60):
        kept.add(f"prod/db-{number}", FakeRestorer(kept.world))
        kept.asked(f"backups prod/db-{number}")

    text = "\n".join(kept.asked("backups"))

    assert text.splitlines()[-1].startswith("... and ")
    assert len(text) < 4000


def test_a_store_that_does_not_exist_is_refused_with_those_that_do(kept: Kept) -> None:
    reply = kept.house.says("backups prod/order-db")

    assert not reply.ok
    assert reply.text == "There is no store prod/order-db. Nothing was done. Known: prod/orders-db."


def test_without_stores_it_says_what_to_set_up(house: House) -> None:
    reply = house.says("backups")

    assert (reply.ok, reply.text) == (
        False,
        "The settings have no stores of backups. Nothing was done. Add them under `backups.stores`.",
    )
