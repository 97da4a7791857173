"""An archive is restored beside the live database: once, complete or known not to be, and never over it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from bot.backups.ownership import owned
from bot.core.backup import (
    BackupTaker,
    Check,
    Copy,
    CopyState,
    CutoverEngine,
    RestorePoint,
    SentinelEngine,
)
from bot.core.errors import Conflict, Rejected
from bot.integrations.postgres import databases
from bot.integrations.postgres.connection import PostgresConnection
from bot.integrations.postgres.databases import DatabaseLabel, FoundDatabase, copy_name
from bot.integrations.programs.local import LocalPrograms
from tests.integrations.postgres.shop import Shop, copy_of

pytestmark = [pytest.mark.postgres, pytest.mark.waits]


def test_a_copy_has_the_rows_of_the_backup_and_the_live_one_keeps_its_own(shop: Shop) -> None:
    engine = shop.engine()
    shop.dump()
    saved = shop.checksum()
    shop.order(7, "coffee")
    task = shop.task(engine)

    status = shop.restored(engine, task)
    checks = engine.verify(task, [], lambda _: None)

    name = copy_name(shop.database, task.run, drill=False)
    assert status.state is CopyState.RESTORED
    assert (shop.checksum(name), shop.count(name), shop.count()) == (saved, 500, 507)
    assert [one for one in checks if not one.ok] == []


def test_the_engine_does_all_that_the_protocols_ask_for(shop: Shop) -> None:
    engine = shop.engine()

    cutover: CutoverEngine = engine
    taker: BackupTaker = engine
    sentinel: SentinelEngine = engine

    assert isinstance(cutover, CutoverEngine)
    assert isinstance(taker, BackupTaker)
    assert isinstance(sentinel, SentinelEngine)


def test_a_second_begin_of_the_same_run_does_nothing(shop: Shop) -> None:
    engine = shop.engine()
    shop.dump()
    task = shop.task(engine)
    shop.restored(engine, task)
    name = copy_name(shop.database, task.run, drill=False)
    with shop.connect(name) as copy:
        copy.change("DELETE FROM orders")

    engine.begin(task)
    again = shop.ended(engine, task)

    assert (again.state, shop.count(name)) == (CopyState.RESTORED, 0)


def test_a_restore_that_died_with_its_process_is_known_as_such_by_the_next(shop: Shop) -> None:
    shop.dump()
    engine = shop.engine()
    task = shop.task(engine)
    with shop.connect() as blocker:
        engine.begin(task)
        shop.programs.stop(f"restore-{task.run}")
        blocker.value("SELECT 1")

    shop.programs = LocalPrograms()
    status = shop.ended(shop.engine(), task)
    shop.engine().begin(task)

    assert status.state is CopyState.FAILED
    assert "ended before the copy was complete" in status.message
    assert shop.engine().look(task).state is CopyState.FAILED


def test_a_drills_copy_lets_nobody_in_and_is_removed_by_its_label(shop: Shop) -> None:
    with shop.live.connect("postgres") as admin:
        if not admin.value("SELECT 1 FROM pg_roles WHERE rolname = 'shop_app'"):
            admin.change("CREATE ROLE shop_app LOGIN")
    shop.dump()
    application = shop.url.replace("vakhta@", "shop_app@")
    engine = shop.engine(application_url=application)
    task = shop.task(engine, drill=True)
    shop.restored(engine, task)
    name = copy_name(shop.database, task.run, drill=True)

    leak = engine.isolation_leak(task)
    with shop.live.connect("postgres") as admin:
        admin.change("GRANT CONNECT ON DATABASE {name} TO PUBLIC", names={"name": name})
    opened = engine.isolation_leak(task)
    engine.remove(copy_of(engine, task))

    assert leak == ""
    assert "shop_app" in opened
    assert name not in shop.databases()
    assert engine.look(task).state is CopyState.ABSENT


def test_only_what_carries_the_label_of_the_run_is_removed(shop: Shop) -> None:
    engine = shop.engine()
    stranger = f"{shop.database}_restore_0badcafe"
    with shop.live.connect("postgres") as admin:
        admin.change("CREATE DATABASE {name}", names={"name": stranger})

    with pytest.raises(Rejected, match="not labelled"):
        engine.remove(Copy(run="0badcafe" * 4, name=stranger, created_at=None, drill=False))
    with pytest.raises(Rejected, match="not labelled"):
        engine.remove(Copy(run="0badcafe" * 4, name=shop.database, created_at=None, drill=False))

    assert {stranger, shop.database} <= shop.databases()


def test_an_archive_that_changed_since_the_plan_is_not_restored(shop: Shop) -> None:
    engine = shop.engine()
    shop.dump()
    task = shop.task(engine)
    shop.order(1)
    shop.dump()

    with pytest.raises(Conflict, match="has changed since the plan"):
        engine.begin(task)

    assert engine.look(task).state is CopyState.ABSENT


def test_what_cannot_be_restored_is_refused_with_its_reason(shop: Shop) -> None:
    engine = shop.engine()

    with pytest.raises(Rejected, match="No archive can be restored from"):
        engine.preview(RestorePoint(), drill=False)
    with pytest.raises(Rejected, match=r"There is no backup nope.dump"):
        engine.preview(RestorePoint(backup_id="nope.dump"), drill=False)


def test_checks_of_the_settings_find_what_differs(shop: Shop) -> None:
    engine = shop.engine()
    shop.dump()
    shop.order(500)
    task = shop.task(engine)
    shop.restored(engine, task)
    checks = [
        Check(name="orders", query="SELECT count(*) FROM orders", like_live=True, tolerance_percent=10),
        Check(name="customers", query="SELECT count(*) FROM customers", expect="0"),
        Check(name="gone", query="SELECT count(*) FROM invoices", expect="1"),
        Check(name="writes", query="DELETE FROM orders RETURNING 1", expect="1"),
    ]

    found = {one.name: one for one in engine.verify(task, checks, lambda _: None)}

    assert [found[name].ok for name in ("orders", "customers", "gone", "writes")] == [False, True, False, False]
    assert (found["orders"].expected, found["orders"].got) == ("1000 ± 10 % (the live one)", "500")
    assert "does not exist" in found["gone"].got
    assert "read-only" in found["writes"].got


def test_a_drills_copy_whose_process_died_before_it_was_labelled_is_found_by_its_run_and_removed(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.dump()
    engine = shop.engine()
    task = shop.task(engine, drill=True)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(databases, "write_label", killed)
        with pytest.raises(KeyboardInterrupt):
            engine.begin(task)
    name = copy_name(shop.database, task.run, drill=True)
    assert name in shop.databases()

    assert shop.engine().look(task).state is CopyState.FAILED
    ours = owned(engine.copies(), task.run, datetime.now(UTC))
    for copy in ours:
        engine.remove(copy)

    assert [one.name for one in ours] == [name]
    assert name not in shop.databases()


def test_a_look_while_the_copy_is_made_does_not_take_it_for_one_that_was_left(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.dump()
    engine = shop.engine()
    task = shop.task(engine, drill=True)
    seen: list[CopyState] = []
    write = databases.write_label

    def looked_at_first(connection: PostgresConnection, name: str, label: DatabaseLabel) -> None:
        if not seen:
            seen.append(engine.look(task).state)
        write(connection, name, label)

    monkeypatch.setattr(databases, "write_label", looked_at_first)

    assert shop.restored(engine, task).state is CopyState.RESTORED
    assert seen == [CopyState.WAITING]


def test_a_look_that_saw_no_label_reads_it_again_before_it_writes_another(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.dump()
    engine = shop.engine()
    task = shop.task(engine, drill=True)
    find, looks = databases.find, 0

    def without_its_label_once(connection: PostgresConnection, name: str) -> FoundDatabase | None:
        nonlocal looks
        found = find(connection, name)
        if found is None or found.label is None:
            return found
        looks += 1
        return replace(found, label=None, comment="") if looks == 1 else found

    engine.begin(task)
    monkeypatch.setattr(databases, "find", without_its_label_once)

    assert engine.look(task).state is not CopyState.FAILED
    assert shop.ended(engine, task).state is CopyState.RESTORED


def test_a_restore_that_ends_while_it_is_looked_at_has_not_failed(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.dump()
    engine = shop.engine()
    task = shop.task(engine)
    engine.begin(task)
    poll = shop.programs.poll

    def another_look_was_first(key: str) -> object:
        with monkeypatch.context() as real:
            real.setattr(shop.programs, "poll", poll)
            shop.ended(shop.engine(), task)
        raise LookupError(key)

    monkeypatch.setattr(shop.programs, "poll", another_look_was_first)

    assert engine.look(task).state is CopyState.RESTORED
