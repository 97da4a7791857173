"""The process dies at each place of a restore, a cutover and its undo; another one looks, and the row says what is.

One copy or none, never two restores, and no swap without a safety backup. Here a death is an exception that nothing
handles; `tests/crash/test_restores.py` does a few of them with SIGKILL.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.backups import cutover, restore
from bot.core.backup import RestoreState
from tests.backups.backup_house import STORE, BackupHouse, bh
from tests.fakes.backup_engine import (
    DEATHS_OF_A_BACKUP,
    DEATHS_OF_A_RESTORE,
    DEATHS_OF_AN_UNDO,
    copy_name,
    old_name,
)

__all__ = ["bh"]
_DIED = "ignore:Exception in thread run-:pytest.PytestUnhandledThreadExceptionWarning"  # `ProcessDied`, on purpose
pytestmark = [pytest.mark.waits, pytest.mark.filterwarnings(_DIED)]

_RESTORE_STEPS = ("restore.stored", "restore.asking", "restore.restored", "restore.checking", "restore.checked")
_CUTOVER_STEPS = ("cutover.remembered", "cutover.safe", "cutover.stored")
_BEFORE_IT_BEGINS = ("restore.stored", "restore.asking", "begin.called")
_HALF_WAY = ("cutover.closed", "cutover.moved_old", "cutover.moved_new")
_HALF_BACK = ("undo.closed", "undo.moved_new", "undo.moved_old")


@pytest.fixture(autouse=True)
def _failpoints(bh: BackupHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restore, "failpoint", bh.world.reach)
    monkeypatch.setattr(cutover, "failpoint", bh.world.reach)


@pytest.mark.parametrize("place", [*_RESTORE_STEPS, *DEATHS_OF_A_RESTORE])
def test_a_restore_whose_process_died_is_gone_on_with_by_looking_or_never_began_at(place: str, bh: BackupHouse) -> None:
    bh.dies(bh.asks("restore prod/orders-db"), place)
    run_id = bh.last_began()

    later = bh.next_process()

    run, world = later.last_run(), later.world
    copies = [name for name in world.databases if name.startswith("orders_restore_")]
    if place in _BEFORE_IT_BEGINS:
        assert (run.state, world.begun, copies) == ("failed", [], [])
        assert later.row(run_id).state is RestoreState.FAILED
    else:
        assert (run.state, run.degraded) == ("done", "")
        assert (world.begun, copies) == ([run_id], [copy_name(run_id)])
        assert later.row(run_id).state is RestoreState.VERIFIED
    assert world.databases["orders"].identity == "db-1"
    later.house.close()


@pytest.mark.parametrize("place", [*_CUTOVER_STEPS, *DEATHS_OF_A_BACKUP, "cutover.called"])
def test_a_cutover_whose_process_died_before_the_swap_has_changed_nothing_and_is_asked_for_anew(
    place: str, bh: BackupHouse
) -> None:
    restored = bh.does("restore prod/orders-db")
    bh.dies(bh.asks(f"cutover {restored.id[:8]}"), place, "orders")

    later = bh.next_process()
    lost = later.last_run()
    again = later.does(f"cutover {restored.id[:8]}", "orders")

    assert (lost.state, again.state, again.degraded) == ("failed", "done", "")
    assert later.world.faults == []
    assert later.row(restored.id).cutover_run == again.id
    assert again.id in later.world.begun_backups
    later.house.close()


@pytest.mark.parametrize("place", _HALF_WAY)
def test_a_cutover_whose_process_died_half_way_says_what_clients_see_and_goes_on(place: str, bh: BackupHouse) -> None:
    restored = bh.does("restore prod/orders-db")
    bh.dies(bh.asks(f"cutover {restored.id[:8]}"), place, "orders")

    later = bh.next_process()
    half = later.last_run()
    shown = later.asks(f"cutover {restored.id[:8]}")
    later.approves(shown)
    done = later.last_run()

    assert half.state == "done"
    assert "lients" in half.degraded
    assert f"`cutover {restored.id[:8]}` goes on, `cutback {restored.id[:8]}` brings the old one back" in half.degraded
    assert "stopped half-way" in shown.text
    assert (done.state, done.degraded) == ("done", "")
    assert later.row(restored.id).state is RestoreState.LIVE
    assert later.row(restored.id).cutover_run == half.id, "it goes on as the cutover that it was"
    assert later.world.begun_backups == [half.id]
    assert later.world.cut_over_by == [half.id]
    assert later.world.databases.keys() == {"orders", old_name(half.id)}
    assert later.world.faults == []
    later.world.write()
    later.house.close()


@pytest.mark.parametrize("place", _HALF_WAY)
def test_a_cutover_whose_process_died_half_way_is_brought_back(place: str, bh: BackupHouse) -> None:
    restored = bh.does("restore prod/orders-db")
    bh.dies(bh.asks(f"cutover {restored.id[:8]}"), place, "orders")

    later = bh.next_process()
    half = later.last_run()
    back = later.does(f"undo {half.id[:8]}")

    assert (back.state, back.degraded) == ("done", "")
    assert later.world.databases["orders"].identity == "db-1"
    assert later.world.databases.keys() == {"orders", copy_name(restored.id)}
    assert later.row(restored.id).state is RestoreState.VERIFIED
    later.world.write()
    later.house.close()


@pytest.mark.parametrize("place", ["cutover.opened", "cutover.swapped"])
def test_a_cutover_whose_process_died_after_the_swap_is_live_and_can_be_undone(place: str, bh: BackupHouse) -> None:
    restored = bh.does("restore prod/orders-db")
    bh.dies(bh.asks(f"cutover {restored.id[:8]}"), place, "orders")

    later = bh.next_process()

    run, row = later.last_run(), later.row(restored.id)
    assert (run.state, run.degraded, row.state) == ("done", "", RestoreState.LIVE)
    assert row.keep_old_until is not None
    assert later.does(f"undo {run.id[:8]}").state == "done"
    later.house.close()


@pytest.mark.parametrize("place", ["cutover.going_back", *DEATHS_OF_AN_UNDO, "cutover.back"])
def test_an_undo_whose_process_died_is_found_by_looking_and_goes_on(place: str, bh: BackupHouse) -> None:
    restored = bh.does("restore prod/orders-db")
    cut = bh.does(f"cutover {restored.id[:8]}", "orders")
    bh.dies(bh.asks(f"undo {cut.id[:8]}"), place)

    later = bh.next_process()
    found = later.last_run()

    if place in ("cutover.going_back", "undo.called"):
        assert found.state == "failed"
        assert later.row(restored.id).state is RestoreState.LIVE
    if place in _HALF_BACK:
        assert f"`cutback {restored.id[:8]}` goes on" in found.degraded
    if place not in ("undo.opened", "cutover.back"):
        later.does(f"cutback {restored.id[:8]}", STORE)
    assert later.world.databases["orders"].identity == "db-1"
    assert later.row(restored.id).state is RestoreState.VERIFIED
    later.world.write()
    later.house.close()


def test_a_process_that_dies_again_and_again_while_it_checks_leaves_one_copy_and_says_so(bh: BackupHouse) -> None:
    bh.dies(bh.asks("restore prod/orders-db"), "verify.half")
    run_id = bh.last_began()
    for _ in range(3):
        bh.world.dies_at = "verify.half"
        bh = bh.next_process_that_dies()

    later = bh.next_process()

    assert later.world.begun == [run_id]
    assert later.row(run_id).state is RestoreState.VERIFIED
    later.house.close()


def test_a_process_that_was_frozen_before_it_asked_asks_for_nothing_once_its_run_was_judged(bh: BackupHouse) -> None:
    bh.world.at["restore.stored"] = bh.judged_elsewhere

    run = bh.does("restore prod/orders-db")
    bh.wait_for_workers()

    assert (run.state, bh.world.begun) == ("failed", [])
    assert bh.row(run.id).state is RestoreState.FAILED


def test_a_process_that_was_frozen_while_it_checked_does_not_undo_what_people_did_since(bh: BackupHouse) -> None:
    def cut_over_meanwhile() -> None:
        bh.judged_elsewhere()
        row = bh.row(bh.last_began())
        assert row.state is RestoreState.VERIFIED
        bh.records.put_restore(replace(row, state=RestoreState.LIVE))

    bh.world.at["verify.half"] = cut_over_meanwhile

    run = bh.does("restore prod/orders-db")
    bh.wait_for_workers()

    assert (run.state, bh.world.begun) == ("done", [run.id])
    assert bh.row(run.id).state is RestoreState.LIVE
