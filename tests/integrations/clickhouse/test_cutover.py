"""ClickHouse on a real engine: tables are exchanged with their copies, under writes, step by step, and back."""

from __future__ import annotations

import pytest

from bot.core.backup import CopyState, CutoverState, RestoreTask
from bot.core.errors import Conflict, OutcomeUnknown, Rejected
from tests.fakes.clickhouse_http import ClickHouseRefusal
from tests.integrations.clickhouse.ground import Ground

pytestmark = [pytest.mark.waits, pytest.mark.xdist_group("clickhouse")]

CUT = "cafe0123456789abcdef0123456789ab"


def _no(_: str) -> None:
    """Nobody reads the reports."""


@pytest.fixture
def task(ground: Ground) -> RestoreTask:
    """A restored copy; the live one has lost all but 5 orders since the backup."""
    ground.back_up("one")
    task = ground.restored(ground.run)
    ground.sql("ALTER TABLE DB.orders DELETE WHERE id >= 5 SETTINGS mutations_sync = 2")
    return task


def test_the_plan_says_what_is_exchanged_and_that_writers_are_not_stopped(ground: Ground, task: RestoreTask) -> None:
    plan = ground.engine().preview_cutover(task)

    assert plan.live == ground.database
    assert plan.effect[0] == "EXCHANGE TABLES, one after the other: orders, small, totals"
    assert "These stay as they are: outside, to_totals" in plan.effect
    assert any("Writers are not stopped" in one for one in plan.effect)


def test_a_copy_that_is_not_complete_is_not_put_in_place(ground: Ground, task: RestoreTask) -> None:
    ground.sql(f"TRUNCATE TABLE {ground.copy(task)}.orders")

    with pytest.raises(Rejected, match=r"orders has 0 rows of 1000.*Nothing was done"):
        ground.engine().preview_cutover(task)


def test_after_a_cutover_clients_see_the_copy_and_views_go_on(ground: Ground, task: RestoreTask) -> None:
    engine = ground.engine()
    assert engine.look_cutover(task, CUT).state is CutoverState.OLD

    engine.cut_over(task, CUT, _no)

    assert engine.look_cutover(task, CUT).state is CutoverState.NEW
    assert ground.count("DB.orders") == 1000
    assert ground.count(f"{ground.copy(task)}.orders") == 5
    ground.sql("INSERT INTO DB.orders VALUES (7777, now64(3), 'new')")
    assert ground.sql("SELECT sum(n) AS n FROM DB.totals WHERE what = 'new'") == [{"n": 1}]


def test_a_second_cutover_of_the_same_run_changes_nothing(ground: Ground, task: RestoreTask) -> None:
    ground.engine().cut_over(task, CUT, _no)

    ground.engine().cut_over(task, CUT, _no)

    assert ground.count("DB.orders") == 1000
    assert sum(one.startswith("EXCHANGE") for one in ground.server.statements) == 3
    with pytest.raises(Rejected, match="was swapped"):
        ground.engine().preview_cutover(task)


@pytest.mark.parametrize("step", ["`orders`", "`small`", "`totals`", "'old'"])
def test_a_cutover_that_died_between_two_steps_is_found_and_goes_on(
    ground: Ground, task: RestoreTask, step: str
) -> None:
    ground.server.script(f"^(EXCHANGE|INSERT).*{step}", ClickHouseRefusal(159, "Timeout exceeded. (TIMEOUT_EXCEEDED)"))
    with pytest.raises(OutcomeUnknown):
        ground.engine().cut_over(task, CUT, _no)
    ground.server.unscript()

    stopped = ground.engine().look_cutover(task, CUT)
    ground.engine().cut_over(task, CUT, _no)

    assert stopped.state is (CutoverState.OLD if step == "`orders`" else CutoverState.PARTIAL)
    assert ground.engine().look_cutover(task, CUT).state is CutoverState.NEW
    assert ground.count("DB.orders") == 1000


def test_an_exchange_without_an_answer_is_not_made_twice(ground: Ground, task: RestoreTask) -> None:
    engine = ground.engine()
    # The third change of a cutover that has noted its pairs is the first exchange; its answer is lost.
    ground.server.script(
        "^EXCHANGE TABLES .*`orders`",
        ClickHouseRefusal(209, "Timeout exceeded while reading from socket. (SOCKET_TIMEOUT)"),
    )
    with pytest.raises(OutcomeUnknown):
        engine.cut_over(task, CUT, _no)
    ground.server.unscript()
    ground.sql(f"EXCHANGE TABLES DB.orders AND {ground.copy(task)}.orders")  # it had its effect

    engine.cut_over(task, CUT, _no)

    assert ground.count("DB.orders") == 1000
    assert not any(one.startswith("EXCHANGE") and "`orders`" in one for one in ground.server.statements)


def test_a_table_that_somebody_replaced_meanwhile_is_left_alone(ground: Ground, task: RestoreTask) -> None:
    ground.server.script("^EXCHANGE.*`small`", ClickHouseRefusal(159, "Timeout exceeded. (TIMEOUT_EXCEEDED)"))
    with pytest.raises(OutcomeUnknown):
        ground.engine().cut_over(task, CUT, _no)
    ground.server.unscript()
    ground.sql("DROP TABLE DB.small SYNC")
    ground.sql("CREATE TABLE DB.small (id UInt64) ENGINE = TinyLog")

    with pytest.raises(Conflict, match=r"small was replaced by a third table.*1 of 3"):
        ground.engine().cut_over(task, CUT, _no)


def test_undo_brings_the_old_one_back_with_its_rows(ground: Ground, task: RestoreTask) -> None:
    engine = ground.engine()
    engine.cut_over(task, CUT, _no)

    assert engine.undo_refusal(task, CUT) == ""
    engine.undo_cutover(task, CUT, _no)

    assert engine.look_cutover(task, CUT).state is CutoverState.OLD
    assert ground.count("DB.orders") == 5
    assert ground.count(f"{ground.copy(task)}.orders") == 1000
    assert engine.look(task).state is CopyState.RESTORED


@pytest.mark.parametrize(("table", "values"), [("orders", "(1, now64(3), 'x')"), ("small", "(1)")])
def test_undo_is_refused_where_both_were_written_since(
    ground: Ground, task: RestoreTask, table: str, values: str
) -> None:
    engine = ground.engine()
    engine.cut_over(task, CUT, _no)
    ground.sql(f"INSERT INTO DB.{table} VALUES {values}")
    assert engine.undo_refusal(task, CUT) == ""

    ground.sql(f"INSERT INTO {ground.copy(task)}.{table} VALUES {values}")

    assert "Both have been written" in engine.undo_refusal(task, CUT)
    with pytest.raises(Rejected, match="Nothing was done"):
        engine.undo_cutover(task, CUT, _no)
    assert ground.count("DB.orders") >= 1000


def test_a_merge_is_no_write(ground: Ground, task: RestoreTask) -> None:
    engine = ground.engine()
    engine.cut_over(task, CUT, _no)
    ground.sql("OPTIMIZE TABLE DB.orders FINAL")
    ground.sql(f"OPTIMIZE TABLE {ground.copy(task)}.orders FINAL")

    assert engine.undo_refusal(task, CUT) == ""


def test_undo_is_refused_when_the_old_one_is_gone(ground: Ground, task: RestoreTask) -> None:
    engine = ground.engine()
    engine.cut_over(task, CUT, _no)
    ground.sql(f"DROP TABLE {ground.copy(task)}.orders SYNC")

    assert "The old table orders is gone" in engine.undo_refusal(task, CUT)


def test_what_was_live_is_removed_only_as_the_old_one(ground: Ground, task: RestoreTask) -> None:
    engine = ground.engine()
    with pytest.raises(Rejected, match="Nothing was removed"):
        engine.remove_old(task, CUT)
    engine.cut_over(task, CUT, _no)
    (copy,) = engine.copies()
    with pytest.raises(Rejected, match="live before the cutover"):
        engine.remove(copy)

    engine.remove_old(task, CUT)

    assert engine.copies() == []
    assert ground.count("DB.orders") == 1000
    assert "are gone" in engine.undo_refusal(task, CUT)


def test_an_old_one_over_the_servers_limit_is_not_removed_and_says_what_to_do(
    ground: Ground, task: RestoreTask
) -> None:
    ground.engine().cut_over(task, CUT, _no)
    ground.server.script(
        "^DROP DATABASE", f"DROP DATABASE {ground.copy(task)} SYNC SETTINGS max_table_size_to_drop = 1"
    )

    with pytest.raises(Rejected, match=r"max_table_size_to_drop.*Raise that limit"):
        ground.engine().remove_old(task, CUT)


def test_tables_that_live_has_lost_are_moved_there(ground: Ground, task: RestoreTask) -> None:
    ground.sql("DROP TABLE DB.small SYNC")
    engine = ground.engine()
    assert f"These do not exist in {ground.database} and are moved there: small" in engine.preview_cutover(task).effect

    engine.cut_over(task, CUT, _no)

    assert ground.count("DB.small") == 7
    assert engine.look_cutover(task, CUT).state is CutoverState.NEW
    engine.undo_cutover(task, CUT, _no)
    assert ground.count(f"{ground.copy(task)}.small") == 7


def test_a_whole_database_that_was_dropped_comes_back(ground: Ground) -> None:
    ground.back_up("one")
    ground.sql("DROP DATABASE DB SYNC")
    task = ground.restored(ground.run)

    ground.engine().cut_over(task, CUT, _no)

    assert (ground.count("DB.orders"), ground.count("DB.small")) == (1000, 7)
    assert ground.engine().look_cutover(task, CUT).state is CutoverState.NEW
