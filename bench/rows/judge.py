"""What judging 10,000 backups costs, from the row of the last look to the report. In this process."""

from __future__ import annotations

import timeit
import tracemalloc
from datetime import UTC, datetime, timedelta

import msgspec

from bench.ground import Ground
from bench.table import Line, at_most, worst
from bot.backups.judging import StoreReport, judge
from bot.core.backup import Backup, BackupReader, BackupStore, Continuity, Drill, DrillResult, Inventory, StoreLook

_BACKUPS, _DRILLS = 10_000, 100
_NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


class _Read:
    """An engine that is not asked."""

    title = "none"

    def inventory(self) -> Inventory:
        raise AssertionError("judging asks no engine")


def measure(ground: Ground) -> list[Line]:
    row = msgspec.json.encode(_look())
    engine: BackupReader = _Read()
    store = BackupStore(
        name="prod/orders-db",
        service="",
        engine=engine,
        engine_name="postgres",
        rpo=timedelta(hours=1),
        rto=timedelta(hours=4),
    )
    drills = [_drill(number) for number in range(_DRILLS)]

    def judged() -> StoreReport:
        return judge(store, msgspec.json.decode(row, type=StoreLook), drills, _NOW)

    assert judged().usable is not None
    took = min(timeit.repeat(judged, number=1, repeat=3 if ground.quick else 9))
    tracemalloc.start()
    judged()
    peak = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    return [
        Line(
            what=f"judging {_BACKUPS:,} backups of a store, read from its row",
            least="1 s, 50 MB",
            aim="0.2 s, 25 MB",
            reached=f"{took:.3f} s, {peak:.0f} MB at most",
            verdict=worst(at_most(took, 1, 0.2), at_most(peak, 50, 25)),
            bound="one pass over the backups; most of it is reading the row",
            numbers={"s": took, "mb": peak},
        )
    ]


def _look() -> StoreLook:
    backups = tuple(
        Backup(
            id=f"20261123-{number:06}F",
            data_at=_NOW - timedelta(minutes=10 + 30 * number),
            finished_at=_NOW - timedelta(minutes=5 + 30 * number),
            size_bytes=10**10 + number,
            duration=timedelta(minutes=5),
            problem="" if number % 9 else "its archive ends early",
            kind="full" if number % 7 == 0 else "incr",
        )
        for number in range(_BACKUPS)
    )
    inventory = Inventory(backups=backups, continuity=Continuity(ok_until=_NOW))
    return StoreLook(store="prod/orders-db", looked_at=_NOW, inventory=inventory, read_at=_NOW)


def _drill(number: int) -> Drill:
    return Drill(
        run=f"{number:032x}",
        store="prod/orders-db",
        engine="postgres",
        began_at=_NOW - timedelta(days=7 * number + 1),
        result=DrillResult.PASSED,
        rto=timedelta(minutes=40 + number),
    )
