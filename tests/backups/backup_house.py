"""The House with one store of backups, whose world is in memory: asked, approved by somebody else, run, found again."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from bot.access.policy import Role, Rule
from bot.core.backup import BackupReader, BackupRecords, BackupStore, Check, RestoreRecord
from bot.core.request import Principal, Reply
from bot.store import runs
from bot.store.backup_rows import StoredBackupRecords
from bot.store.runs import Run
from tests.fakes.backup_engine import BackupWorld, FakeBackupEngine
from tests.house import ANA, BO, CY, NOON, ROLES, House
from tests.running import until
from tests.runs import SPOT, handle, wait_until_ended, wait_until_told

STORE = "prod/orders-db"
_ALLOWED = ("restore *", "cutover *", "cutback *", "remove-copy *", "backup *", "undo", "runs")
RESTORER = Role(
    name="restorer",
    allow=tuple(
        Rule(do=do) for do in ("restore *", "cutover *", "cutback *", "remove-copy *", "backup *", "undo", "runs")
    ),
)
ASKER = replace(ANA, roles=ANA.roles | {"restorer"})
PEOPLE = {("slack", "U1"): ASKER, ("slack", "U2"): BO, ("slack", "U3"): CY}


@dataclass(frozen=True)
class HeldBackups:
    """Implements `core.backup.Backups`."""

    stores: Mapping[str, BackupStore]
    records: BackupRecords


class BackupHouse:
    """`asks` and `approves` as people do it. `progress` is every report, with the seconds since noon."""

    def __init__(self, url: str, world: BackupWorld | None = None, engine: BackupReader | None = None) -> None:
        self.url = url
        self.house = House(url, roles=(*ROLES, RESTORER))
        self.world = world or new_world(self.house)
        self.world.now, self.world.pause = self.house.clock, self.pause
        self.records = StoredBackupRecords(self.house.store)
        self.store = BackupStore(
            name=STORE,
            service="",
            engine=engine or FakeBackupEngine(self.world),
            engine_name="fake",
            rpo=timedelta(hours=1),
            rto=timedelta(hours=4),
            checks=(Check(name="orders", query="count", expect="50"),),
        )
        self.progress: list[tuple[float, str]] = []
        self.restart()

    def restart(self, **changes: object) -> None:
        """With these changes of the store in the settings."""
        self.store = replace(self.store, **changes)  # type: ignore[arg-type]
        house = self.house
        house.tools = replace(
            house.tools,
            pause=self.pause,
            elapsed=self.elapsed,
            backups=HeldBackups(stores={STORE: self.store}, records=self.records),
        )
        house.settle(PEOPLE)
        posted = house.reports.progress

        def progress(run: Run, command: str, message: str, lease: timedelta) -> None:
            self.progress.append((self.elapsed(), message))
            posted(run, command, message, lease)

        house.reports.progress = progress  # type: ignore[method-assign]

    def reports(self) -> list[str]:
        """What was told of the progress of runs."""
        return [said for _, said in self.progress]

    def pause(self, much: timedelta) -> None:
        self.house.clock.at += much

    def elapsed(self) -> float:
        return (self.house.clock.at - NOON).total_seconds()

    def asks(self, words: str) -> Reply:
        return self.house.says(words, by=ASKER, spot=SPOT)

    def approves(self, shown: Reply, name: str = STORE) -> Reply:
        """By another person, who types the name; returns when the run has ended and was told."""
        reply = self.house.says(f"yes {handle(shown.text).split()[0]} {name}".strip(), by=CY, spot=SPOT)
        wait_until_told(self.house)
        self.pause(timedelta(seconds=1))  # so that the next run begins later, and is the last one
        return reply

    def confirms(self, shown: Reply) -> Reply:
        """By the asker alone."""
        reply = self.house.says(f"yes {handle(shown.text)}", by=ASKER, spot=SPOT)
        wait_until_told(self.house)
        self.pause(timedelta(seconds=1))  # so that the next run begins later, and is the last one
        return reply

    def does(self, words: str, name: str = STORE) -> Run:
        """Asked, approved and ended."""
        shown = self.asks(words)
        assert shown.ok, shown.text
        assert "`yes " in shown.text, shown.text
        reply = self.approves(shown, name)
        assert reply.ok, reply.text
        return self.last_run()

    def dies(self, shown: Reply, place: str, name: str = STORE, *, by: Principal = CY) -> None:
        """Approved; the process dies at that place of its run."""
        self.world.dies_at = place
        self.house.says(f"yes {handle(shown.text).split()[0]} {name}".strip(), by=by, spot=SPOT)
        self.wait_for_workers()
        assert self.world.dies_at == "", f"{place} was not reached"

    def next_process(self, after: timedelta = timedelta(minutes=3)) -> BackupHouse:
        """Another bot on the same database, for which so much later the lease of a lost run is over."""
        self.house.close()
        later = BackupHouse(self.url, world=self.world)
        later.house.clock.at = self.house.clock.at + after
        later.restart(engine=FakeBackupEngine(self.world), checks=self.store.checks)
        later.house.tends()
        wait_until_told(later.house)
        return later

    def next_process_that_dies(self) -> BackupHouse:
        """As `next_process`; it dies at `world.dies_at`, too."""
        later = self._later(timedelta(minutes=3))
        later.house.tends()
        later.wait_for_workers()
        assert self.world.dies_at == ""
        return later

    def wait_for_workers(self) -> None:
        """Returns when no thread of this process is in a run."""
        until(lambda: not self.house.runs._workers.running(), "every worker has ended")

    def judged_elsewhere(self) -> None:
        """This process is frozen for longer than its lease, and another bot looks at its run."""
        other = BackupHouse(self.url, world=self.world)
        other.house.clock.at = self.house.clock.at + timedelta(minutes=3)
        other.house.chat, other.house.reports.messengers = self.house.chat, {"slack": self.house.chat}
        other.house.tends()
        wait_until_ended(other.house)
        other.house.close()
        self.house.clock.at = max(self.house.clock.at, other.house.clock.at)
        self.world.now, self.world.pause = self.house.clock, self.pause

    def _later(self, after: timedelta) -> BackupHouse:
        self.house.close()
        later = BackupHouse(self.url, world=self.world)
        later.house.clock.at = self.house.clock.at + after
        later.house.chat = self.house.chat
        later.house.reports.messengers = {"slack": self.house.chat}
        return later

    def last_began(self) -> str:
        """The id of the run that began last, whether it has ended or not."""
        with self.house.store.read() as seen:
            return runs.runs(seen.sql, 1)[0].id

    def last_run(self) -> Run:
        wait_until_ended(self.house)
        with self.house.store.read() as seen:
            return runs.runs(seen.sql, 1)[0]

    def row(self, run: str) -> RestoreRecord:
        return self.records.get_restore(run)


def new_world(house: House) -> BackupWorld:
    """50 rows and a backup of ten hours ago, a clock that stands at noon."""
    world = BackupWorld(house.clock, lambda much: None)
    world.databases["orders"].rows = [NOON - timedelta(hours=20) + timedelta(minutes=one) for one in range(50)]
    world.add_backup("b1", NOON - timedelta(hours=10))
    return world


@contextmanager
def backup_house(url: str) -> Iterator[BackupHouse]:
    made = BackupHouse(url)
    yield made
    made.house.close()


@pytest.fixture
def bh(sqlite_template: Path, tmp_path: Path) -> Iterator[BackupHouse]:
    """On SQLite alone: what is tried with it is not the store."""
    shutil.copy(sqlite_template, tmp_path / "vakhta.db")
    with backup_house(f"sqlite:///{tmp_path}/vakhta.db") as made:
        yield made
