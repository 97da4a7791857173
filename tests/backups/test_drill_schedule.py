"""When a store is drilled: once in an opening of its windows, over clock changes, restarts and long silences."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bot.backups.drill_schedule import Due, due, missed_drill, same_instance, scheduled_rule
from bot.core.backup import BackupReader, BackupStore, Drill, DrillResult, DrillRules, Inventory
from bot.lib.time_windows import Opening, WeeklyWindow, openings, parse_window

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
ZONES = ("Europe/Berlin", "Australia/Lord_Howe", "Africa/Cairo", "America/Santiago")


class Reads:
    """An engine that has nothing."""

    title = "Reads"

    def inventory(self) -> Inventory:
        return Inventory()


def store(name: str = "prod/orders", engine: BackupReader | None = None, **said: str) -> BackupStore:
    rules = DrillRules(every=7 * DAY)
    made = BackupStore(
        name=name, service="", engine=engine or Reads(), engine_name="reads", rpo=HOUR, rto=HOUR, drill=rules
    )
    return replace(made, **said)  # type: ignore[arg-type]


def drill(at: datetime, result: DrillResult = DrillResult.PASSED) -> Drill:
    return Drill(run=f"{at:%s}", store="prod/orders", engine="reads", began_at=at, result=result)


@dataclass
class Life:
    """A bot that is up at some minutes, and does what the schedule asks for."""

    rules: DrillRules
    began: list[datetime] = field(default_factory=list)
    rows: list[Drill] = field(default_factory=list)  #: the newest first
    since: datetime = BEGIN

    def is_up(self, minutes: Iterable[datetime], ends: DrillResult = DrillResult.PASSED, *, busy: bool = False) -> None:
        for now in minutes:
            wanted = due("prod/orders", self.rules, self.rows, since=self.since, now=now)
            if wanted.missed is not None:
                self._put(missed_drill(store(), wanted.missed, "why"))
            if wanted.begin and not busy:
                self.began.append(now)
                self._put(drill(now, ends))

    def _put(self, row: Drill) -> None:
        assert all(one.run != row.run for one in self.rows), "the same row twice"
        self.rows = sorted([*self.rows, row], key=lambda one: one.began_at, reverse=True)

    def missed(self) -> list[datetime]:
        return [one.began_at for one in self.rows if one.result is DrillResult.MISSED]


def every(step: timedelta, since: datetime, until: datetime) -> list[datetime]:
    return [since + n * step for n in range((until - since) // step)]


def rules(*windows: str, often: timedelta = 7 * DAY) -> DrillRules:
    return DrillRules(every=often, during=tuple(map(parse_window, windows)))


windows = st.builds(
    lambda days, begin, long, zone: parse_window(
        f"{','.join(sorted(days))} {begin // 60:02}:{begin % 60:02}"
        f"-{(begin + long) % 1440 // 60:02}:{(begin + long) % 60:02} {zone}"
    ),
    st.sets(st.sampled_from(("mon", "wed", "sat", "sun")), min_size=1),
    st.integers(0, 24 * 4 - 1).map(lambda quarter: quarter * 15),
    st.sampled_from((30, 45, 60, 240)),
    st.sampled_from(ZONES),
)


@settings(max_examples=8)
@given(window=windows, often=st.sampled_from((DAY, 3 * DAY, 7 * DAY)))
@example(window=parse_window("sun 02:00-02:30 Europe/Berlin"), often=7 * DAY)
@example(window=parse_window("sun 01:45-02:15 Australia/Lord_Howe"), often=7 * DAY)
def test_in_a_year_no_opening_has_two_drills_and_none_is_left_out_that_was_due(
    window: WeeklyWindow, often: timedelta
) -> None:
    life = Life(DrillRules(every=often, during=(window,)))
    opened = openings((window,), BEGIN, BEGIN + 365 * DAY)
    # Nothing happens outside of openings, so only these are lived through.
    life.is_up(at for one in opened for at in every(5 * MINUTE, one.begin, one.end + HOUR))

    held = [[at for at in life.began if one.begin <= at < one.end] for one in opened]
    assert all(len(one) <= 1 for one in held)
    assert sum(map(len, held)) == len(life.began)
    assert life.missed() == []
    longest = max((later.begin - one.begin for one, later in pairwise(opened)), default=often)
    gaps = [later - at for at, later in pairwise(life.began)]
    assert all(gap <= max(often, longest) + 3 * HOUR for gap in gaps)


@pytest.mark.parametrize("zone", ZONES)
def test_a_window_whose_hour_is_skipped_that_night_still_has_its_drill(zone: str) -> None:
    schedule = rules(f"00:00-00:30 {zone}", f"02:00-02:30 {zone}")
    opened = openings(schedule.during, BEGIN, BEGIN + 365 * DAY)

    assert len(opened) >= 2 * 365 - 1
    assert all(timedelta(0) < one.end - one.begin <= 2 * HOUR for one in opened)


def test_a_store_is_drilled_on_its_night_and_not_on_the_others() -> None:
    life = Life(rules("01:00-05:00 UTC"))
    life.is_up(every(10 * MINUTE, BEGIN, BEGIN + 29 * DAY))

    assert [at.date().day for at in life.began] == [1, 8, 15, 22, 29]


def test_a_drill_of_a_person_counts_and_the_interval_is_kept(  # a week after it the window is not open
) -> None:
    life = Life(rules("sun 01:00-05:00 UTC"))  # the 4th and the 11th of January 2026
    life.rows = [drill(BEGIN + timedelta(days=6))]
    life.is_up(every(10 * MINUTE, BEGIN + timedelta(days=6), BEGIN + 20 * DAY))

    assert [at.date().day for at in life.began] == [11, 18]


def test_a_restart_in_the_window_begins_no_second_drill() -> None:
    life = Life(rules("01:00-05:00 UTC", often=DAY))
    life.is_up(every(MINUTE, BEGIN, BEGIN + 3 * HOUR), DrillResult.FAILED)
    life.since = BEGIN + 3 * HOUR
    life.is_up(every(MINUTE, BEGIN + 3 * HOUR, BEGIN + 6 * HOUR))

    assert len(life.began) == 1


@pytest.mark.parametrize("ended", DrillResult)
def test_however_a_drill_ends_its_window_has_no_second_one(ended: DrillResult) -> None:
    life = Life(rules("01:00-05:00 UTC"))
    life.is_up(every(MINUTE, BEGIN, BEGIN + 6 * HOUR), ended)

    assert len(life.began) == 1


@pytest.mark.parametrize("ended", [DrillResult.ABORTED, DrillResult.MISSED])
def test_one_that_says_nothing_of_the_backup_is_made_up_for_in_the_next_window(ended: DrillResult) -> None:
    life = Life(rules("01:00-05:00 UTC"))
    life.is_up(every(10 * MINUTE, BEGIN, BEGIN + DAY), ended)
    life.is_up(every(10 * MINUTE, BEGIN + DAY, BEGIN + 6 * DAY))

    assert [at.date().day for at in life.began] == [1, 2]


def test_a_window_in_which_its_engine_was_busy_is_missed_once() -> None:
    life = Life(rules("01:00-05:00 UTC"))
    life.is_up(every(10 * MINUTE, BEGIN, BEGIN + 23 * HOUR), busy=True)

    assert life.missed() == [BEGIN + HOUR]
    life.is_up(every(10 * MINUTE, BEGIN + DAY, BEGIN + 2 * DAY))
    assert len(life.began) == 1


def test_a_window_that_passed_while_the_bot_was_down_is_missed(  # but not one from before it was set up
) -> None:
    life = Life(rules("01:00-05:00 UTC", often=DAY), since=BEGIN + 6 * HOUR)
    life.is_up(every(10 * MINUTE, BEGIN + 6 * HOUR, BEGIN + DAY))
    assert life.missed() == []
    life.is_up(every(10 * MINUTE, BEGIN + DAY, BEGIN + 30 * HOUR))
    life.since = BEGIN + 2 * DAY + 12 * HOUR
    life.is_up(every(10 * MINUTE, life.since, life.since + HOUR))

    assert life.missed() == [BEGIN + 2 * DAY + HOUR]


def test_without_windows_the_interval_alone_counts_and_what_cannot_begin_is_missed() -> None:
    life = Life(rules())
    life.is_up(every(10 * MINUTE, BEGIN, BEGIN + 15 * DAY))
    assert len(life.began) == 3
    assert all(7 * DAY <= b - a < 7 * DAY + HOUR for a, b in pairwise(life.began))

    life.is_up(every(10 * MINUTE, BEGIN + 15 * DAY, BEGIN + 24 * DAY), busy=True)
    assert len(life.missed()) in (1, 2)


def test_a_window_that_never_closes_is_none() -> None:
    life = Life(rules("00:00-24:00 UTC", often=DAY))
    life.is_up(every(10 * MINUTE, BEGIN, BEGIN + 5 * DAY))

    assert len(life.began) == 5


def test_stores_do_not_all_begin_at_once_and_each_begins_at_its_own_moment() -> None:
    schedule = rules("01:00-02:00 UTC")
    at = [due(f"s{n}", schedule, (), since=BEGIN, now=BEGIN).next_at for n in range(20)]

    assert len(set(at)) > 15
    assert all(one is not None and BEGIN + HOUR <= one <= BEGIN + 1.5 * HOUR for one in at)
    assert at == [due(f"s{n}", schedule, (), since=BEGIN, now=BEGIN).next_at for n in range(20)]


def test_a_row_of_a_clock_that_was_a_year_ahead_holds_no_drill_up() -> None:
    life = Life(rules("01:00-05:00 UTC", often=DAY))
    life.rows = [drill(BEGIN + 365 * DAY)]
    life.is_up(every(10 * MINUTE, BEGIN, BEGIN + 3 * DAY))

    assert len(life.began) == 3


def test_a_store_without_an_interval_is_never_drilled_by_itself() -> None:
    asked = due("s", DrillRules(during=(parse_window("00:00-24:00 UTC"),)), (), since=BEGIN, now=BEGIN + 99 * DAY)

    assert asked == Due()
    assert scheduled_rule({"s": replace(store("s"), drill=DrillRules())}, "drill", "s") == ""


def test_only_drills_of_stores_with_an_interval_are_scheduled() -> None:
    stores = {"prod/orders": store()}

    assert scheduled_rule(stores, "drill", "prod/orders") == "backups.stores prod/orders: drill.every 7d"
    assert scheduled_rule(stores, "restore", "prod/orders") == ""
    assert scheduled_rule(stores, "drill", "prod/other") == ""


def test_two_stores_on_one_instance_are_known_by_engine_and_place() -> None:
    one, other = store(where="db-1"), store("prod/other", where="db-1")

    assert same_instance(one, other)
    assert not same_instance(one, replace(other, where="db-2"))
    assert not same_instance(store(), store("prod/other"))
    assert same_instance(store(engine=one.engine), store("prod/other", engine=one.engine))


def test_the_row_of_a_missed_drill_is_the_same_in_both_replicas() -> None:
    opening = Opening(BEGIN, BEGIN + HOUR)

    assert missed_drill(store(), opening, "busy") == missed_drill(store(), opening, "busy")
    assert missed_drill(store(), opening, "busy").run != missed_drill(store("s"), opening, "busy").run
