"""Stores are built of the settings: engines when they are asked for, and a broken one stops nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.access.authorizer import Authorizer
from bot.access.conditions import Conditions
from bot.access.policy import Policy, Role, Rule
from bot.app.build_backups import build_backups, build_freshness
from bot.app.build_chatops import facilities_of
from bot.app.build_tools import build_tools
from bot.app.cli import live_check
from bot.config import backup_engines
from bot.config.settings import Settings
from bot.core.backup import BackupStore, Check, Restorer
from bot.core.errors import Rejected
from bot.core.manual import Facility
from bot.core.request import Principal, Request
from bot.lib.metrics import Metrics
from bot.store.backup_rows import StoredBackupRecords
from tests.backups.stores import drill, world
from tests.fakes import backup_settings
from tests.fakes.backup_settings import WORLDS
from tests.house import NOON, House
from tests.running import until

pytestmark = pytest.mark.waits


@pytest.fixture(autouse=True)
def _fake_engines(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    known = {**backup_engines.ENGINES, "fake": backup_settings.RESTORES, "fake-reads": backup_settings.READS}
    monkeypatch.setattr(backup_engines, "ENGINES", known)
    WORLDS["orders"] = world()
    yield
    WORLDS.clear()


def settings(*stores: dict[str, Any]) -> Settings:
    return Settings.model_validate({"backups": {"stores": list(stores)}})


def section(name: str = "prod/orders-db", **said: Any) -> dict[str, Any]:
    given = {"name": name, "engine": "fake", "rpo": "1h", "rto": "4h", "where": {"folder": "/b/orders"}}
    return given | said


def built(house: House, *stores: dict[str, Any]) -> dict[str, BackupStore]:
    backups = build_backups(settings(*stores), StoredBackupRecords(house.store), house.clock)
    assert backups is not None
    return dict(backups.stores)


def test_a_store_has_what_the_settings_say_and_its_engine_can_restore(house: House) -> None:
    checks = [
        {"name": "rows", "query": "select count(*) from orders", "like_live": True, "tolerance_percent": 1},
        {"name": "schema", "query": "select max(version) from migrations", "expect": 42},
    ]
    drill = {"every": "7d", "during": "Sat 02:00-06:00 Europe/Berlin", "at_most": "2h", "sentinel": False}

    made = built(house, section(checks=checks, drill=drill, keep_old="2d"))["prod/orders-db"]

    assert isinstance(made.engine, Restorer)
    assert made.checks == (
        Check(name="rows", query="select count(*) from orders", like_live=True, tolerance_percent=1),
        Check(name="schema", query="select max(version) from migrations", expect="42"),
    )
    assert (made.drill.every, made.drill.at_most, made.drill.sentinel) == (timedelta(days=7), timedelta(hours=2), False)
    assert [one.written for one in made.drill.during] == ["Sat 02:00-06:00 Europe/Berlin"]
    assert (made.keep_old, made.where) == (timedelta(days=2), "/b/orders")


def test_an_engine_that_cannot_be_made_is_a_store_that_says_why_and_the_others_work(house: House) -> None:
    broken = section("prod/broken", where={"folder": "/b/orders", "stanza": "broken"})

    made = built(house, broken, section())

    assert made["prod/orders-db"].engine.inventory().backups == ()
    with pytest.raises(Rejected, match="The engine fake could not be started: No module named 'sdk_of_the_fake'"):
        made["prod/broken"].engine.inventory()


def test_an_error_of_an_sdk_that_nobody_knows_breaks_its_own_store_alone(house: House) -> None:
    made = built(house, section("prod/broken", where={"folder": "/b/orders", "stanza": "sdk"}), section())

    assert made["prod/orders-db"].engine.inventory().backups == ()
    with pytest.raises(Rejected, match="The engine fake could not be started: ErrorOfSdk; see the log"):
        made["prod/broken"].engine.inventory()


def test_an_engine_that_could_not_be_made_is_made_when_it_can_be(house: House) -> None:
    del WORLDS["orders"]
    backups = build_backups(settings(section()), StoredBackupRecords(house.store), house.clock)
    assert backups is not None
    assert not isinstance(backups.stores["prod/orders-db"].engine, Restorer)

    WORLDS["orders"] = world()

    assert isinstance(backups.stores["prod/orders-db"].engine, Restorer)
    assert backups.stores["prod/orders-db"] is backups.stores["prod/orders-db"]


def test_no_engine_is_made_before_it_is_asked_for(house: House) -> None:
    made: list[str] = []
    backups = build_backups(
        settings(section()),
        StoredBackupRecords(house.store),
        house.clock,
        lambda one: made.append(one.name),  # type: ignore[arg-type, return-value]
    )

    assert backups is not None
    assert (list(backups.stores), made) == (["prod/orders-db"], [])


def test_without_stores_there_are_no_backups_and_their_verbs_are_not_listed(house: House) -> None:
    records = StoredBackupRecords(house.store)

    assert build_tools(settings(), house.clock, records=records).backups is None
    assert Facility.BACKUPS not in facilities_of(settings(), {}, silences=False)
    assert build_tools(settings(section()), house.clock, records=records).backups is not None
    assert Facility.BACKUPS in facilities_of(settings(section()), {}, silences=False)


def live(*stores: dict[str, Any]) -> tuple[bool, list[str]]:
    report = live_check.check(settings(*stores))
    return report.whole, [" ".join(line.split()) for line in report.lines[:-1]]


def test_the_live_check_reads_each_store() -> None:
    WORLDS["orders"].add_backup("b1", NOON)
    WORLDS["orders"].point_in_time = True

    whole, lines = live(section())

    assert whole
    assert lines == [
        (
            "backups.stores[0] ok prod/orders-db: Fake: 1 backup, the newest usable one is b1 of 2026-11-23 12:00 UTC,"
            " 10 GB, any moment from 2026-11-23 12:00 UTC to 2026-11-23 11:59 UTC."
        )
    ]


def test_the_live_check_refuses_a_store_that_could_not_be_restored_as_it_stands() -> None:
    WORLDS["orders"].add_backup("b1", NOON)
    WORLDS["orders"].blockers = ("Its volumes are hostPath, which this backup skips.",)
    WORLDS["none"] = world()
    WORLDS["bad"] = world()
    WORLDS["bad"].add_backup("b2", NOON, problem="it was cut off")

    whole, lines = live(section(), *(section(f"prod/{one}", where={"folder": f"/b/{one}"}) for one in ("none", "bad")))

    assert not whole
    assert lines == [
        (
            "backups.stores[0] fault prod/orders-db: Nothing could be restored as it stands: Its volumes are hostPath,"
            " which this backup skips."
        ),
        "backups.stores[1] fault prod/none: Nothing could be restored: there are no backups.",
        (
            "backups.stores[2] fault prod/bad: Nothing could be restored: no backup is usable; the newest, b2:"
            " it was cut off"
        ),
    ]


def test_a_store_that_does_not_answer_is_no_answer_and_a_broken_engine_a_fault() -> None:
    WORLDS["orders"].dark_until = NOON + timedelta(hours=1)

    whole, lines = live(section(), section("prod/broken", where={"folder": "/b/orders", "stanza": "broken"}))

    assert not whole
    assert lines[0].startswith("backups.stores[0] no answer prod/orders-db: db.example:5432 does not answer.")
    assert lines[1].startswith("backups.stores[1] fault prod/broken: The engine fake could not be started")


def test_each_engine_that_the_settings_know_has_a_class_and_a_title(tmp_path: Path) -> None:
    for word in backup_engines.ENGINES:
        assert getattr(backup_engines.engine_class(word), "title", ""), word


def test_what_is_found_is_in_the_metrics_and_what_is_not_known_has_no_series(house: House) -> None:
    meters = Metrics()
    given = settings(section(), section("prod/dark", where={"folder": "/b/dark"}))
    WORLDS["dark"] = world()
    WORLDS["dark"].dark_until = NOON + timedelta(hours=1)
    WORLDS["orders"].add_backup("b1", NOON - timedelta(minutes=30), size_bytes=5)
    for hours in range(1, 8):
        WORLDS["orders"].add_backup(f"old{hours}", NOON - timedelta(hours=hours), size_bytes=10)
    records = StoredBackupRecords(house.store)
    records.put_drill(drill(rpo=timedelta(minutes=5)))
    backups = build_backups(given, records, house.clock)
    assert backups is not None
    watch = build_freshness(given, backups, house.store, lambda batch, done: done(house.hears_all(batch)[0]), meters)

    watch.tick()
    until(lambda: all(records.get_look(name) for name in backups.stores), "both stores are looked at")
    watch.tick()

    told = {line for line in meters.text(()).decode().splitlines() if "vakhta_" in line and "store=" in line}
    assert told == {
        'vakhta_backup_age_seconds{store="prod/orders-db"} 1800.0',
        'vakhta_backup_size_ratio{store="prod/orders-db"} 0.5',
        'vakhta_backup_usable{store="prod/orders-db"} 1.0',
        'vakhta_backup_usable{store="prod/dark"} 0.0',
        'vakhta_restore_seconds{store="prod/orders-db"} 3600.0',
        'vakhta_drill_passed{store="prod/orders-db"} 1.0',
        'vakhta_drill_age_seconds{store="prod/orders-db"} 86400.0',
        'vakhta_drill_rpo_seconds{store="prod/orders-db"} 300.0',
        'vakhta_drill_rto_seconds{store="prod/orders-db"} 3600.0',
    }


def test_rules_for_the_service_of_a_store_and_its_environment_count_for_the_store(house: House) -> None:
    in_production = Rule(do="backups *", when=Conditions(environment=("production",)))
    policy = Policy([Role(name="viewer", allow=(in_production,))])
    person = Principal(id="vic", name="Vic", roles=frozenset({"viewer"}))
    rights = Authorizer(
        policy=policy,
        linking=house.linking,
        environments={"prod/orders": "production", "test/orders": "test"},
        stores={"prod/orders-db": "prod/orders", "test/orders-db": "test/orders"},
    )

    def may(store: str) -> bool:
        with house.store.begin() as tx:
            request = Request(by=person, text=f"backups {store}", channel="slack", account="U9")
            return rights.decide_action(tx, request, "backups", store).allowed

    assert may("prod/orders-db")
    assert not may("test/orders-db")
