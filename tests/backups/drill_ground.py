"""A store with backups, its drill rules, and the tools of a run: what a drill is tried on, in virtual time.

The rows are real ones of a real store. A process that dies is `ProcessDied`, raised out of the run; the next one has
the same world, the same rows and an engine of its own.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

from bot.backups import drill as drills
from bot.backups import drill_plan
from bot.core.action import Tools
from bot.core.backup import (
    BackupReader,
    BackupRecords,
    BackupStore,
    Check,
    CopyState,
    CopyStatus,
    Drill,
    DrillRules,
    RestoreTask,
)
from bot.core.plan import Outcome, Plan
from bot.store.backup_rows import StoredBackupRecords
from bot.store.engine import Store
from tests.fakes.backup_engine import BackupWorld, FakeBackupEngine
from tests.house import Clock

NAME = "prod/orders"
RUN = "5f" * 16
OTHER = "6e" * 16
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


@dataclass(frozen=True)
class DrillBackups:
    """Implements `core.backup.Backups`."""

    stores: Mapping[str, BackupStore]
    records: BackupRecords


class SlowToHydrate(FakeBackupEngine):
    """Its data is read for the first time after the copy can be connected to: RDS."""

    def look(self, task: RestoreTask) -> CopyStatus:
        seen = super().look(task)
        late = seen.state is CopyState.RUNNING and 2 * (seen.bytes_done or 0) >= (seen.bytes_total or 1)
        return replace(seen, phase="hydrating") if late else seen


@dataclass
class DrillGround:
    """`engine`: the one of the process that lives now."""

    store: Store
    clock: Clock
    rules: DrillRules = field(default_factory=lambda: DrillRules(every=timedelta(days=7), at_most=4 * HOUR))
    checks: tuple[Check, ...] = (Check(name="orders", query="count", expect="3"),)
    said: list[str] = field(default_factory=list)
    remembered: list[Mapping[str, str]] = field(default_factory=list)
    watches: int = 0
    watched_until: datetime | None = None
    passed: timedelta = timedelta(0)  #: by a clock that is never set

    def __post_init__(self) -> None:
        self.world = BackupWorld(self.clock, self.pause)
        self.records = StoredBackupRecords(self.store)
        self.engine: BackupReader = FakeBackupEngine(self.world)
        self.world.write(rows=3)
        self.clock.pass_by(minutes=1)
        self.world.add_backup("b1", self.clock())
        self.clock.pass_by(minutes=20)

    def pause(self, much: timedelta) -> None:
        self.clock.at += much
        self.passed += much

    def elapsed(self) -> float:
        return self.passed.total_seconds()

    @property
    def backup_store(self) -> BackupStore:
        return BackupStore(
            name=NAME,
            service="prod/api",
            engine=self.engine,
            engine_name="fake",
            rpo=HOUR,
            rto=4 * HOUR,
            checks=self.checks,
            drill=self.rules,
            where="db.example/orders",
        )

    @property
    def backups(self) -> DrillBackups:
        return DrillBackups(stores={NAME: self.backup_store}, records=self.records)

    @property
    def tools(self) -> Tools:
        return Tools(
            now=self.clock,
            elapsed=self.elapsed,
            pause=self.pause,
            poll_interval=timedelta(seconds=10),
            backups=self.backups,
            report_progress=self.said.append,
            remember=self.remembered.append,
            deadline=self._deadline,
        )

    def plan(self) -> Plan:
        return drill_plan.plan(NAME, self.tools)

    def drill(self, plan: Plan | None = None, run: str = RUN) -> Outcome:
        return drills.run(NAME, plan or self.plan(), run, self.tools)

    def goes_on(self, run: str = RUN) -> Outcome:
        """Another process takes the run over."""
        self.engine = type(self.engine)(self.world)  # type: ignore[call-arg]
        return drills.probe(NAME, run, self.tools)

    def row(self, run: str = RUN) -> Drill:
        (found,) = [one for one in self.records.list_drills(NAME, 50) if one.run == run]
        return found

    def copies(self) -> list[str]:
        return [name for name in self.world.databases if name != "orders"]

    def _deadline(self, until: datetime) -> datetime | None:
        self.watches += 1
        self.watched_until = self.watched_until or until
        return None if self.watches > 5 else self.watched_until


@contextmanager
def grounds(template: Path, folder: Path) -> Iterator[DrillGround]:
    """On a copy of that database, in that folder."""
    clock = Clock()
    shutil.copy(template, folder / "vakhta.db")
    store = Store(f"sqlite:///{folder}/vakhta.db", now=clock)
    yield DrillGround(store, clock)
    store.close()
