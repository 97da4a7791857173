"""Drills that nobody asks for: begun by the scheduler, on record, told once, alarmed about, and reaped."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.access.policy import Freeze
from bot.alerts import internal
from bot.backups.drill_tick import DrillTick
from bot.backups.reaper import Reaper
from bot.core.alert import Alert, AlertBatch
from bot.core.audit import Code
from bot.core.backup import (
    BackupStore,
    Drill,
    DrillResult,
    DrillRules,
    RestorePoint,
    RestoreRecord,
    RestoreState,
    RestoreTask,
)
from bot.core.errors import Rejected, Undelivered
from bot.core.plan import Risk
from bot.lib.time_windows import parse_window
from bot.store import runs
from bot.store.backup_rows import StoredBackupRecords
from tests.backups.drill_ground import NAME, OTHER, RUN, DrillBackups
from tests.dials import Turn
from tests.fakes.backup_engine import BackupWorld, FakeBackupEngine, FakeBackupReader, ProcessDied
from tests.house import ACCOUNTS, ANA, House
from tests.running import until
from tests.runs import handle, wait_until_ended

pytestmark = pytest.mark.waits

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
#: Noon, when the House begins, is within.
RULES = DrillRules(every=7 * DAY, during=(parse_window("mon 11:00-15:00 UTC"),), at_most=4 * HOUR)


@dataclass
class Posts:
    """A chat that keeps what is posted. `down`: it takes nothing."""

    said: list[str] = field(default_factory=list)
    down: bool = False

    def post(self, text: str, to: str | None, *, instead_of: str = "") -> str:
        assert to is None
        assert not instead_of
        if self.down:
            raise Undelivered("503")
        self.said.append(text)
        return "1"


class Night:
    """A House with a store of backups, and the ticks of one or more replicas."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.world = BackupWorld(house.clock, self.pause)
        self.records = StoredBackupRecords(house.store)
        self.posts = Posts()
        self.world.write(rows=3)
        self.world.add_backup("b1", house.clock() - HOUR)
        self.world.held_rows["b1"] = list(self.world.databases["orders"].rows)
        self.rules = RULES
        self.settle()
        self.ticks = self.replica()

    def pause(self, much: timedelta) -> None:
        self.house.clock.at += much

    def elapsed(self) -> float:
        return self.house.clock.at.timestamp()

    @property
    def store(self) -> BackupStore:
        return BackupStore(
            name=NAME,
            service="prod/api",
            engine=FakeBackupEngine(self.world),
            engine_name="fake",
            rpo=HOUR,
            rto=4 * HOUR,
            drill=self.rules,
        )

    def settle(self) -> None:
        """Restart with the store in the settings."""
        backups = DrillBackups(stores={NAME: self.store}, records=self.records)
        self.house.tools = replace(
            self.house.tools,
            backups=backups,
            pause=self.pause,
            poll_interval=timedelta(seconds=30),
            elapsed=self.elapsed,
        )
        self.house.settle(ACCOUNTS)

    def replica(self) -> DrillTick:
        return DrillTick(
            records=self.records,
            now=self.house.clock,
            begin=self.house.dispatcher.run_scheduled,
            take=self.take,
            firing=self.firing,
            messengers={"slack": self.posts},
        )

    def reaper(self) -> Reaper:
        return Reaper(records=self.records, now=self.house.clock, take=self.take, firing=self.firing)

    def take(self, batch: AlertBatch) -> None:
        self.house.hears_all(batch)

    def firing(self, group: str) -> Sequence[Alert]:
        with self.house.store.read() as reading:
            return reading.firing_in_groups(internal.OWN, group)

    def passes(self, **much: float) -> None:
        """Time goes by, and the ticks look once."""
        self.house.clock.pass_by(**much)
        self.ticks.look_after(self.store)
        wait_until_ended(self.house)
        self.ticks.look_after(self.store)

    def drills(self) -> list[Drill]:
        return list(self.records.list_drills(NAME, 50))

    def fires(self) -> list[str]:
        return [one.labels["alertname"] for one in self.firing(internal.drill_group(NAME))]

    def put(self, result: DrillResult, *, at: datetime | None = None, run: str = RUN) -> Drill:
        row = Drill(
            run=run, store=NAME, engine="fake", began_at=at or self.house.clock(), result=result, message="Why.",
            finished_at=None if result is DrillResult.RUNNING else self.house.clock(),
        )  # fmt: skip
        self.records.put_drill(row)
        return row


@pytest.fixture
def night(sqlite_template: Path, tmp_path: Path) -> Iterator[Night]:
    shutil.copy(sqlite_template, tmp_path / "vakhta.db")
    house = House(f"sqlite:///{tmp_path}/vakhta.db")
    yield Night(house)
    house.close()


def test_in_its_window_a_store_is_drilled_on_record_and_with_nobody_s_approval(night: Night) -> None:
    night.passes(minutes=45)

    (row,) = night.drills()
    assert row.result is DrillResult.PASSED
    assert night.house.audited() == [Code.PLANNED, Code.INTENT, Code.DONE]
    with night.house.store.read() as seen:
        (run,) = runs.runs(seen.sql, 9)
        proposal = runs.plan_of_run(seen.sql, run)
    assert (run.by, proposal.approvals, proposal.by_scheduler) == ("watch", (), True)
    assert run.rule == "backups.stores prod/orders: drill.every 7d"
    assert run.target == "drill of prod/orders"


def test_its_result_is_posted_once_and_opens_nothing_when_it_passed(night: Night) -> None:
    night.passes(minutes=45)
    night.passes(minutes=1)
    night.replica().look_after(night.store)

    (post,) = night.posts.said
    assert post.startswith("Drill of prod/orders: PASSED.")
    assert "From b1 (data of 2026-11-23 11:00 UTC), Fake" in post
    assert "Checks: 1 of 1 hold" in post
    assert night.house.incidents() == []


def test_a_chat_that_is_down_does_not_stop_the_schedule(night: Night) -> None:
    night.posts.down = True
    night.passes(minutes=45)

    assert [one.result for one in night.drills()] == [DrillResult.PASSED]


def test_a_result_that_a_chat_has_not_taken_comes_again_in_that_chat_alone_and_is_counted_once(night: Night) -> None:
    other, counted = Posts(), list[Drill]()
    night.ticks = replace(night.ticks, messengers={"slack": night.posts, "telegram": other}, observe=counted.append)
    night.posts.down = True
    night.passes(minutes=45)
    night.passes(minutes=1)
    assert (len(other.said), night.posts.said) == (1, [])
    night.posts.down = False
    night.passes(minutes=9)
    night.passes(hours=1)

    assert (len(other.said), len(night.posts.said), len(counted)) == (1, 1, 1)
    assert night.drills()[0].told_at is not None


def test_a_result_whose_process_died_while_it_was_posted_is_posted_by_the_next_one(night: Night) -> None:
    class Dies(Posts):
        def post(self, text: str, to: str | None, *, instead_of: str = "") -> str:
            raise ProcessDied("post")

    row = night.put(DrillResult.PASSED)
    dying, following = replace(night.ticks, messengers={"slack": Dies()}), night.replica()
    with pytest.raises(ProcessDied):
        dying.look_after(night.store)
    following.look_after(night.store)
    assert night.posts.said == [], "the other process may be about to"
    night.house.clock.pass_by(minutes=10)
    following.look_after(night.store)
    night.house.clock.pass_by(hours=1)
    following.look_after(night.store)

    assert next(one for one in night.posts.said if "PASSED" in one).startswith(f"Drill of {row.store}: PASSED.")
    assert len([one for one in night.posts.said if "PASSED. Why." in one]) == 1


def test_a_chat_that_takes_nothing_for_a_day_is_given_up(night: Night) -> None:
    night.put(DrillResult.PASSED)
    night.posts.down = True
    for _ in range(3):
        night.ticks.look_after(night.store)
        night.house.clock.pass_by(hours=12)

    assert next(one for one in night.drills() if one.run == RUN).told_at is not None


def test_two_replicas_and_a_restart_make_one_drill_in_a_window(house: House) -> None:
    night = Night(house)
    other = night.replica()
    night.house.clock.pass_by(minutes=45)
    night.ticks.look_after(night.store)
    other.look_after(night.store)
    wait_until_ended(night.house)
    other.look_after(night.store)
    night.settle()
    night.ticks = night.replica()
    night.passes(minutes=30)

    assert len(night.drills()) == 1
    assert len(night.world.begun) == 1


def test_a_replica_that_comes_late_with_its_run_makes_no_second_drill(night: Night) -> None:
    night.passes(minutes=45)

    reply = night.house.dispatcher.run_scheduled(f"drill {NAME}", "its time has come")
    wait_until_ended(night.house)

    assert reply.ok, "it had not read the rows when it asked"
    assert len(night.drills()) == 1
    assert night.house.audited()[-1] is Code.FAILED


@pytest.mark.parametrize("said", ["turn prod/api 6", "restore prod/orders", "undo 5f", "DRILLS prod/orders", "yes 5f"])
def test_the_scheduler_begins_nothing_but_drills(night: Night, said: str) -> None:
    reply = night.house.dispatcher.run_scheduled(said, "its time has come")

    assert not reply.ok
    assert "is never begun by the scheduler. Nothing was done." in reply.text
    assert night.house.audited() == [Code.DENIED]


def test_the_scheduler_drills_no_store_that_the_settings_do_not_schedule(night: Night) -> None:
    night.rules = DrillRules()
    night.settle()
    for name in (NAME, "prod/other"):
        reply = night.house.dispatcher.run_scheduled(f"drill {name}", "its time has come")
        assert not reply.ok
        assert "the settings do not schedule it" in reply.text
    assert night.world.begun == []


@pytest.mark.parametrize("plan", ["lasting", "others", "typed"])
def test_what_needs_a_person_s_approval_is_not_begun_by_the_scheduler(night: Night, plan: str) -> None:
    house = night.house
    house.dials.others = int(plan == "others")
    risk = Risk.IRREVERSIBLE if plan == "lasting" else Risk.REVERSIBLE
    house.dials.values[NAME] = 1
    action: Any = Turn(house.dials, risk=risk, typed=plan == "typed")
    house.verbs.actions["drill"] = action
    reply = house.dispatcher.run_scheduled(f"drill {NAME} 0", "its time has come")

    assert not reply.ok
    assert "needs the approval of a person. Nothing was done." in reply.text
    assert house.dials.turned == []


def test_a_freeze_holds_drills_as_well_and_a_window_within_it_is_missed(night: Night) -> None:
    now = night.house.clock()
    night.house.freezes = (Freeze(name="year end", since=now, until=now + DAY, targets=("*",)),)
    night.settle()
    night.ticks = night.replica()
    night.passes(minutes=45)
    assert night.drills() == []
    night.passes(hours=5)

    (row,) = night.drills()
    assert row.result is DrillResult.MISSED
    assert 'freeze "year end" is on until' in row.message


def test_a_window_in_which_it_could_not_begin_is_missed_told_and_alarmed(night: Night) -> None:
    night.world.backups[0] = replace(night.world.backups[0], problem="the archive is truncated")
    night.passes(minutes=45)
    night.passes(hours=3)

    (row,) = night.drills()
    assert (row.result, row.began_at.hour) == (DrillResult.MISSED, 11)
    assert "the archive is truncated" in row.message
    assert night.posts.said[0].startswith("Drill of prod/orders: MISSED.")
    assert night.fires() == ["DrillMissed"]


def test_a_drill_that_failed_opens_an_incident_and_one_that_passes_ends_it(night: Night) -> None:
    night.world.course.fails_after = timedelta(minutes=5)
    night.passes(minutes=45)
    night.passes(minutes=1)

    assert night.fires() == ["DrillFailed"]
    (incident,) = night.house.incidents()
    assert "No space left on device" in incident.title + str(night.firing(internal.drill_group(NAME)))
    night.world.course.fails_after = None
    shown = night.house.says(f"drill {NAME}", by=ANA)
    assert not shown.ok, "Ana has no right to it"
    night.passes(days=7)
    assert night.fires() == []
    assert [one.result for one in night.drills()] == [DrillResult.PASSED, DrillResult.FAILED]


def test_a_drill_that_hangs_is_alarmed_and_closed(night: Night) -> None:
    night.put(DrillResult.RUNNING)
    night.passes(hours=5, minutes=1)
    assert night.fires() == ["DrillHangs"]
    night.reaper().look_after(night.store)
    night.passes(minutes=1)

    (row,) = [one for one in night.drills() if one.run == RUN]
    assert row.result is DrillResult.FAILED
    assert night.fires() == ["DrillFailed"]


def test_a_person_s_drill_is_shown_confirmed_and_run(night: Night) -> None:
    night.house.people["ana"] = replace(ANA, roles=frozenset({"admin"}))
    night.house.settle({("slack", "U1"): night.house.people["ana"]})
    shown = night.house.says(f"drill {NAME}", by=night.house.people["ana"])
    assert "is restored from b1 (data of 2026-11-23 11:00 UTC, 10 GB) into scratch" in shown.text
    night.house.says(f"yes {handle(shown.text)}", by=night.house.people["ana"])
    wait_until_ended(night.house)

    assert [one.result for one in night.drills()] == [DrillResult.PASSED]


def test_a_drill_whose_process_died_goes_on_in_another_one(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("threading.excepthook", lambda _: None)
    night.world.dies_at = "verify.called"
    night.house.clock.pass_by(minutes=45)
    night.ticks.look_after(night.store)
    until(lambda: not night.house.runs._workers.running(), "the process is dead")
    assert [one.result for one in night.drills()] == [DrillResult.RUNNING]
    night.house.clock.pass_by(minutes=5)
    night.settle()
    night.house.tends()
    wait_until_ended(night.house)

    assert [one.result for one in night.drills()] == [DrillResult.PASSED]
    assert len(night.world.begun) == 1
    assert [name for name in night.world.databases if name != "orders"] == []


# --- sentinels


def test_a_store_gets_a_token_every_quarter_of_its_rpo(night: Night) -> None:
    for _ in range(31):
        night.ticks.keep_sentinel(night.store)
        night.house.clock.pass_by(minutes=1)

    assert len(night.world.databases["orders"].sentinels) == 3
    assert night.records.sentinels(NAME).keys() == night.world.databases["orders"].sentinels.keys()


def test_a_token_that_could_not_be_written_is_expected_nowhere(night: Night) -> None:
    night.world.databases["orders"].accepts = False
    night.ticks.keep_sentinel(night.store)

    assert night.records.sentinels(NAME) == {}


@pytest.mark.parametrize("rules", [DrillRules(), replace(RULES, sentinel=False)])
def test_a_store_without_drills_or_without_sentinels_gets_none(night: Night, rules: DrillRules) -> None:
    night.rules = rules
    night.ticks.keep_sentinel(night.store)
    night.ticks.keep_sentinel(replace(night.store, engine=FakeBackupReader(night.world)))

    assert night.world.databases["orders"].sentinels == {}


# --- the reaper


def left_behind(night: Night, run: str = RUN, *, drill: bool = True, ends: DrillResult = DrillResult.PASSED) -> None:
    """A copy of a run that has ended."""
    now = night.house.clock()
    task = RestoreTask(
        run=run,
        store=NAME,
        point=RestorePoint(backup_id="b1"),
        drill=drill,
        expires_at=now + 5 * HOUR if drill else None,
    )
    night.records.put_restore(
        RestoreRecord(task=task, began_at=now, state=RestoreState.VERIFIED, finished_at=now + HOUR)
    )
    night.world.add_copy(run, drill=drill)
    if drill:
        row = night.put(ends, run=run)
        night.records.put_drill(replace(row, leftovers=("database x (in use)",)))


def test_what_a_drill_left_is_removed_and_its_row_says_so(night: Night) -> None:
    left_behind(night)
    night.reaper().look_after(night.store)
    night.reaper().look_after(night.store)

    assert night.world.removed == ["orders_restore_5f5f5f5f"]
    assert night.drills()[0].leftovers == ()
    assert night.records.get_restore(RUN).state is RestoreState.REMOVED


def test_a_copy_of_a_person_s_restore_is_never_removed(night: Night) -> None:
    left_behind(night, drill=False)
    night.house.clock.pass_by(days=99)
    night.reaper().look_after(night.store)

    assert night.world.removed == []
    assert night.fires() == []


def test_a_copy_that_says_it_is_a_drill_s_and_is_of_a_person_s_run_is_left_alone(night: Night) -> None:
    left_behind(night, drill=False)
    night.world.add_copy(RUN, drill=True)
    night.house.clock.pass_by(days=99)
    night.reaper().look_after(night.store)

    assert night.world.removed == []
    assert night.fires() == ["DrillLeftovers"]


def test_a_copy_of_a_drill_that_goes_on_stays_until_its_time_is_over(night: Night) -> None:
    left_behind(night, ends=DrillResult.RUNNING)
    night.house.clock.pass_by(hours=4)
    night.reaper().look_after(night.store)
    assert night.world.removed == []
    night.house.clock.pass_by(hours=2)
    night.reaper().look_after(night.store)

    assert night.world.removed == ["orders_restore_5f5f5f5f"]


def test_a_lost_drill_that_began_under_a_clock_that_was_ahead_is_closed_when_its_time_is_over(night: Night) -> None:
    night.put(DrillResult.RUNNING, at=night.house.clock() + 30 * DAY)
    reaper = night.reaper()
    reaper.look_after(night.store)
    night.house.clock.pass_by(hours=4)
    reaper.look_after(night.store)
    assert [one.result for one in night.drills()] == [DrillResult.RUNNING], "it may go on"
    night.house.clock.pass_by(hours=1, minutes=1)
    reaper.look_after(night.store)

    assert [one.result for one in night.drills()] == [DrillResult.FAILED]


def test_a_token_that_is_dated_ahead_neither_stops_the_next_ones_nor_makes_them_more_frequent(night: Night) -> None:
    night.records.put_sentinel(NAME, "t-ahead", night.house.clock() + 400 * DAY)
    for _ in range(30):
        night.ticks.keep_sentinel(night.store)
        night.house.clock.pass_by(minutes=1)

    assert len(night.records.sentinels(NAME)) == 3, "one in a quarter of the RPO of an hour"


def test_a_copy_that_was_there_before_its_run_is_told_and_left_alone(night: Night) -> None:
    left_behind(night)
    night.world.databases["orders_restore_5f5f5f5f"].created_at = night.house.clock() - DAY
    night.reaper().look_after(night.store)

    assert night.world.removed == []
    assert night.fires() == ["DrillLeftovers"]


def test_a_copy_of_a_run_that_is_not_known_here_is_another_bot_s_until_it_is_old(night: Night) -> None:
    night.world.add_copy(OTHER, drill=True)
    night.reaper().look_after(night.store)
    assert night.fires() == []
    night.house.clock.pass_by(days=2)
    night.reaper().look_after(night.store)

    assert night.world.removed == []
    assert night.fires() == ["DrillLeftovers"]


def test_a_leftover_that_cannot_be_removed_is_told_once_and_resolved_when_it_is_gone(night: Night) -> None:
    left_behind(night)
    night.world.remove_troubles += [(Rejected("It is in use."), False)] * 2
    night.reaper().look_after(night.store)
    night.reaper().look_after(night.store)
    assert night.fires() == ["DrillLeftovers"]
    assert len(night.house.incidents()) == 1
    night.reaper().look_after(night.store)
    night.reaper().look_after(night.store)

    assert night.fires() == []


def test_an_engine_that_does_not_answer_resolves_nothing(night: Night) -> None:
    left_behind(night)
    night.world.remove_troubles.append((Rejected("It is in use."), False))
    night.reaper().look_after(night.store)
    night.world.dark_until = night.house.clock() + HOUR
    night.reaper().look_after(night.store)

    assert night.fires() == ["DrillLeftovers"]


def test_an_alarm_about_leftovers_is_not_ended_by_a_drill_that_passes(night: Night) -> None:
    night.world.add_copy(OTHER, drill=True, created_at=night.house.clock() - 3 * DAY)
    night.reaper().look_after(night.store)
    night.passes(minutes=45)

    assert night.fires() == ["DrillLeftovers"]
