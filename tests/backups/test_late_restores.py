"""Restores that outlast their run: found again, checked when they end, told meanwhile; no drill is held up for ever."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from bot.alerts import internal
from bot.backups import drill_plan
from bot.backups.late_restores import LateRestores
from bot.core.alert import Alert
from bot.core.backup import Check, RestoreState
from bot.core.errors import Rejected
from bot.store.runs import Run
from tests.backups.backup_house import STORE, BackupHouse, bh
from tests.fakes.backup_engine import copy_name

__all__ = ["bh"]
pytestmark = [
    pytest.mark.waits,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
]

HOUR = timedelta(hours=1)


class Late:
    """A restore of 40 hours, whose run has ended after 12."""

    def __init__(self, bh: BackupHouse) -> None:
        self.bh = bh
        bh.world.course.takes = 40 * HOUR
        bh.house.tools = replace(bh.house.tools, poll_interval=timedelta(minutes=10))  # few looks in half a day
        bh.restart()
        self.run: Run = bh.does(f"restore {STORE}")
        self.restores = LateRestores(
            records=bh.records, now=bh.house.clock, take=bh.house.hears_all, firing=self._firing
        )

    def passes(self, much: timedelta) -> None:
        self.bh.house.clock.at += much
        self.restores.look_after(self.bh.store)

    def fires(self) -> list[Alert]:
        return [one for one in self._firing(internal.drill_group(STORE)) if one.firing]

    def state(self) -> RestoreState:
        return self.bh.row(self.run.id).state

    def _firing(self, group: str) -> Sequence[Alert]:
        with self.bh.house.store.read() as reading:
            return reading.firing_in_groups(internal.OWN, group)


@pytest.fixture
def late(bh: BackupHouse) -> Late:
    return Late(bh)


def test_it_is_told_while_it_goes_on_and_checked_when_it_is_complete(late: Late) -> None:
    late.passes(HOUR)
    late.passes(HOUR)
    (told,) = late.fires()
    assert told.labels["alertname"] == "RestoreLate"
    assert f"{copy_name(late.run.id)} (run {late.run.id[:8]}): its own system still" in told.annotations["summary"]
    with pytest.raises(Rejected, match="goes before a drill"):
        drill_plan.plan(STORE, late.bh.house.tools)
    late.passes(40 * HOUR)

    row = late.bh.row(late.run.id)
    assert (row.state, late.fires()) == (RestoreState.VERIFIED, [])
    assert [one.name for one in row.checks if not one.ok] == []
    assert drill_plan.plan(STORE, late.bh.house.tools), "drills go on"
    assert late.bh.asks(f"cutover {late.run.id[:8]}").ok


def test_one_that_fails_or_is_gone_is_closed(late: Late) -> None:
    late.passes(HOUR)
    late.bh.world.databases.pop(copy_name(late.run.id), None)
    late.bh.world.course.fails_after = 13 * HOUR
    late.passes(40 * HOUR)

    assert (late.state(), late.fires()) == (RestoreState.FAILED, [])


def test_one_whose_checks_find_a_difference_is_damaged(late: Late) -> None:
    late.bh.restart(checks=(Check(name="orders", query="count", expect="51"),))
    late.passes(40 * HOUR)

    assert late.state() is RestoreState.DAMAGED


def test_an_engine_that_does_not_answer_closes_nothing(late: Late) -> None:
    late.bh.world.dark_until = late.bh.house.clock() + 90 * HOUR
    late.passes(40 * HOUR)

    assert late.state() is RestoreState.INTENDED
    assert "cannot be looked at or checked" in late.fires()[0].annotations["summary"]


def test_one_that_a_person_removes_during_its_checks_stays_removed(late: Late) -> None:
    def removed() -> None:
        late.bh.does(f"remove-copy {late.run.id[:8]}")

    late.bh.world.at["verify.called"] = removed
    late.passes(40 * HOUR)

    assert late.state() is RestoreState.REMOVED


def test_a_restore_whose_run_goes_on_is_left_to_it(bh: BackupHouse) -> None:
    bh.world.course.takes = 2 * HOUR
    shown = bh.asks(f"restore {STORE}")
    bh.dies(shown, "begin.done")
    (row,) = bh.records.list_restores(STORE)
    looks = LateRestores(records=bh.records, now=bh.house.clock, take=bh.house.hears_all, firing=lambda _: [])
    bh.house.clock.at += 9 * HOUR
    looks.look_after(bh.store)

    assert bh.records.get_restore(row.task.run) == row
