"""A restored copy takes the place of the live database, under writes, and gives it back, whatever a crash cut off."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from bot.core.backup import CopyState, CutoverState, RestoreTask
from bot.core.errors import Conflict, OutcomeUnknown, Rejected
from bot.integrations.postgres.backups import PostgresEngine
from bot.integrations.postgres.databases import copy_name, old_name
from tests.integrations.postgres.shop import Shop
from tests.running import until

pytestmark = [pytest.mark.postgres, pytest.mark.waits]
_CUT, _UNDO = "c0ffee00" * 4, "deadbeef" * 4


class Killed(BaseException):
    """As SIGKILL: no handler of the code runs for it."""


@pytest.fixture
def engine(shop: Shop) -> PostgresEngine:
    return shop.engine()


@pytest.fixture
def task(shop: Shop, engine: PostgresEngine) -> RestoreTask:
    """A copy with 500 orders, while the live one has 507."""
    shop.dump()
    shop.order(7, "coffee")
    task = shop.task(engine)
    assert shop.restored(engine, task).state is CopyState.RESTORED
    return task


def _old(shop: Shop) -> str:
    return old_name(shop.database, _CUT)


def _copy(shop: Shop, task: RestoreTask) -> str:
    return copy_name(shop.database, task.run, drill=False)


def _quiet(_: str) -> None:
    pass


@contextmanager
def _writing(shop: Shop) -> Iterator[list[int]]:
    """A client that inserts all the time, and connects again when it is thrown out. How often it succeeded."""
    done, stop = [0], threading.Event()

    def work() -> None:
        while not stop.is_set():
            try:
                with shop.connect() as connection:
                    while not stop.is_set():
                        connection.change("INSERT INTO orders (item) VALUES ('live')")
                        done[0] += 1
            except (Rejected, OutcomeUnknown):
                continue

    thread = threading.Thread(target=work)
    thread.start()
    try:
        until(lambda: done[0] > 20, "the client writes", within_s=60)
        yield done
    finally:
        stop.set()
        thread.join(60)


def test_cut_over_under_writes_puts_the_copy_in_place_and_keeps_every_acknowledged_row_of_the_old(
    shop: Shop, engine: PostgresEngine, task: RestoreTask
) -> None:
    with _writing(shop) as done:
        engine.cut_over(task, _CUT, _quiet)
        at_cut = done[0]
        until(lambda: done[0] > at_cut + 5, "the client writes to the new one", within_s=60)
    total = done[0]

    with shop.live.connect("postgres") as admin:
        admin.change("ALTER DATABASE {name} ALLOW_CONNECTIONS true", names={"name": _old(shop)})
    assert engine.look_cutover(task, _CUT).state is CutoverState.NEW
    assert shop.count() - 500 + shop.count(_old(shop)) - 507 >= total
    assert shop.count(_old(shop)) > 507


def test_undo_brings_the_old_one_back_and_keeps_the_copy(shop: Shop, engine: PostgresEngine, task: RestoreTask) -> None:
    before = shop.checksum()
    engine.cut_over(task, _CUT, _quiet)
    shop.order(3, "new")

    refusal = engine.undo_refusal(task, _CUT)
    engine.undo_cutover(task, _CUT, _quiet)

    assert refusal == ""
    assert engine.look_cutover(task, _CUT).state is CutoverState.OLD
    assert (shop.checksum(), shop.count(_copy(shop, task))) == (before, 503)


def test_undo_is_refused_where_both_were_written_to(shop: Shop, engine: PostgresEngine, task: RestoreTask) -> None:
    engine.cut_over(task, _CUT, _quiet)
    with shop.live.connect("postgres") as admin:
        admin.change("ALTER DATABASE {name} ALLOW_CONNECTIONS true", names={"name": _old(shop)})
    with shop.connect(_old(shop)) as old:
        old.change("DELETE FROM orders WHERE id = 1")
    before_new = engine.undo_refusal(task, _CUT)
    shop.order(1, "new")
    until(lambda: engine.undo_refusal(task, _CUT) != "", "the counters tell of the new row", within_s=30)

    with pytest.raises(Conflict, match="Both may have been written to since the cutover"):
        engine.undo_cutover(task, _CUT, _quiet)

    assert before_new == ""
    assert (shop.count(), shop.count(_old(shop))) == (501, 506)


def test_owner_rights_and_settings_of_the_database_go_along(shop: Shop, engine: PostgresEngine) -> None:
    with shop.live.connect("postgres") as admin:
        for role in ("shop_owner", "shop_app"):
            if not admin.value("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]):
                admin.change("CREATE ROLE {role} LOGIN", names={"role": role})
        names = {"name": shop.database}
        admin.change("ALTER DATABASE {name} OWNER TO shop_owner", names=names)
        admin.change("REVOKE ALL ON DATABASE {name} FROM PUBLIC", names=names)
        admin.change("GRANT CONNECT ON DATABASE {name} TO shop_app", names=names)
        admin.change("ALTER DATABASE {name} SET search_path = shop, public", names=names)
        admin.change("ALTER DATABASE {name} SET shop.tenant = 'a, b'", names=names)
        admin.change("ALTER ROLE shop_app IN DATABASE {name} SET work_mem = '5MB'", names=names)
        admin.change("ALTER DATABASE {name} CONNECTION LIMIT 90", names=names)
    with shop.connect() as connection:
        connection.change("ALTER TABLE orders OWNER TO shop_owner")
        connection.change("GRANT SELECT ON orders TO shop_app")
    shop.dump()
    task = shop.task(engine)
    shop.restored(engine, task)
    told = (
        "SELECT pg_get_userbyid(datdba), datacl::text, datconnlimit, (SELECT array_agg(setrole::regrole::text || "
        "setconfig::text ORDER BY 1) FROM pg_db_role_setting s WHERE setdatabase = d.oid)"
        " FROM pg_database d WHERE datname = %s"
    )
    with shop.live.connect("postgres") as admin:
        before = admin.rows(told, [shop.database])

    engine.cut_over(task, _CUT, _quiet)

    with shop.live.connect("postgres") as admin:
        assert admin.rows(told, [shop.database]) == before
    with shop.connect() as connection:
        assert connection.value("SELECT has_table_privilege('shop_app', 'orders', 'SELECT')")
        assert connection.value("SELECT tableowner FROM pg_tables WHERE tablename = 'orders'") == "shop_owner"


@pytest.mark.parametrize(
    "step", [3, 4, *(pytest.param(one, marks=pytest.mark.slow) for one in (1, 2, 5))], ids=lambda step: f"step {step}"
)
def test_a_cutover_that_was_killed_at_any_step_goes_on_or_goes_back(
    shop: Shop, engine: PostgresEngine, task: RestoreTask, step: int
) -> None:
    with pytest.raises(Killed):
        engine.cut_over(task, _CUT, _dies_at(step))
    stopped = shop.engine().look_cutover(task, _CUT)

    shop.engine().cut_over(task, _CUT, _quiet)
    swapped = (shop.engine().look_cutover(task, _CUT).state, shop.count())
    with pytest.raises(Killed):
        shop.engine().undo_cutover(task, _CUT, _dies_at(min(step, 4) - 1 or 1))
    shop.engine().undo_cutover(task, _CUT, _quiet)

    assert stopped.state in (CutoverState.OLD, CutoverState.PARTIAL)
    assert (stopped.state is CutoverState.PARTIAL) == (step > 2)
    assert swapped == (CutoverState.NEW, 500)
    assert (shop.engine().look_cutover(task, _CUT).state, shop.count()) == (CutoverState.OLD, 507)


def _dies_at(step: int) -> Callable[[str], None]:
    """Before the step of that number."""
    said = []

    def report(text: str) -> None:
        said.append(text)
        if len(said) == step:
            raise Killed(text)

    return report


def test_the_old_one_is_removed_only_as_what_this_cutover_has_replaced(
    shop: Shop, engine: PostgresEngine, task: RestoreTask
) -> None:
    engine.cut_over(task, _CUT, _quiet)
    engine.remove_old(task, _UNDO)
    kept = _old(shop) in shop.databases()

    engine.remove_old(task, _CUT)

    assert kept
    assert _old(shop) not in shop.databases()
    assert shop.count() == 500
    assert "is gone" in engine.undo_refusal(task, _CUT)


def test_after_a_cutover_the_live_one_is_no_copy_that_can_be_removed(
    shop: Shop, engine: PostgresEngine, task: RestoreTask
) -> None:
    [copy] = engine.copies()
    engine.cut_over(task, _CUT, _quiet)

    left = engine.copies()
    engine.remove(copy)

    assert (list(left), shop.count()) == ([], 500)


def test_a_database_that_took_the_live_name_between_two_renames_is_not_taken_for_the_old_one(
    shop: Shop, engine: PostgresEngine, task: RestoreTask
) -> None:
    with pytest.raises(Killed):
        engine.cut_over(task, _CUT, _dies_at(4))
    with shop.live.connect("postgres") as admin:
        admin.change("CREATE DATABASE {name}", names={"name": shop.database})  # a client that makes what it misses

    stands = engine.look_cutover(task, _CUT)

    assert (stands.state, "another database has its name" in stands.message) == (CutoverState.PARTIAL, True)
    with pytest.raises(Conflict, match="another database has its name"):
        engine.undo_cutover(task, _CUT, _quiet)
    with pytest.raises(Conflict, match="exists already"):
        engine.cut_over(task, _CUT, _quiet)
    with shop.live.connect("postgres") as admin:
        admin.change("DROP DATABASE {name}", names={"name": shop.database})
    engine.undo_cutover(task, _CUT, _quiet)
    assert (engine.look_cutover(task, _CUT).state, shop.count()) == (CutoverState.OLD, 507)


def test_a_drills_copy_and_one_without_rights_are_never_cut_over_to(shop: Shop, engine: PostgresEngine) -> None:
    shop.dump()
    drill, bare = shop.task(engine, drill=True), shop.task(engine, owners="")
    for one in (drill, bare):
        shop.restored(engine, one)

    with pytest.raises(Rejected, match="is of a drill"):
        engine.preview_cutover(drill)
    with pytest.raises(Rejected, match="without owners and rights"):
        engine.cut_over(bare, _CUT, _quiet)

    assert shop.count() == 500


def test_a_cutovers_plan_names_the_live_one_its_clients_and_poolers(
    shop: Shop, engine: PostgresEngine, task: RestoreTask
) -> None:
    preview = engine.preview_cutover(task)

    assert preview.live == shop.database
    assert preview.moving == (f"0 clients are connected to {shop.database}",)
    assert any("PgBouncer" in one for one in preview.effect)


def test_two_cutovers_of_one_database_do_not_run_at_once(shop: Shop, engine: PostgresEngine, task: RestoreTask) -> None:
    other: list[str] = []

    def report(_: str) -> None:
        if not other:
            with pytest.raises(Conflict) as caught:
                shop.engine().cut_over(task, _CUT, _quiet)
            other.append(caught.value.message)

    engine.cut_over(task, _CUT, report)

    assert other == [f"Another cutover of {shop.database} runs. Nothing was done."]


def test_the_safety_backup_counts_only_after_it_was_read_back(shop: Shop, engine: PostgresEngine) -> None:
    run = "5afe" * 8
    engine.begin_backup(run)
    engine.begin_backup(run)
    until(lambda: engine.look_backup(run).state is not CopyState.RUNNING, "the backup ended", within_s=60)

    made = engine.look_backup(run)
    [found] = engine.inventory().backups

    assert (made.state, made.message, found.usable) == (CopyState.RESTORED, found.id, True)
    assert shop.restored(engine, shop.task(engine)).state is CopyState.RESTORED


def test_a_backup_whose_process_died_leaves_no_file(shop: Shop, engine: PostgresEngine) -> None:
    run = "5afe" * 8
    engine.begin_backup(run)
    shop.programs.stop(f"backup-{run}")

    failed = engine.look_backup(run)

    assert failed.state is CopyState.FAILED
    assert list(shop.folder.iterdir()) == []
    assert engine.look_backup(run).state is CopyState.ABSENT


def test_a_sentinel_comes_back_with_the_backup(shop: Shop, engine: PostgresEngine) -> None:
    engine.write_sentinel("first")
    shop.dump()
    engine.write_sentinel("later")
    task = shop.task(engine, drill=True)
    shop.restored(engine, task)

    assert list(engine.read_sentinels(task)) == ["first"]
