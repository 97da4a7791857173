"""A cutover: a safety backup, the swap, the old one kept; its undo, the removal of what is left; a backup by ask."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.access.policy import Role, Rule
from bot.core.backup import CutoverPreview, RestoreState, RestoreTask
from bot.core.errors import OutcomeUnknown, Rejected
from bot.store.runs import Run
from tests.backups.backup_house import PEOPLE, STORE, BackupHouse, bh
from tests.fakes.backup_engine import FakeBackupEngine, FakeRestorer, copy_name, old_name, unanswered
from tests.house import BO, CY, NOON
from tests.runs import handle

__all__ = ["bh"]
pytestmark = pytest.mark.waits


@pytest.fixture
def restored(bh: BackupHouse) -> Run:
    return bh.does("restore prod/orders-db")


def refused(bh: BackupHouse, words: str) -> str:
    reply = bh.asks(words)
    assert not reply.ok
    assert "Nothing was done." in reply.text
    return reply.text


def cut(bh: BackupHouse, restored: Run) -> Run:
    return bh.does(f"cutover {restored.id[:8]}", "orders")


def test_a_copy_becomes_live_after_a_safety_backup_and_the_old_one_is_kept(bh: BackupHouse, restored: Run) -> None:
    bh.world.write(rows=5)

    run = cut(bh, restored)

    row, world = bh.row(restored.id), bh.world
    assert (run.state, run.degraded, world.faults) == ("done", "", [])
    assert (row.state, row.cutover_run) == (RestoreState.LIVE, run.id)
    assert row.keep_old_until == row.cut_over_at + timedelta(days=7) if row.cut_over_at else False
    assert world.databases.keys() == {"orders", old_name(run.id)}
    assert (len(world.databases["orders"].rows), len(world.databases[old_name(run.id)].rows)) == (50, 55)
    assert world.begun_backups == [run.id]
    assert len(world.held_rows[f"b-{run.id[:8]}"]) == 55, "the safety backup has what the copy lacks"
    world.write()


def test_the_plan_says_what_clients_see_what_is_lost_and_how_it_is_undone(bh: BackupHouse, restored: Run) -> None:
    short = restored.id[:8]
    lines = bh.asks(f"cutover {short}").text.splitlines()

    assert lines[1:9] == [
        f"database orders_restore_{short} takes the place of orders, the live one of prod/orders-db.",
        "It was restored with the data of 2026-11-23 02:00 UTC; everything that was written since is not in it.",
        "A safety backup of the live one is made first.",
        "Then writers are shut out, and orders becomes orders_old_<run>.",
        "Clients of orders are shut out for some seconds, and have to connect again.",
        "The old one is kept for 7 d at least, and removed only by an ask.",
        "The undo is refused once both have been written.",
        f"Undo: cutback {restored.id}",
    ]
    assert lines[-1].endswith(" orders`"), "the second person types the name that clients use"


def test_undo_brings_the_old_one_back_and_cutover_can_be_asked_for_again(bh: BackupHouse, restored: Run) -> None:
    bh.world.write(rows=5)
    first = cut(bh, restored)

    back = bh.does(f"undo {first.id[:8]}")
    row = bh.row(restored.id)
    again = cut(bh, restored)

    assert (back.state, row.state, row.undone_at is not None) == ("done", RestoreState.VERIFIED, True)
    assert (again.state, bh.row(restored.id).cutover_run) == ("done", again.id)
    assert bh.world.begun_backups == [first.id, again.id], "each swap has a safety backup of its own"
    assert bh.world.faults == []


def test_after_a_second_cutover_the_first_one_says_which_is_live_and_which_undo_is_possible(
    bh: BackupHouse, restored: Run
) -> None:
    first = cut(bh, restored)
    later = bh.does("restore prod/orders-db from b1")
    second = cut(bh, later)
    live = (
        f"run {second.id[:8]} has put database {copy_name(later.id)} in its place. `cutback {later.id[:8]}` brings back"
    )

    for words in (f"cutback {restored.id[:8]}", f"undo {first.id[:8]}", f"cutover {restored.id[:8]}"):
        assert live in refused(bh, words)

    assert bh.does(f"cutback {later.id[:8]}").state == "done"
    assert bh.does(f"cutback {restored.id[:8]}").state == "done", "as it was told: the first undo came first"
    assert bh.world.faults == []


def test_after_a_second_cutover_without_its_old_one_there_is_no_undo(bh: BackupHouse, restored: Run) -> None:
    cut(bh, restored)
    later = bh.does("restore prod/orders-db from b1")
    cut(bh, later)
    bh.does(f"remove-copy {later.id[:8]}")

    assert "What was live before that was removed, so there is no undo" in refused(bh, f"cutback {restored.id[:8]}")


def test_a_cutover_that_somebody_has_changed_by_hand_is_told_as_such(bh: BackupHouse, restored: Run) -> None:
    run = cut(bh, restored)
    databases = bh.world.databases
    databases["kept"], databases["orders"] = databases["orders"], databases.pop(old_name(run.id))
    databases["orders"].accepts = True

    for words in (f"cutback {restored.id[:8]}", f"cutover {restored.id[:8]}"):
        assert "Somebody has changed it by hand" in refused(bh, words)


def test_undo_is_refused_where_both_have_been_written_since(bh: BackupHouse, restored: Run) -> None:
    run = cut(bh, restored)
    bh.house.clock.pass_by(minutes=1)
    bh.world.write()
    assert bh.asks(f"undo {run.id[:8]}").ok, "one of the two may have been written"
    bh.world.databases[old_name(run.id)].rows.append(bh.house.clock())

    assert refused(bh, f"undo {run.id[:8]}") == (
        "The old one of prod/orders-db cannot be brought back: both have been written since. Nothing was done. Decide "
        "by hand which data is to be kept."
    )


def test_both_are_written_while_the_undo_waits_for_its_approval(bh: BackupHouse, restored: Run) -> None:
    run = cut(bh, restored)
    shown = bh.asks(f"undo {run.id[:8]}")
    bh.house.clock.pass_by(minutes=1)
    bh.world.write()
    bh.world.databases[old_name(run.id)].rows.append(bh.house.clock())

    reply = bh.approves(shown)

    assert not reply.ok
    assert "both have been written since" in reply.text
    assert bh.row(restored.id).state is RestoreState.LIVE


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"backup_fails": "no space left on the repository"}, "no space left on the repository. Nothing was swapped."),
        ({"backup_problem": "2 pages could not be read"}, "2 pages could not be read. Nothing was swapped."),
        ({"backup_takes": timedelta(days=3)}, "it has not ended within 8 h. Nothing was swapped."),
        ({"backup_troubles": [unanswered(effect=False)]}, "nothing of it is seen. Nothing was swapped."),
        ({"backup_troubles": [(Rejected("a backup runs already. Nothing was done."), False)]}, "a backup runs already"),
    ],
)
def test_without_a_usable_safety_backup_nothing_is_swapped(
    bh: BackupHouse, restored: Run, change: dict[str, object], said: str
) -> None:
    for name, value in change.items():
        setattr(bh.world, name, value)

    run = cut(bh, restored)

    assert (run.state, bh.row(restored.id).state) == ("failed", RestoreState.VERIFIED)
    assert said in run.message
    assert (bh.world.cut_over_by, bh.world.databases["orders"].identity) == ([], "db-1")


def test_a_safety_backup_whose_begin_got_no_answer_is_found_and_not_made_twice(bh: BackupHouse, restored: Run) -> None:
    bh.world.backup_troubles = [unanswered()]

    run = cut(bh, restored)

    assert (run.state, bh.world.begun_backups) == ("done", [run.id])


@pytest.mark.parametrize("error", [OutcomeUnknown("the connection was cut"), Rejected("a session holds orders.")])
def test_a_swap_that_breaks_off_half_way_says_what_clients_see_and_both_ways_on(
    bh: BackupHouse, restored: Run, error: Exception
) -> None:
    bh.world.cutover_troubles = [(error, "cutover.moved_old")]

    run = cut(bh, restored)
    moved = bh.asks(f"remove-copy {restored.id[:8]}")

    short = restored.id[:8]
    assert run.state == "done"
    assert run.degraded == (
        "Clients find no database orders: the old one is renamed, and no other has its name. "
        f"{error.message} `cutover {short}` goes on, `cutback {short}` brings the old one back."  # type: ignore[attr-defined]
    )
    assert "stopped half-way" in moved.text
    assert not moved.ok
    assert bh.row(restored.id).state is RestoreState.VERIFIED
    assert bh.does(f"cutover {short}").degraded == ""


def test_a_refusal_before_the_swap_leaves_everything_as_it_was(bh: BackupHouse, restored: Run) -> None:
    bh.world.cutover_troubles = [(Rejected("A standby follows it. Nothing was done."), "cutover.called")]

    run = cut(bh, restored)

    assert run.state == "failed"
    assert run.message == "prod/orders-db is as it was: nothing was swapped. A standby follows it. Nothing was done."


def test_a_damaged_copy_can_become_live_but_the_plan_says_so_in_full(bh: BackupHouse) -> None:
    bh.world.course.loses_rows = 3
    run = bh.does("restore prod/orders-db")

    text = bh.asks(f"cutover {run.id[:8]}").text

    assert "DAMAGED: rows: expected 50, got 47." in text


def test_what_is_no_checked_copy_of_a_restore_cannot_become_live(bh: BackupHouse, restored: Run) -> None:
    bh.records.put_restore(replace(bh.row(restored.id), state=RestoreState.RESTORED))
    unchecked = refused(bh, f"cutover {restored.id[:8]}")
    drilled = replace(bh.row(restored.id), task=replace(bh.row(restored.id).task, drill=True))
    bh.records.put_restore(replace(drilled, state=RestoreState.VERIFIED))
    drill = refused(bh, f"cutover {restored.id[:8]}")

    assert "was never checked. `restore` makes a new one." in unchecked
    assert "is the copy of a drill, and is thrown away. Ask for a `restore`." in drill
    assert "There is no run 00000000" in refused(bh, "cutover 00000000")


def test_a_copy_that_somebody_has_removed_by_hand_is_missed_before_anything_is_swapped(
    bh: BackupHouse, restored: Run
) -> None:
    del bh.world.databases[copy_name(restored.id)]

    assert "is not complete" in refused(bh, f"cutover {restored.id[:8]}")
    assert "is gone already: only the bot's own row" in bh.asks(f"remove-copy {restored.id[:8]}").text


def test_an_engine_that_does_not_cut_over_says_what_to_do_by_hand(bh: BackupHouse, restored: Run) -> None:
    bh.restart(engine=FakeRestorer(bh.world))

    assert "Point the clients to the copy by hand" in refused(bh, f"cutover {restored.id[:8]}")
    assert "Its own schedule makes them" in refused(bh, f"backup {STORE}")


class _KeepsItsOld(FakeBackupEngine):
    """It makes no backups, and says how the live one is saved all the same."""

    begin_backup = None  # type: ignore[assignment]

    def preview_cutover(self, task: RestoreTask) -> CutoverPreview:
        return replace(super().preview_cutover(task), safety="an exchange keeps every table of the live one")


def test_an_engine_that_makes_no_backups_says_how_the_live_one_is_saved(bh: BackupHouse, restored: Run) -> None:
    bh.restart(engine=_KeepsItsOld(bh.world))

    text = bh.asks(f"cutover {restored.id[:8]}").text
    run = cut(bh, restored)

    assert "\nAn exchange keeps every table of the live one.\n" in text
    assert (run.state, bh.world.begun_backups) == ("done", [])


def test_a_right_to_the_cutovers_of_one_store_is_asked_for_the_store_of_the_run(bh: BackupHouse, restored: Run) -> None:
    bh.house.roles = (
        Role(name="here", allow=(Rule(do=f"cutover {STORE}"),)),
        Role(name="elsewhere", allow=(Rule(do="cutover staging/*"),)),
    )
    words = f"cutover {restored.id[:8]}"
    bo, di = replace(BO, roles=frozenset({"here"})), replace(BO, roles=frozenset({"elsewhere"}))
    bh.house.settle(PEOPLE | {("slack", "U2"): bo})

    here, elsewhere = bh.house.says(words, by=bo), bh.house.says(words, by=di)

    nobody, unknown = bh.house.says(words, by=CY), bh.house.says("cutover 00000000", by=CY)

    assert here.ok, here.text
    assert f'Denied: "{words.partition(" ")[0]} {STORE}"' in elsewhere.text
    assert nobody.text == unknown.text, "whoever may not cut over learns nothing of which runs exist"


def test_the_old_one_is_removed_only_by_an_ask_that_says_how_long_it_was_to_be_kept(
    bh: BackupHouse, restored: Run
) -> None:
    run = cut(bh, restored)
    kept = bh.row(restored.id).keep_old_until
    assert kept is not None
    early = bh.asks(f"remove-copy {restored.id[:8]}").text
    bh.house.clock.at = kept + timedelta(minutes=1)
    shown = bh.asks(f"remove-copy {restored.id[:8]}")

    bh.approves(shown)

    assert f"The settings keep it until {kept:%Y-%m-%d %H:%M} UTC, to bring it back." in early
    assert "Now: that is in 6 d 23 h: EARLIER than the settings say" in early
    assert "Now: that time is over" in shown.text
    assert bh.last_run().state == "done"
    assert bh.world.removed == [old_name(run.id)]
    assert bh.row(restored.id).old_removed_at is not None
    assert "was removed at" in refused(bh, f"undo {run.id[:8]}")
    assert "There is nothing left of run" in refused(bh, f"remove-copy {restored.id[:8]}")


@pytest.mark.parametrize("effect", [True, False])
def test_a_removal_whose_answer_is_lost_is_found_out_by_looking(
    bh: BackupHouse, restored: Run, *, effect: bool
) -> None:
    bh.world.remove_troubles = [unanswered(effect=effect)]

    run = bh.does(f"remove-copy {restored.id[:8]}")

    assert (run.state, bh.row(restored.id).state) == (
        ("done", RestoreState.REMOVED) if effect else ("failed", RestoreState.VERIFIED)
    )


@pytest.mark.parametrize("effect", [True, False])
def test_a_removal_of_the_old_one_whose_answer_is_lost_is_no_removal_for_its_lost_way_back(
    bh: BackupHouse, restored: Run, *, effect: bool
) -> None:
    run = cut(bh, restored)
    bh.house.clock.pass_by(minutes=1)
    bh.world.write()
    bh.world.databases[old_name(run.id)].rows.append(bh.house.clock())
    bh.world.remove_troubles = [unanswered(effect=effect)]

    removal = bh.does(f"remove-copy {restored.id[:8]}")

    assert (old_name(run.id) in bh.world.databases) is not effect
    assert (removal.state, bh.row(restored.id).old_removed_at is not None) == (
        ("done", True) if effect else ("failed", False)
    )


def test_a_copy_of_another_run_is_never_removed_for_its_name(bh: BackupHouse, restored: Run) -> None:
    other = restored.id[:8] + "f" * 24
    held = bh.world.databases[copy_name(restored.id)]
    held.labels = dict.fromkeys(held.labels, other)

    run = bh.does(f"remove-copy {restored.id[:8]}")

    assert (run.state, bh.world.removed) == ("done", [])
    assert copy_name(other) in bh.world.databases


def test_a_copy_that_a_later_cutover_keeps_as_its_old_one_is_no_copy_to_be_removed(
    bh: BackupHouse, restored: Run
) -> None:
    cut(bh, restored)
    later = bh.does("restore prod/orders-db from b1")
    second = cut(bh, later)

    said = refused(bh, f"remove-copy {restored.id[:8]}")

    assert f"is kept as the old one of the cutover by run {second.id[:8]}" in said
    assert f"`remove-copy {later.id[:8]}` removes it" in said
    bh.does(f"remove-copy {later.id[:8]}")
    assert bh.world.removed == [old_name(second.id)]
    assert bh.does(f"remove-copy {restored.id[:8]}").state == "done", "its row is closed"


def test_a_backup_is_made_waited_for_and_found_among_the_usable_ones(bh: BackupHouse) -> None:
    bh.confirms(bh.asks(f"backup {STORE}"))

    run = bh.last_run()
    assert run.state == "done"
    assert run.message.startswith(
        f"Backup b-{run.id[:8]} of prod/orders-db is made, 10.0 GB, with the data of 2026-11-23 12:00 UTC."
    )


def test_a_backup_does_not_wait_for_a_restore_that_goes_on(bh: BackupHouse) -> None:
    replies = []

    def meanwhile() -> None:
        shown = bh.asks(f"backup {STORE}")
        replies.append(bh.house.says(f"yes {handle(shown.text)}", by=next(iter(PEOPLE.values()))))

    bh.world.at["verify.half"] = meanwhile
    bh.does("restore prod/orders-db")

    assert replies[0].text.startswith(f"Running: backup {STORE}")
    assert len(bh.world.begun_backups) == 1


@pytest.mark.parametrize(
    ("change", "state", "said"),
    [
        ({"backup_fails": "the repository is locked"}, "failed", "failed: the repository is locked."),
        ({"backup_problem": "WAL is missing"}, "done", "It cannot be restored: WAL is missing."),
        ({"backup_takes": timedelta(days=2)}, "done", "It is not complete: it has not ended within 8 h."),
    ],
)
def test_a_backup_that_completes_and_is_not_usable_is_not_called_well(
    bh: BackupHouse, change: dict[str, object], state: str, said: str
) -> None:
    for name, value in change.items():
        setattr(bh.world, name, value)

    bh.confirms(bh.asks(f"backup {STORE}"))

    run = bh.last_run()
    assert run.state == state
    assert said in run.message


@pytest.mark.parametrize("place", ["backup.called", "backup.done"])
@pytest.mark.filterwarnings("ignore:Exception in thread run-:pytest.PytestUnhandledThreadExceptionWarning")
def test_a_backup_whose_process_died_is_waited_for_by_the_next_one(bh: BackupHouse, place: str) -> None:
    bh.dies(bh.asks(f"backup {STORE}"), place, "", by=next(iter(PEOPLE.values())))

    later = bh.next_process()

    run = later.last_run()
    assert run.state == ("done" if place == "backup.done" else "failed")
    assert later.world.begun_backups == ([run.id] if place == "backup.done" else [])
    later.house.close()


def test_nothing_of_a_plan_to_remove_or_cut_over_moves_with_the_clock(bh: BackupHouse, restored: Run) -> None:
    for words, name in ((f"cutover {restored.id[:8]}", "orders"), (f"remove-copy {restored.id[:8]}", STORE)):
        shown = bh.asks(words)
        bh.house.clock.pass_by(minutes=13)
        reply = bh.house.says(f"yes {handle(shown.text).split()[0]} {name}", by=CY)
        assert "is out of date" not in reply.text
        bh.last_run()
    assert bh.house.clock() > NOON
