"""The ticks of drills, as the bot has them: each kind of work on a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from bot.app.build_drills import drill_ticks, validate_drills
from bot.app.scheduler import on_own_thread
from bot.core.alert import AlertBatch
from bot.core.backup import BackupStore, Check, Drill, DrillResult
from bot.core.errors import Rejected
from bot.lib.metrics import Metrics
from bot.store.backup_rows import StoredBackupRecords
from tests.backups.drill_ground import NAME, OTHER
from tests.backups.test_drill_tick import Night
from tests.fakes.backup_engine import BackupWorld, FakeBackupReader
from tests.house import NOON, House
from tests.running import until
from tests.runs import wait_until_ended

pytestmark = pytest.mark.waits


def test_without_a_store_of_backups_there_is_nothing_to_do(house: House) -> None:
    bare: Any = SimpleNamespace(backups=None)
    assert drill_ticks(house.store, bare, lambda *_: None, Metrics()) == ()


def test_a_store_of_the_settings_is_drilled_gets_sentinels_and_is_reaped(house: House) -> None:
    night, meters = Night(house), Metrics()
    chatops: Any = SimpleNamespace(
        backups=house.tools.backups, dispatcher=house.dispatcher, messengers={"slack": night.posts}
    )

    def take(batch: AlertBatch, done: Callable[[Any], object]) -> None:
        done(house.hears_all(batch)[0])

    ticks = [tick for tick, _ in drill_ticks(house.store, chatops, take, meters)]
    night.world.add_copy(OTHER, drill=True, created_at=house.clock() - timedelta(days=3))
    house.clock.pass_by(minutes=45)
    for tick in ticks:
        tick()
    until(lambda: bool(night.drills()), "a drill has begun")
    wait_until_ended(house)
    until(lambda: bool(night.records.sentinels(NAME)), "a token is written")
    until(lambda: night.fires() == ["DrillLeftovers"], "the reaper has looked")

    def told() -> bool:
        ticks[0]()
        return bool(night.posts.said)

    until(told, "the result is posted")
    assert night.drills()[0].result is DrillResult.PASSED
    assert f'vakhta_drills_total{{result="passed",store="{NAME}"}} 1.0' in meters.text([]).decode()


def test_a_call_that_hangs_holds_up_neither_the_ticks_nor_is_made_twice() -> None:
    hangs, calls = threading.Event(), []

    def work() -> None:
        calls.append(1)
        hangs.wait(60)

    tick = on_own_thread("hanging", [work])
    tick()
    tick()
    until(lambda: calls == [1], "it is called")
    tick()
    hangs.set()

    def again() -> bool:
        tick()
        return len(calls) > 1

    until(again, "it is called again once it has returned")


def test_a_call_that_fails_is_logged_and_the_next_has_its_turn(caplog: pytest.LogCaptureFixture) -> None:
    done = threading.Event()

    def fails() -> None:
        raise ValueError("a bug")

    on_own_thread("failing", [fails, done.set])()

    assert done.wait(30)
    assert "tick failed" in caplog.text


def test_drills_of_the_stores_own_system_are_kept_and_one_that_cannot_be_read_holds_up_nothing(house: House) -> None:
    answers: list[Sequence[Drill] | Rejected] = [
        Rejected("AWS Backup did not answer."),
        [Drill(run="aws-j1", store="prod/aws", engine="aws-backup", began_at=NOON, result=DrillResult.PASSED)],
    ]

    class Tested(FakeBackupReader):
        def validate_drills(self, checks: Sequence[Check]) -> Sequence[Drill]:
            answer = answers.pop(0)
            if isinstance(answer, Rejected):
                raise answer
            return answer

    store = BackupStore(
        name="prod/aws",
        service="",
        engine=Tested(BackupWorld(house.clock, lambda _: None)),
        engine_name="aws-backup",
        rpo=timedelta(hours=1),
        rto=timedelta(hours=4),
    )
    records = StoredBackupRecords(house.store)
    validate_drills(records, store)
    assert records.list_drills("prod/aws") == []
    validate_drills(records, store)

    assert [one.run for one in records.list_drills("prod/aws")] == ["aws-j1"]
