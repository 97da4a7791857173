"""The database keeps its promises: migrated, one writer at a time, durable, atomic."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import inspect

from bot.core.audit import Code
from bot.core.request import UNKNOWN_PRINCIPAL, Request
from bot.store import migrating
from bot.store.connections import is_newest
from bot.store.engine import Store
from tests.house import NOON, House, alert
from tests.running import until

pytestmark = pytest.mark.waits


def test_the_migrations_make_exactly_the_tables_of_the_code(store_url: str) -> None:
    store = Store(store_url)

    assert migrating.differences(store) == []
    store.close()


def test_what_a_storm_writes_has_foreign_keys_in_sqlite_only(store_url: str) -> None:
    store = Store(store_url)
    with store.connected() as connection:
        look = inspect(connection)
        held = {name: len(look.get_foreign_keys(name)) for name in ("alert", "event", "delivery", "audit_seal")}
    store.close()

    assert held == ({"alert": 1, "event": 1, "delivery": 2} if store.sqlite else dict.fromkeys(held, 0)) | {
        "audit_seal": 1
    }


def test_a_database_of_this_version_is_told_without_alembic(store_url: str) -> None:
    newest = ScriptDirectory.from_config(migrating.config()).get_current_head()
    store = Store(store_url)
    told = []
    for noted in (newest, "0011", "9999"):
        with store.connected() as connection:
            connection.exec_driver_sql(f"UPDATE alembic_version SET version_num = '{noted}'")
            told.append(is_newest(connection))
    with store.connected() as connection:
        connection.exec_driver_sql("DROP TABLE alembic_version")
        told.append(is_newest(connection))
    store.close()

    assert told == [True, False, False, False]


def test_migrating_twice_does_nothing(store_url: str) -> None:
    store = Store(store_url)

    migrating.migrate(store)

    assert migrating.differences(store) == []
    store.close()


def test_eight_writers_lose_no_update(store_url: str) -> None:
    store = Store(store_url)

    def add() -> None:
        for _ in range(25):
            with store.begin() as tx:
                row = tx.sql.scalar("SELECT until FROM pause WHERE channel = 'c'") or 0
                tail = "ON CONFLICT (channel) DO UPDATE SET until = excluded.until"
                tx.sql.insert("pause", ("channel", "until", "said"), [("c", row + 1, "")], tail)

    threads = [threading.Thread(target=add) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    with store.begin() as tx:
        assert tx.sql.scalar("SELECT until FROM pause") == 200
    store.close()


def test_what_raises_inside_a_transaction_leaves_nothing_behind(store_url: str) -> None:
    store = Store(store_url)

    def half() -> None:
        with store.begin() as tx:
            tx.save_reply("slack", "once", "said", ok=True)
            raise KeyError

    with pytest.raises(KeyError):
        half()

    with store.begin() as tx:
        assert tx.find_reply("slack", "once") is None
    store.close()


def test_events_are_numbered_in_the_order_of_their_commits(house: House) -> None:
    threads = [threading.Thread(target=house.hears, args=(alert(fingerprint=str(n), group=str(n)),)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    with house.store.read() as reading:
        ids = [number for number, _ in reading.events_since(0, 100)]
        assert ids == list(range(1, 17))
        assert [number for number, _ in reading.events_since(10, 3)] == [11, 12, 13]
        assert reading.newest_event() == 16


def test_a_page_of_incidents_is_newest_first_and_goes_on_where_the_last_ended(house: House) -> None:
    for number in range(5):
        house.hears(alert(fingerprint=str(number), group=str(number)))
    house.says("resolve 4")

    with house.store.read() as reading:
        assert [one.id for one in reading.incidents(limit=2)] == [5, 4]
        assert [one.id for one in reading.incidents(limit=2, before=4)] == [3, 2]
        assert [one.id for one in reading.incidents(status=house.incident(4).status)] == [4]
    with house.store.begin() as tx:
        assert [one.id for one in tx.unresolved(200)] == [5, 3, 2, 1]


def test_acts_that_are_older_than_three_days_are_forgotten(house: House) -> None:
    act = Request(by=UNKNOWN_PRINCIPAL, text="ack 1", channel="slack", idempotency_key="x")
    first = [house.dispatcher.record_refusal(act, "a guest") for _ in range(2)]

    house.clock.pass_by(hours=73)
    house.watch.delete_old()

    assert [*first, house.dispatcher.record_refusal(act, "a guest")] == [False, True, False]
    assert house.audited() == [Code.DENIED] * 2


def test_sqlite_is_opened_so_that_a_commit_is_on_the_disk(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path}/vakhta.db", now=lambda: NOON)
    with store.begin() as tx:
        settings = {
            name: tx.sql.scalar(f"PRAGMA {name}")
            for name in ("journal_mode", "synchronous", "foreign_keys", "wal_autocheckpoint")
        }

    assert settings == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "wal_autocheckpoint": 0}
    store.close()


def test_only_a_transaction_that_says_so_may_be_undone_by_a_power_failure(store_url: str) -> None:
    store = Store(store_url)

    def durable(*, synced: bool) -> bool:
        with store.begin(synced=synced) as tx:
            if tx.sql.postgres:
                return bool(tx.sql.scalar("SELECT current_setting('synchronous_commit')") == "on")
            return bool(tx.sql.scalar("PRAGMA synchronous") == 2)

    assert [durable(synced=one) for one in (True, False, True)] == [True, False, True]
    store.close()


def test_sqlites_log_is_folded_into_the_file_beside_the_commits(tmp_path: Path) -> None:
    path = tmp_path / "vakhta.db"
    store = Store(f"sqlite:///{path}")
    migrating.migrate(store)
    store.start()

    def folded() -> bool:
        with sqlite3.connect(path) as other:
            _, pages, moved = other.execute("PRAGMA wal_checkpoint(NOOP)").fetchone() or (0, 0, 0)
        return bool(pages == moved)

    until(lambda: path.stat().st_size > 4096 and folded(), "the log is folded")
    store.close()


def test_a_store_in_memory_is_refused_because_it_would_forget(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="have to outlive the process"):
        Store("sqlite://")
