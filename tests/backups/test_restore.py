"""A restore as people ask for it: planned, approved by a second person who types the name, followed, and checked."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest

from bot.core.backup import Check, Drill, DrillResult, RestoreState
from bot.core.errors import Conflict, Rejected
from bot.lib.text import spell_duration
from bot.store import runs
from tests.backups.backup_house import PEOPLE, STORE, BackupHouse, bh
from tests.fakes.backup_engine import FakeBackupReader, copy_name, unanswered
from tests.house import CY, NOON, alert
from tests.runs import SPOT, handle, wait_until_told

__all__ = ["bh"]
pytestmark = pytest.mark.waits


def planned(bh: BackupHouse, words: str = "restore prod/orders-db") -> str:
    shown = bh.asks(words)
    assert "`yes " in shown.text, shown.text
    return shown.text


def refused(bh: BackupHouse, words: str = "restore prod/orders-db") -> str:
    reply = bh.asks(words)
    assert not reply.ok
    assert "Nothing was done." in reply.text
    return reply.text


def drill(bh: BackupHouse, run: str, rto: timedelta, size: int = 10_000_000_000, **said: object) -> None:
    one = Drill(run=run, store=STORE, engine="fake", began_at=NOON - timedelta(days=1), result=DrillResult.PASSED)
    bh.records.put_drill(replace(one, rto=rto, size_bytes=size, **said))  # type: ignore[arg-type]


def test_a_restore_is_made_beside_the_live_data_and_checked(bh: BackupHouse) -> None:
    run = bh.does("restore prod/orders-db")

    row = bh.row(run.id)
    assert (run.state, run.degraded) == ("done", "")
    assert (row.state, row.name) == (RestoreState.VERIFIED, f"database {copy_name(run.id)}")
    assert row.restore_time is not None
    assert timedelta(0) <= row.restore_time - timedelta(minutes=10) < timedelta(seconds=3), "seen at the next look"
    assert [(one.name, one.ok) for one in row.checks] == [("rows", True), ("orders", True)]
    assert bh.world.begun == [run.id]
    assert bh.world.databases["orders"].identity == "db-1"
    assert len(bh.world.databases[copy_name(run.id)].rows) == 50
    short, took = run.id[:8], spell_duration(timedelta(seconds=round(row.restore_time.total_seconds())))
    assert run.message == (
        f"prod/orders-db is restored into database orders_restore_{short}, with the data of 2026-11-23 02:00 UTC "
        f"(restored in {took} and checked after {took}; the promised RTO is 4 h). The live data is as it was. 2 of 2 "
        f"checks hold (orders: 50). `cutover {short}` makes it live, `remove-copy {short}` removes it."
    )


def test_the_plan_says_everything_and_needs_a_second_person_who_types_the_name(bh: BackupHouse) -> None:
    bh.world.write(rows=7)
    drill(bh, "d1" * 16, timedelta(minutes=20))
    lines = planned(bh, "restore prod/orders-db").splitlines()

    estimate = "about 20 min (by the rate of one drill that passed, the last 2026-11-22 12:00 UTC)"
    assert lines[1:] == [
        "prod/orders-db is restored from b1 (Fake, 10.0 GB) beside the live one: database orders_restore_<run>.",
        "LOST in the copy: everything written after 2026-11-23 02:00 UTC.",
        "Not restored: roles and their passwords; replicas.",
        "A database beside the live one is made.",
        "Checked afterwards: by Fake and orders.",
        "No undo is needed: `cutover <run>` makes the copy live, `remove-copy <run>` removes it.",
        "Touches: one new copy; the live data is not changed",
        "Now: making it live would lose 10 h of writes",
        "Now: 2 clients write to orders; 7 rows since the backup",
        f"Now: the restore takes {estimate}; RTO 4 h",
        "Now: needs 20.0 GB, 100 GB free",
        "Seen: backup b1",
        *lines[-3:],
    ]
    assert lines[-2] == "Can approve: Cy."
    assert lines[-1].startswith("Needs 1 approval from somebody other than ana, until 12:15 UTC: `yes ")
    assert lines[-1].endswith(" prod/orders-db`")


def test_the_one_who_asks_cannot_approve_and_a_click_without_the_name_is_not_enough(bh: BackupHouse) -> None:
    shown = bh.asks("restore prod/orders-db")
    number = handle(shown.text).split()[0]

    own = bh.house.says(f"yes {number} {STORE}", by=next(iter(PEOPLE.values())))
    click = bh.house.says(f"yes {number}", by=CY)
    other = bh.house.says(f"yes {number} prod/other", by=CY)

    assert shown.card is not None
    assert list(shown.card.buttons) == ["Drop it"]
    assert (own.ok, click.ok, other.ok) == (False, False, False)
    assert bh.world.begun == []


def test_nothing_in_the_plan_moves_with_the_clock_the_rows_the_room_or_the_drills(bh: BackupHouse) -> None:
    shown = bh.asks("restore prod/orders-db")
    bh.house.clock.pass_by(minutes=14)
    bh.world.write(rows=1000)
    bh.world.free_bytes = 50_000_000_000
    drill(bh, "d1" * 16, timedelta(minutes=20))

    reply = bh.approves(shown)

    assert reply.ok, reply.text
    assert bh.last_run().state == "done"


def test_a_backup_that_is_newer_than_the_plan_makes_a_new_plan(bh: BackupHouse) -> None:
    shown = bh.asks("restore prod/orders-db")
    bh.world.add_backup("b2", NOON - timedelta(minutes=5))

    reply = bh.approves(shown)

    assert not reply.ok
    assert "is out of date. Nothing was done. The new plan:" in reply.text
    assert "backup: b1 -> b2" in reply.text
    assert bh.world.begun == []


def test_a_backup_is_looked_up_anew_when_the_run_begins(bh: BackupHouse) -> None:
    """The inventory that the bot has looked at minutes ago would still have it."""
    shown = bh.asks("restore prod/orders-db from b1")
    bh.house.while_sealing.append(bh.world.backups.clear)

    bh.approves(shown)

    run = bh.last_run()
    assert (run.state, bh.world.begun) == ("failed", [])
    assert "There is no backup 'b1'." in run.message


def test_latest_of_a_log_is_its_end_when_the_restore_begins(bh: BackupHouse) -> None:
    bh.world.point_in_time = True
    text = planned(bh)
    bh.house.clock.pass_by(minutes=5)
    bh.world.write(rows=1)
    bh.house.clock.pass_by(minutes=5)
    bh.restart(checks=())

    run = bh.does("restore prod/orders-db latest")

    assert "LOST in the copy: whatever is not in the archived log when the restore begins." in text
    assert "Now: the archived log reaches 2026-11-23 11:59 UTC, 1 min behind" in text
    assert len(bh.world.databases[copy_name(run.id)].rows) == 51
    assert "with the data of 2026-11-23 12:09 UTC" in run.message
    assert bh.row(run.id).task.point.latest


def test_a_moment_is_repeated_in_utc(bh: BackupHouse) -> None:
    bh.world.point_in_time = True
    text = planned(bh, "restore prod/orders-db at 2026-11-23 11:30 Europe/Berlin")

    assert "everything written after 2026-11-23 10:30 UTC. The log is replayed up to there." in text
    assert "Now: making it live would lose 1 h 30 min of writes" in text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("restore prod/orders", "There is no store prod/orders."),
        ("restore prod/orders-db from b7", "There is no backup 'b7'. Usable: b1 (2026-11-23 02:00 UTC)."),
        ("restore prod/orders-db at 2026-11-24 00:00 UTC", "2026-11-24 00:00 UTC is in the future."),
        ("restore prod/orders-db at lunch", "'lunch' is not a time. Type `at 2026-11-27T14:30:00Z`"),
        ("restore prod/orders-db from b1 at 10:00 UTC", "Type one of `latest`, `from <backup>` and `at <time>`."),
        ("restore prod/orders-db from $(reboot)", "'$(reboot)' is not a backup's id"),
    ],
)
def test_what_cannot_be_restored_is_refused_with_what_can(bh: BackupHouse, words: str, said: str) -> None:
    assert said in refused(bh, words)


def test_a_store_that_cannot_be_read_refuses_the_plan(bh: BackupHouse) -> None:
    bh.world.dark_until = NOON + timedelta(minutes=1)

    assert refused(bh) == "db.example:5432 does not answer. Nothing was done."


def test_an_engine_that_only_reads_refuses(bh: BackupHouse) -> None:
    bh.restart(engine=FakeBackupReader(bh.world))

    assert "The bot never restores with Fake (prod/orders-db). Nothing was done. Restore it with the tool" in refused(
        bh
    )


def test_no_room_refuses_the_plan(bh: BackupHouse) -> None:
    bh.world.free_bytes = 19_999_999_999

    assert "it needs 20.0 GB, and 20.0 GB are free." in refused(bh)


def test_a_backup_that_expires_before_the_restore_would_end_is_refused_by_its_slowest_drills(bh: BackupHouse) -> None:
    bh.world.backups[0] = replace(bh.world.backups[0], expires_at=NOON + timedelta(minutes=50))
    assert "may take 4 h (its promised RTO, as there is no drill yet)" in refused(bh)

    drill(bh, "d1" * 16, timedelta(minutes=40))
    assert "is deleted by its own system at 2026-11-23 12:50 UTC." in planned(bh)

    drill(bh, "d2" * 16, timedelta(minutes=60))
    assert refused(bh) == (
        "Backup b1 is deleted by its own system at 2026-11-23 12:50 UTC, and a restore may take 1 h (the slowest of "
        "its drills). Nothing was done. Keep it longer there, or choose a newer one."
    )


def test_a_backup_that_expires_while_the_plan_waits_is_refused_when_it_runs(bh: BackupHouse) -> None:
    drill(bh, "d1" * 16, timedelta(minutes=40))
    bh.world.backups[0] = replace(bh.world.backups[0], expires_at=NOON + timedelta(minutes=50))
    shown = bh.asks("restore prod/orders-db")
    bh.house.clock.pass_by(minutes=11)

    reply = bh.approves(shown)

    assert not reply.ok
    assert "may take 40 min" in reply.text
    assert bh.world.begun == []


def test_a_copy_with_fewer_rows_is_damaged_done_but_not_well_and_stays(bh: BackupHouse) -> None:
    bh.world.course.loses_rows = 3

    run = bh.does("restore prod/orders-db")

    assert (run.state, bh.row(run.id).state) == ("done", RestoreState.DAMAGED)
    assert run.degraded == (
        "The copy is damaged: rows: expected 50, got 47; orders: expected 50, got 47. Restore an older backup, or "
        f"`remove-copy {run.id[:8]}`."
    )
    assert copy_name(run.id) in bh.world.databases


def test_a_check_that_cannot_be_made_is_not_ok(bh: BackupHouse) -> None:
    bh.restart(checks=(Check(name="typo", query="selekt", expect="1"),))

    run = bh.does("restore prod/orders-db")

    assert 'typo: expected 1, got ERROR: syntax error at or near "selekt"' in run.degraded


def test_a_restore_that_fails_late_has_failed_and_says_what_is_left(bh: BackupHouse) -> None:
    bh.world.course.fails_after = timedelta(minutes=9)

    run = bh.does("restore prod/orders-db")

    assert (run.state, bh.row(run.id).state) == ("failed", RestoreState.FAILED)
    assert "ERROR: could not write block 17: No space left on device. The live data is as it was." in run.message
    assert f"`remove-copy {run.id[:8]}` removes it." in run.message
    assert bh.does(f"remove-copy {run.id[:8]}").state == "done"
    assert bh.world.databases.keys() == {"orders"}


@pytest.mark.parametrize("error", [Rejected("quota: 40 instances. Nothing was done."), Conflict("the name is taken")])
def test_a_restore_that_is_refused_at_its_begin_has_done_nothing(bh: BackupHouse, error: Exception) -> None:
    bh.world.begin_troubles = [(error, False)]

    run = bh.does("restore prod/orders-db")

    assert (run.state, bh.row(run.id).state, bh.world.begun) == ("failed", RestoreState.FAILED, [])


@pytest.mark.parametrize("effect", [True, False])
def test_a_begin_whose_answer_is_lost_is_looked_for_and_never_repeated(bh: BackupHouse, *, effect: bool) -> None:
    bh.world.begin_troubles = [unanswered(effect=effect)]

    run = bh.does("restore prod/orders-db")

    assert (run.state, bh.world.begun) == (("done", [run.id]) if effect else ("failed", []))
    assert effect or run.message.startswith(f"Nothing of database {copy_name(run.id)} exists: the restore of")


def test_a_world_that_cannot_be_read_for_a_while_ends_nothing(bh: BackupHouse) -> None:
    bh.world.at["begin.done"] = lambda: setattr(bh.world, "dark_until", NOON + timedelta(minutes=30))

    run = bh.does("restore prod/orders-db")

    assert (run.state, run.degraded, bh.world.begun) == ("done", "", [run.id])
    assert any("it cannot be read now: db.example:5432 does not answer" in said for said in bh.reports())


def test_a_restore_that_does_not_end_is_left_by_its_deadline_and_another_can_be_asked_for(bh: BackupHouse) -> None:
    bh.world.course.takes = timedelta(hours=40)

    run = bh.does("restore prod/orders-db")

    assert run.state == "done"
    assert "The copy is not complete: it has not ended within 12 h." in run.degraded
    assert bh.row(run.id).state is RestoreState.INTENDED
    assert "was never checked" not in refused(bh, f"cutover {run.id[:8]}")
    planned(bh)


def test_an_engine_that_blocks_until_it_is_done_is_followed_meanwhile(bh: BackupHouse) -> None:
    bh.world.course.blocks = True

    run = bh.does("restore prod/orders-db")

    assert (run.state, bh.world.begun) == ("done", [run.id])


def test_the_copy_of_somebody_else_with_the_same_name_is_left_alone(bh: BackupHouse) -> None:
    shown = bh.asks("restore prod/orders-db")

    def other() -> None:
        with bh.house.store.read() as seen:
            run = runs.runs(seen.sql, 1)[0].id
        bh.world.add_copy(run[:8] + "f" * 24)

    bh.world.at["begin.called"] = other
    bh.approves(shown)

    run = bh.last_run()
    assert (run.state, bh.world.begun) == ("failed", [])
    assert "exists, and is not of this run" in run.message


def test_a_drill_that_runs_is_asked_to_stop_for_it(bh: BackupHouse) -> None:
    drill(bh, "d1" * 16, timedelta(0), result=DrillResult.RUNNING)
    text = planned(bh)

    run = bh.does("restore prod/orders-db")

    assert "Now: a drill of this store runs, and is asked to stop" in text
    assert bh.records.abort_reason("d1" * 16) == f"prod/orders-db is restored by run {run.id[:8]}"
    assert "Drill d1d1d1d1 was asked to stop for it." in run.message


def test_progress_tells_phase_bytes_percent_time_left_and_stalls_once_in_ten_seconds_at_most(bh: BackupHouse) -> None:
    bh.world.course = replace(
        bh.world.course, waits=timedelta(minutes=2), stalls_after=timedelta(minutes=4), stalls_for=timedelta(minutes=9)
    )

    bh.does("restore prod/orders-db")

    said = bh.reports()
    assert said[0] == "waiting behind 3 backups"
    for form in (
        r"copying, 2\.\d GB of 10\.0 GB \(2\d %\), about [78] min left",
        r"copying, 4\.0 GB of 10\.0 GB \((39|40) %\), no bytes for 6 min",
        r"copying, 9\.\d GB of 10\.0 GB \(9\d %\), about \d0 s left",
    ):
        assert any(re.fullmatch(form, one) for one in said), form
    assert min(after - before for (before, _), (after, _) in pairwise(bh.progress)) >= 10
    assert len(said) > 60, "and it is told as often as that"


def test_a_second_restore_of_a_store_waits_for_the_first(bh: BackupHouse) -> None:
    bh.house.hears(alert())
    asker = next(iter(PEOPLE.values()))
    first, second = bh.asks("restore prod/orders-db"), bh.house.says("restore prod/orders-db", by=asker, here=1)
    replies = []

    def meanwhile() -> None:
        replies.append(bh.house.says(f"yes {handle(second.text).split()[0]} {STORE}", by=CY, spot=SPOT))

    bh.world.at["verify.half"] = meanwhile
    bh.approves(first)
    wait_until_told(bh.house)

    assert "prod/orders-db is held by run" in replies[0].text
    assert len(bh.world.begun) == 1


def test_a_look_that_nobody_answers_until_the_deadline_is_unknown(bh: BackupHouse) -> None:
    bh.world.at["begin.done"] = lambda: setattr(bh.world, "dark_until", NOON + timedelta(days=9))

    shown = bh.asks("restore prod/orders-db")
    reply = bh.house.says(f"yes {handle(shown.text).split()[0]} {STORE}", by=CY, spot=SPOT)

    assert reply.ok
    for _ in range(8):
        bh.wait_for_workers()
        bh.house.clock.pass_by(minutes=3)
        bh.house.tends()
    run = bh.last_run()
    assert (run.state, bh.world.begun) == ("unknown", [run.id])
    assert [one.title.partition(":")[0] for one in bh.house.incidents()] == ["RunUnknown"]
