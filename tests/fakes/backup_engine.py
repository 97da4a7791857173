"""A database with backups, in memory, and the engine that restores, cuts over and records it.

It implements every protocol of `bot/core/backup.py`, and is as unkind as the real thing: phases take time by the test's
clock, bytes stand still, a restore fails late, a call is cut off before or after its effect, the world cannot be read
for a while, others make and remove copies, both sides are written after a cutover. The world outlives its engines: one
engine object is one process, and `dies_at` ends it at a named place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from bot.core.backup import (
    DRILL_LABEL,
    OWNER_LABEL,
    Backup,
    Check,
    CheckResult,
    Continuity,
    Copy,
    CopyState,
    CopyStatus,
    CutoverPreview,
    CutoverState,
    CutoverStatus,
    EngineParts,
    Inventory,
    Report,
    RestorePoint,
    RestorePreview,
    RestoreTask,
    Window,
)
from bot.core.errors import Conflict, OutcomeUnknown, Rejected

_STEP = timedelta(seconds=5)
#: The places at which a process can be told to die, in the order in which a restore, cutover and undo reach them.
DEATHS_OF_A_RESTORE = ("begin.called", "begin.done", "verify.called", "verify.half")
DEATHS_OF_A_BACKUP = ("backup.called", "backup.done")
DEATHS_OF_A_CUTOVER = ("cutover.called", "cutover.closed", "cutover.moved_old", "cutover.moved_new", "cutover.opened")
DEATHS_OF_AN_UNDO = ("undo.called", "undo.closed", "undo.moved_new", "undo.moved_old", "undo.opened")


class ProcessDied(SystemExit):
    """What SIGKILL is to a process: no handler of errors sees it."""


@dataclass
class HeldDatabase:
    """One database of the server. `identity` is what no renaming changes."""

    identity: str
    rows: list[datetime] = field(default_factory=list)  #: one for each write
    sentinels: dict[str, datetime] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    created_at: datetime | None = None
    accepts: bool = True  #: clients
    closed_for: str = ""  #: the cutover that has shut clients out
    renamed_at: datetime | None = None  #: by a cutover


@dataclass
class CourseOfRestore:
    """How the next restores go."""

    waits: timedelta = timedelta(0)  #: before its system begins
    takes: timedelta = timedelta(minutes=10)
    size: int | None = 10_000_000_000
    stalls_after: timedelta = timedelta(0)
    stalls_for: timedelta = timedelta(0)
    fails_after: timedelta | None = None
    failure: str = "ERROR: could not write block 17: No space left on device"
    loses_rows: int = 0  #: damage that nothing reports
    blocks: bool = False  #: `begin` returns only when the copy is complete


@dataclass
class StartedRestore:
    began: datetime
    course: CourseOfRestore
    rows: list[datetime]
    name: str
    data_at: datetime


@dataclass
class StartedBackup:
    began: datetime
    id: str
    takes: timedelta
    problem: str
    fails: str
    rows: list[datetime]


class BackupWorld:
    """What is left when every process is gone. `now` and `pause`: the test's clock, and a wait that moves it."""

    def __init__(self, now: Callable[[], datetime], pause: Callable[[timedelta], None]) -> None:
        self.now, self.pause = now, pause
        self.databases: dict[str, HeldDatabase] = {"orders": HeldDatabase("db-1")}
        self.backups: list[Backup] = []
        self.held_rows: dict[str, list[datetime]] = {}  #: of each backup
        self.held_sentinels: dict[str, dict[str, datetime]] = {}
        self.point_in_time = False
        self.log_ends_before: timedelta = timedelta(minutes=1)  #: how far the archived log is behind
        self.gap = ""
        self.blockers: tuple[str, ...] = ()
        self.interval: timedelta | None = timedelta(days=1)
        self.course = CourseOfRestore()
        self.free_bytes: int | None = 100_000_000_000
        self.dark_until: datetime | None = None  #: nothing can be read before
        self.leak = ""  #: how a drill's copy gets out
        self.loses_sentinels = False
        self.backup_takes = timedelta(minutes=3)
        self.backup_problem = ""  #: of the next backups that are made: completed, and not usable
        self.backup_fails = ""
        self.begin_troubles: list[tuple[Exception, bool]] = []  #: for each call: the error, and whether it had effect
        self.backup_troubles: list[tuple[Exception, bool]] = []
        self.remove_troubles: list[tuple[Exception, bool]] = []
        self.cutover_troubles: list[tuple[Exception, str]] = []  #: the error, and the place at which it is raised
        self.dies_at = ""  #: the next process that gets there dies, once
        self.at: dict[str, Callable[[], object]] = {}  #: what happens when a place is reached, once each
        self.started: dict[str, StartedRestore] = {}
        self.made: dict[str, StartedBackup] = {}
        self.begun: list[str] = []  #: the run of each restore that was really started
        self.begun_backups: list[str] = []
        self.cut_over_by: list[str] = []  #: the run of each cutover that has shut clients out
        self.faults: list[str] = []  #: what must never happen, and has
        self.removed: list[str] = []

    def add_backup(self, backup_id: str, data_at: datetime, **said: object) -> Backup:
        """A backup of the live one as it was then."""
        made = Backup(
            id=backup_id,
            data_at=data_at,
            **{"finished_at": data_at + timedelta(minutes=5), "size_bytes": 10_000_000_000, **said},  # type: ignore[arg-type]
        )
        live = self.databases["orders"]
        self.backups.append(made)
        self.held_rows[backup_id] = [row for row in live.rows if row <= data_at]
        self.held_sentinels[backup_id] = {one: at for one, at in live.sentinels.items() if at <= data_at}
        return made

    def add_copy(self, run: str, *, drill: bool = False, created_at: datetime | None = None) -> HeldDatabase:
        """Of another process, or of an earlier life of this one."""
        label = DRILL_LABEL if drill else OWNER_LABEL
        made = HeldDatabase(f"db-{run[:8]}", labels={label: run}, created_at=created_at or self.now())
        self.databases[copy_name(run)] = made
        return made

    def write(self, name: str = "orders", rows: int = 1) -> None:
        """Clients write. Raises `ConnectionError` where they are refused, or find nothing."""
        found = self.databases.get(name)
        if found is None or not found.accepts:
            raise ConnectionError(name)
        found.rows += [self.now()] * rows

    def reach(self, place: str) -> None:
        """A process gets there; it may be its last place."""
        if then := self.at.pop(place, None):
            then()
        if self.dies_at == place:
            self.dies_at = ""
            raise ProcessDied(place)
        if self.cutover_troubles and self.cutover_troubles[0][1] == place:
            raise self.cutover_troubles.pop(0)[0]

    def check_readable(self) -> None:
        if self.dark_until is not None and self.now() < self.dark_until:
            raise Rejected("db.example:5432 does not answer. Nothing was done.", code="unreachable", status=503)

    def settle(self) -> None:
        """What its systems have come to by now."""
        now = self.now()
        for run, restore in self.started.items():
            held = self.databases.get(restore.name)
            if held is not None and held.labels.get("filling") == run and _state(restore, now) is CopyState.RESTORED:
                kept = len(restore.rows) - restore.course.loses_rows
                held.rows = restore.rows[:kept]
                del held.labels["filling"]
        for made in self.made.values():
            if not made.fails and now >= made.began + made.takes and all(one.id != made.id for one in self.backups):
                self.backups.append(
                    Backup(
                        id=made.id,
                        data_at=made.began,
                        finished_at=made.began + made.takes,
                        size_bytes=10_000_000_000,
                        duration=made.takes,
                        problem=made.problem,
                    )
                )
                self.held_rows[made.id] = made.rows
                self.held_sentinels.setdefault(made.id, {})
        for gone in [one for one in self.backups if one.expires_at is not None and one.expires_at <= now]:
            self.backups.remove(gone)


def copy_name(run: str) -> str:
    return f"orders_restore_{run[:8]}"


def old_name(cutover_run: str) -> str:
    return f"orders_old_{cutover_run[:8]}"


class FakeBackupReader:
    """An engine that can only be read, as WAL-G's is."""

    title = "Fake"

    def __init__(self, world: BackupWorld, parts: EngineParts | None = None) -> None:
        self._world = world
        self._parts = parts

    def inventory(self) -> Inventory:
        world = self._world
        world.check_readable()
        world.settle()
        now = world.now()
        usable = [one for one in world.backups if one.usable]
        window = None
        if world.point_in_time and usable:
            window = Window(earliest=min(one.data_at for one in usable), latest=now - world.log_ends_before)
        going_on = [
            Backup(id=one.id, data_at=one.began, problem="it is still being made")
            for one in world.made.values()
            if now < one.began + one.takes
        ]
        return Inventory(
            backups=tuple(sorted([*world.backups, *going_on], key=lambda one: one.data_at, reverse=True)),
            window=window,
            continuity=Continuity(ok_until=window.latest, gap=world.gap) if window else None,
            blockers=world.blockers,
            interval=world.interval,
        )


class FakeRestorer(FakeBackupReader):
    """An engine that restores, and neither cuts over nor makes backups."""

    def preview(self, point: RestorePoint, *, drill: bool) -> RestorePreview:
        world = self._world
        backup = self._backup(point)
        live = world.databases.get("orders")
        rows = 0 if live is None else sum(1 for row in live.rows if row > (point.at or backup.data_at))
        return RestorePreview(
            backup_id=backup.id,
            data_at=point.at or (None if world.point_in_time and point.latest else backup.data_at),
            copy_name="database orders_restore_{run}",
            effect=("A database beside the live one is made.",),
            # Engines have called what they saw `backup` as well as the flows do.
            preconditions={"backup": f"uid of {backup.id}", "live": "-" if live is None else live.identity},
            not_restored=("roles and their passwords", "replicas"),
            moving=(f"2 clients write to orders; {rows} rows since the backup",),
            size_bytes=backup.size_bytes,
            needs_bytes=None if backup.size_bytes is None else backup.size_bytes * 2,
            free_bytes=world.free_bytes,
            expires_at=backup.expires_at,
            facts={"live": "-" if live is None else live.identity},
        )

    def begin(self, task: RestoreTask) -> None:
        world = self._world
        world.check_readable()
        world.reach("begin.called")
        trouble = world.begin_troubles.pop(0) if world.begin_troubles else None
        if trouble is None or trouble[1]:
            self._begin(task)
        if trouble is not None:
            raise trouble[0]
        world.reach("begin.done")
        if world.course.blocks:
            while _state(world.started[task.run], world.now()) in (CopyState.WAITING, CopyState.RUNNING):
                world.pause(_STEP)

    def _begin(self, task: RestoreTask) -> None:
        world, name = self._world, copy_name(task.run)
        world.settle()
        held = world.databases.get(name)
        if held is not None and task.run not in held.labels.values():
            raise Conflict(f"database {name} exists, and is not of this run")
        if task.run in world.started or held is not None:
            return
        backup = self._backup(task.point)
        data_at = task.point.at or backup.data_at
        if task.point.latest and world.point_in_time:
            data_at = world.now() - world.log_ends_before
        rows, sentinels = world.held_rows[backup.id], world.held_sentinels[backup.id]
        live = world.databases.get("orders")
        if world.point_in_time and data_at != backup.data_at and live is not None:
            rows = [row for row in live.rows if row <= data_at]
            sentinels = {one: at for one, at in live.sentinels.items() if at <= data_at}
        label = DRILL_LABEL if task.drill else OWNER_LABEL
        world.databases[name] = HeldDatabase(
            identity=f"db-{task.run[:8]}",
            labels={label: task.run, "filling": task.run},
            created_at=world.now(),
            sentinels={} if world.loses_sentinels else dict(sentinels),
            accepts=not task.drill,
        )
        world.started[task.run] = StartedRestore(world.now(), replace(world.course), list(rows), name, data_at)
        world.begun.append(task.run)

    def look(self, task: RestoreTask) -> CopyStatus:
        world = self._world
        world.check_readable()
        world.settle()
        started = world.started.get(task.run)
        if started is None or not any(task.run in held.labels.values() for held in world.databases.values()):
            return CopyStatus(state=CopyState.ABSENT)
        return _status(started, world.now())

    def verify(self, task: RestoreTask, checks: Sequence[Check], report: Report) -> Sequence[CheckResult]:
        world = self._world
        world.check_readable()
        world.settle()
        held = self._copy_of(task.run)
        if held is None:
            return [CheckResult(name="copy", expected="exists", got="is gone", ok=False)]
        world.reach("verify.called")
        report("reading all of it")
        expected = len(world.started[task.run].rows) if task.run in world.started else len(held.rows)
        found = [
            CheckResult(name="rows", expected=str(expected), got=str(len(held.rows)), ok=len(held.rows) == expected)
        ]
        world.reach("verify.half")
        return [*found, *(self._check(one, held, task) for one in checks)]

    def isolation_leak(self, task: RestoreTask) -> str:
        held = self._copy_of(task.run)
        if held is not None and held.accepts:
            return "the copy accepts clients"
        return self._world.leak

    def copies(self) -> Sequence[Copy]:
        world = self._world
        world.check_readable()
        return [
            Copy(
                run=held.labels.get(OWNER_LABEL) or held.labels[DRILL_LABEL],
                name=f"database {name}",
                created_at=held.created_at,
                drill=DRILL_LABEL in held.labels,
            )
            for name, held in world.databases.items()
            if held.labels.keys() & {OWNER_LABEL, DRILL_LABEL} and name != "orders"
        ]

    def remove(self, copy: Copy) -> None:
        world, name = self._world, copy.name.removeprefix("database ")
        world.check_readable()
        held = world.databases.get(name)
        trouble = world.remove_troubles.pop(0) if world.remove_troubles else None
        if held is not None and copy.run not in held.labels.values():
            raise Rejected(f"{copy.name} is not of run {copy.run[:8]}. Nothing was removed.", code="not_ours")
        if name == "orders":
            raise Rejected(f"{copy.name} is the live one. Nothing was removed.", code="live", status=409)
        if held is not None and (trouble is None or trouble[1]):
            del world.databases[name]
            world.removed.append(name)
        if trouble is not None:
            raise trouble[0]

    def _backup(self, point: RestorePoint) -> Backup:
        backups = [one for one in self.inventory().backups if one.usable]
        if point.backup_id:
            backups = [one for one in backups if one.id == point.backup_id]
        elif point.at is not None:
            backups = [one for one in backups if one.data_at <= point.at]
        if not backups:
            message = f"There is no usable backup {point.backup_id}. Nothing was done. `backups` lists them."
            raise Rejected(message, code="no_backup", status=404)
        return backups[0]

    def _copy_of(self, run: str) -> HeldDatabase | None:
        return next((held for held in self._world.databases.values() if run in held.labels.values()), None)

    def _live_run(self) -> str:
        """The restore that the live one came from; "" for the original."""
        live = self._world.databases.get("orders")
        return "" if live is None else live.labels.get(OWNER_LABEL, "")

    def _check(self, check: Check, held: HeldDatabase, task: RestoreTask) -> CheckResult:
        """Of the queries it understands `count` and `newest`."""
        if check.query == "newest":
            newest = max(held.rows, default=None)
            data_at = self._world.started[task.run].data_at
            ok = newest is not None and check.newest_within is not None and newest >= data_at - check.newest_within
            expected = f"at most {check.newest_within} before {data_at}"
            return CheckResult(name=check.name, expected=expected, got=str(newest), ok=ok)
        if check.query != "count":
            message = f'ERROR: syntax error at or near "{check.query}"'
            return CheckResult(name=check.name, expected=check.expect, got=message, ok=False)
        live = self._world.databases.get("orders")
        wanted = float(len(live.rows) if check.like_live and live else check.expect or 0)
        ok = abs(len(held.rows) - wanted) <= wanted * check.tolerance_percent / 100
        return CheckResult(name=check.name, expected=f"{wanted:g}", got=str(len(held.rows)), ok=ok)


class FakeBackupEngine(FakeRestorer):
    """One process with the engine that can do everything."""

    def preview_cutover(self, task: RestoreTask) -> CutoverPreview:
        world = self._world
        world.check_readable()
        if self._live_run() == task.run:
            raise Rejected(f"The copy of {task.short_run} is live already. Nothing was done.", code="is_live")
        if self._copy_of(task.run) is None or self.look(task).state is not CopyState.RESTORED:
            message = f"The copy of {task.short_run} is not complete. Nothing was done. `restore` makes a new one."
            raise Rejected(message, code="not_restored", status=409)
        live = world.databases.get("orders")
        return CutoverPreview(
            live="orders",
            old_name="orders_old_{run}",
            effect=("Clients of orders are shut out for some seconds, and have to connect again.",),
            preconditions={"copy": "uid of the copy", "live": "-" if live is None else live.identity},
            moving=("2 clients are connected to orders",),
        )

    def cut_over(self, task: RestoreTask, cutover_run: str, report: Report) -> None:
        world, old = self._world, old_name(cutover_run)
        world.check_readable()
        world.reach("cutover.called")
        world.settle()
        saved = world.made.get(cutover_run)
        if saved is None or all(one.id != saved.id or not one.usable for one in world.backups):
            world.faults.append(f"{cutover_run[:8]} cuts over without a usable safety backup")
        if old not in world.databases:
            live = world.databases["orders"]
            if live.accepts:
                world.cut_over_by.append(cutover_run)
            live.accepts, live.closed_for = False, cutover_run
            report("clients are shut out")
            world.reach("cutover.closed")
            world.databases[old] = world.databases.pop("orders")
            world.databases[old].renamed_at = world.now()
            world.reach("cutover.moved_old")
        if "orders" not in world.databases:
            world.databases["orders"] = world.databases.pop(copy_name(task.run))
            world.databases["orders"].accepts = False
            world.databases["orders"].renamed_at = world.now()
            report("the copy has the name of the live one")
            world.reach("cutover.moved_new")
        world.databases["orders"].accepts = True
        world.reach("cutover.opened")

    def look_cutover(self, task: RestoreTask, cutover_run: str) -> CutoverStatus:
        world = self._world
        world.check_readable()
        live, old = world.databases.get("orders"), world.databases.get(old_name(cutover_run))
        if live is None:
            message = "Clients find no database orders: the old one is renamed, and no other has its name."
            return CutoverStatus(state=CutoverState.PARTIAL, message=message)
        if self._live_run() == task.run and old is not None:
            if live.accepts:
                return CutoverStatus(state=CutoverState.NEW)
            message = "The copy has the name orders, and clients are refused."
            return CutoverStatus(state=CutoverState.PARTIAL, message=message)
        if live.closed_for == cutover_run and not live.accepts:
            return CutoverStatus(
                state=CutoverState.PARTIAL, message="Clients of orders are refused; nothing is renamed."
            )
        if self._live_run() == task.run:
            return CutoverStatus(state=CutoverState.NEW, message="The old one is gone.")
        return CutoverStatus(state=CutoverState.OLD)

    def undo_refusal(self, task: RestoreTask, cutover_run: str) -> str:
        world = self._world
        world.check_readable()
        live, old = world.databases.get("orders"), world.databases.get(old_name(cutover_run))
        if old is None:
            closed = live is not None and live.closed_for == cutover_run
            return "" if closed else f"{old_name(cutover_run)} is gone"
        written = [
            one for one in (live, old) if one and one.renamed_at and any(row > one.renamed_at for row in one.rows)
        ]
        return "both have been written since" if len(written) > 1 else ""

    def undo_cutover(self, task: RestoreTask, cutover_run: str, report: Report) -> None:
        world, old = self._world, old_name(cutover_run)
        world.check_readable()
        world.reach("undo.called")
        live = world.databases.get("orders")
        if live is not None and self._live_run() == task.run:
            live.accepts, live.closed_for = False, cutover_run
            report("clients are shut out")
            world.reach("undo.closed")
            world.databases[copy_name(task.run)] = world.databases.pop("orders")
            world.reach("undo.moved_new")
        if "orders" not in world.databases:
            world.databases["orders"] = world.databases.pop(old)
            world.reach("undo.moved_old")
        world.databases["orders"].accepts = True
        world.databases["orders"].closed_for = ""
        world.reach("undo.opened")

    def remove_old(self, task: RestoreTask, cutover_run: str) -> None:
        world = self._world
        world.check_readable()
        trouble = world.remove_troubles.pop(0) if world.remove_troubles else None
        if self._live_run() != task.run:
            raise Rejected(f"{old_name(cutover_run)} is not the old one any more. Nothing was removed.", code="live")
        if old_name(cutover_run) in world.databases and (trouble is None or trouble[1]):
            del world.databases[old_name(cutover_run)]
            world.removed.append(old_name(cutover_run))
        if trouble is not None:
            raise trouble[0]

    def begin_backup(self, run: str) -> None:
        world = self._world
        world.check_readable()
        world.reach("backup.called")
        trouble = world.backup_troubles.pop(0) if world.backup_troubles else None
        if run not in world.made and (trouble is None or trouble[1]):
            live = world.databases["orders"]
            world.made[run] = StartedBackup(
                world.now(),
                f"b-{run[:8]}",
                world.backup_takes,
                world.backup_problem,
                world.backup_fails,
                list(live.rows),
            )
            world.begun_backups.append(run)
        if trouble is not None:
            raise trouble[0]
        world.reach("backup.done")

    def look_backup(self, run: str) -> CopyStatus:
        world = self._world
        world.check_readable()
        world.settle()
        made = world.made.get(run)
        if made is None:
            return CopyStatus(state=CopyState.ABSENT)
        if world.now() < made.began + made.takes:
            return CopyStatus(state=CopyState.RUNNING, phase="copying")
        if made.fails:
            return CopyStatus(state=CopyState.FAILED, message=made.fails)
        return CopyStatus(state=CopyState.RESTORED, message=made.id)

    def write_sentinel(self, token: str) -> None:
        self._world.check_readable()
        live = self._world.databases.get("orders")
        if live is None or not live.accepts:
            raise Rejected("orders accepts no clients. Nothing was written.", code="unreachable", status=503)
        live.sentinels[token] = self._world.now()

    def read_sentinels(self, task: RestoreTask) -> Mapping[str, datetime]:
        self._world.check_readable()
        held = self._copy_of(task.run)
        return {} if held is None else dict(held.sentinels)


def unanswered(*, effect: bool = True) -> tuple[Exception, bool]:
    """For `begin_troubles`: the answer is lost, after its effect or before."""
    return OutcomeUnknown("the connection was cut"), effect


def _state(restore: StartedRestore, now: datetime) -> CopyState:
    return _status(restore, now).state


def _status(restore: StartedRestore, now: datetime) -> CopyStatus:
    course = restore.course
    going = now - restore.began - course.waits
    if going < timedelta(0):
        return CopyStatus(state=CopyState.WAITING, message="waiting behind 3 backups")
    if course.fails_after is not None and going >= course.fails_after:
        return CopyStatus(state=CopyState.FAILED, message=course.failure)
    if going >= course.takes + course.stalls_for:
        return CopyStatus(
            state=CopyState.RESTORED, data_at=restore.data_at, bytes_done=course.size, bytes_total=course.size
        )
    moved = going
    if course.stalls_for and going > course.stalls_after:
        moved = max(course.stalls_after, going - course.stalls_for)
    done = None if course.size is None else int(course.size * (moved / course.takes))
    return CopyStatus(state=CopyState.RUNNING, phase="copying", bytes_done=done, bytes_total=course.size)
