"""Backups: what an engine reports, and the protocols of restoring, cutting over and recording.

An engine is the adapter of one kind of backup (pg_dump archives, pgBackRest, RDS). It implements `BackupReader`, and of
the other protocols those that it can do; `isinstance` tells which. Every call blocks, has a time limit of its own, and
is made outside of any transaction.

The trap of the whole field: "completed" is not "restored", and a status is a reason to refuse, never a reason to trust.
So a backup is usable only if nothing speaks against it, a copy is restored only if its data can be read, and whatever a
crash has cut off is looked for in the world by the run's id.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol, runtime_checkable

from bot.core.kubernetes import Cluster
from bot.core.programs import Programs
from bot.lib.time_windows import WeeklyWindow

#: The label, tag or comment by which everything that a restore creates can be found: its value is the run's id.
OWNER_LABEL = "vakhta.dev/restore"
#: The same of copies that a drill made; only these are removed without being asked for.
DRILL_LABEL = "vakhta.dev/drill"

Report = Callable[[str], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Backup:
    """One backup. `problem` says in words why it cannot be restored from; it is "" for a usable one."""

    id: str  #: the engine's own name for it, which people type
    data_at: datetime  #: the moment whose data it has; RPO is counted from it
    finished_at: datetime | None = None  #: None while it is being made
    size_bytes: int | None = None
    duration: timedelta | None = None
    problem: str = ""
    damage: str = ""  #: usable, but not whole: corrupt pages, skipped parts
    kind: str = ""  #: in the engine's words: full, incremental, snapshot
    expires_at: datetime | None = None  #: when its system deletes it, or something that it needs

    @property
    def usable(self) -> bool:
        return not self.problem


@dataclass(frozen=True, kw_only=True, slots=True)
class Continuity:
    """Whether the log between backups (WAL) is complete."""

    ok_until: datetime | None  #: the newest moment that can be reached; None when unknown
    gap: str = ""  #: "3 segments lost since 09:40 UTC"; "" without a gap


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """The moments that a restore to a point in time can reach, both included."""

    earliest: datetime
    latest: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Inventory:
    """Everything that there is to restore from, as it was found at one moment."""

    backups: tuple[Backup, ...] = ()  #: the newest `data_at` first, those that are not usable among them
    window: Window | None = None  #: None for an engine, or a store, without point-in-time restores
    continuity: Continuity | None = None
    #: Why nothing could be restored as the store stands, whatever the backups say: "versioning is off". Sentences.
    blockers: tuple[str, ...] = ()
    interval: timedelta | None = None  #: between two backups, by the schedule of their system; None when unknown


@dataclass(frozen=True, kw_only=True, slots=True)
class RestorePoint:
    """What a person asked for; with neither, the newest that there is."""

    backup_id: str = ""
    at: datetime | None = None
    #: Of a resolved one: everything that the log has after that backup, too. False without `at`: the backup alone.
    latest: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class RestorePreview:
    """What a restore would do, found out by reading alone. Sentences are for people, without a clock in them."""

    backup_id: str  #: the backup that it begins from
    data_at: datetime | None  #: the moment that the copy will have; None: the newest at the time of the run
    copy_name: str  #: where the data will be, with `{run}` for the run's short id: "database orders_restore_{run}"
    effect: tuple[str, ...] = ()
    preconditions: Mapping[str, str] = field(default_factory=dict)  #: what must still hold when it runs
    not_restored: tuple[str, ...] = ()  #: what does not come back: roles, secrets, tablespaces
    #: What is true now and moves by itself: who writes, rows since the backup, free space. Shown, never compared.
    moving: tuple[str, ...] = ()
    size_bytes: int | None = None  #: what has to be read; the estimate rests on it
    needs_bytes: int | None = None
    free_bytes: int | None = None  #: less than `needs_bytes` refuses the plan
    expires_at: datetime | None = None
    facts: Mapping[str, str] = field(default_factory=dict)  #: stored before the start, and given back in the task


@dataclass(frozen=True, kw_only=True, slots=True)
class RestoreTask:
    """One restore: of a run, from a point, into a copy of its own."""

    run: str  #: the run's id; every name and idempotency token is made of it
    store: str
    point: RestorePoint  #: resolved: `backup_id` is set, and `at` where a moment was asked for
    drill: bool = False  #: a copy to be thrown away: isolated before there is data in it
    expires_at: datetime | None = None  #: of a drill: when leftovers may be removed
    facts: Mapping[str, str] = field(default_factory=dict)

    @property
    def short_run(self) -> str:
        return self.run[:8]


class CopyState(StrEnum):
    """How a copy stands."""

    ABSENT = "absent"  #: nothing of it exists
    WAITING = "waiting"  #: asked for, and its system has not begun
    RUNNING = "running"
    RESTORED = "restored"  #: complete: its data can be read
    FAILED = "failed"  #: ended, and not complete


@dataclass(frozen=True, kw_only=True, slots=True)
class CopyStatus:
    """What `look` found. `message`: what is going on, or why it failed, in words for people."""

    state: CopyState
    message: str = ""
    phase: str = ""  #: "copying", "replaying WAL", "hydrating"
    bytes_done: int | None = None
    bytes_total: int | None = None
    data_at: datetime | None = None  #: of a restored copy: its newest commit, where the engine knows


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """A check of the settings. Of the expectations one is set."""

    name: str
    query: str
    expect: str = ""  #: the value, as text
    tolerance_percent: float = 0  #: around a number in `expect`, or in the live one's answer (`like_live`)
    like_live: bool = False  #: the live one's answer to the same query is what is expected
    newest_within: timedelta | None = None  #: the answer is a moment, at most this much before the backup's data time


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckResult:
    """What a check found. `got` and `expected` are shown to auditors as they are."""

    name: str
    expected: str
    got: str
    ok: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Copy:
    """A restored copy that exists, whoever's it is. `run`: from its label."""

    run: str
    name: str
    created_at: datetime | None
    drill: bool


@runtime_checkable
class BackupReader(Protocol):
    """What every engine can do."""

    title: str  #: "pgBackRest"

    def inventory(self) -> Inventory:
        """All backups, judged one by one. Cheap enough for every few minutes.

        Raises:
            Rejected: it cannot be read now; the text says why. It is then "unknown", never "ok".
        """
        ...


@runtime_checkable
class Restorer(BackupReader, Protocol):
    """Restores into a copy beside the live data, never over it. It refuses a target that is the live one by identity
    (system identifier, ARN, UID), not by name.
    """

    def preview(self, point: RestorePoint, *, drill: bool) -> RestorePreview:
        """Raises `Rejected`: with what is wrong, what was not done, what to do."""
        ...

    def begin(self, task: RestoreTask) -> None:
        """Ask for the restore, once: for a run that has a copy already, nothing is done. A drill's copy is isolated
        first. May return before the copy is complete, or block while `look` is called from another thread.

        Raises:
            Conflict, Rejected: nothing was done.
            OutcomeUnknown: it may have begun; `look` finds out.
        """
        ...

    def look(self, task: RestoreTask) -> CopyStatus:
        """Read how the copy stands. Also after a crash, by a process that did not begin it.

        Raises:
            Rejected: it cannot be read now.
        """
        ...

    def verify(self, task: RestoreTask, checks: Sequence[Check], report: Report) -> Sequence[CheckResult]:
        """The engine's own checks of a restored copy, then those of the settings. A check that cannot be made is a
        result that is not ok, and says why. May take long, and reports what it does.
        """
        ...

    def isolation_leak(self, task: RestoreTask) -> str:
        """Try to get out of, or into, a drill's copy as production would; "" if that failed as it must."""
        ...

    def copies(self) -> Sequence[Copy]:
        """All copies that carry our label, of any run. Raises `Rejected`."""
        ...

    def remove(self, copy: Copy) -> None:
        """Remove that copy, and nothing that is not labelled with its run. One that is gone is fine.

        Raises:
            Rejected: it is not ours, or is in use as the live one; nothing was removed.
            OutcomeUnknown: it may be gone.
        """
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class CutoverPreview:
    """What a cutover would do. As in `RestorePreview`, nothing but `moving` depends on the clock."""

    live: str  #: the name that people typed and that clients use; every approval repeats it
    old_name: str  #: what the live one is called afterwards, with `{run}`
    effect: tuple[str, ...]
    preconditions: Mapping[str, str] = field(default_factory=dict)
    moving: tuple[str, ...] = ()
    safety: str = "a safety backup of the live one is made first"  #: how the live one is saved before


class CutoverState(StrEnum):
    """Which of the two is live."""

    OLD = "old"  #: nothing was changed
    PARTIAL = "partial"  #: stopped between two steps; calling `cut_over` again goes on
    NEW = "new"


@dataclass(frozen=True, kw_only=True, slots=True)
class CutoverStatus:
    state: CutoverState
    message: str = ""  #: of a partial one: what is done and what is not, and what clients see


@runtime_checkable
class CutoverEngine(Restorer, Protocol):
    """Puts a restored copy in the place of the live one, and back. Both steps are asked for by people."""

    def preview_cutover(self, task: RestoreTask) -> CutoverPreview:
        """Raises `Rejected`, among others when the copy is not `RESTORED`, or is the live one already."""
        ...

    def cut_over(self, task: RestoreTask, cutover_run: str, report: Report) -> None:
        """Stop or refuse writers, swap, verify, let clients in. Each step is found out by looking, so calling it again
        for the same pair goes on where a crash has stopped it. Raises as `begin`.
        """
        ...

    def look_cutover(self, task: RestoreTask, cutover_run: str) -> CutoverStatus:
        """Raises `Rejected` when it cannot be read now."""
        ...

    def undo_refusal(self, task: RestoreTask, cutover_run: str) -> str:
        """Why the old one cannot be brought back: both have been written since, or it is gone; "" if it can."""
        ...

    def undo_cutover(self, task: RestoreTask, cutover_run: str, report: Report) -> None:
        """Bring the old one back. As `cut_over`, it may be called again."""
        ...

    def remove_old(self, task: RestoreTask, cutover_run: str) -> None:
        """Remove what was live before the cutover. Raises as `remove`."""
        ...


@runtime_checkable
class BackupTaker(BackupReader, Protocol):
    """Makes a backup now."""

    def begin_backup(self, run: str) -> None:
        """Ask for it, once for each run. Raises as `Restorer.begin`."""
        ...

    def look_backup(self, run: str) -> CopyStatus:
        """How it stands; RESTORED stands for "made". `message` of a made one: the id of the backup."""
        ...


@runtime_checkable
class SentinelEngine(Restorer, Protocol):
    """Can carry a row of the bot's own through backup and restore: the only proof of RPO for an idle store."""

    def write_sentinel(self, token: str) -> None:
        """Write it to the live one, in a place of the bot's own. Raises `Rejected`."""
        ...

    def read_sentinels(self, task: RestoreTask) -> Mapping[str, datetime]:
        """The tokens in the copy, with the moment at which each was written."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class DrillRules:
    """When a store is drilled. `every` zero: never by itself."""

    every: timedelta = timedelta(0)
    during: tuple[WeeklyWindow, ...] = ()  #: empty: at any time
    at_most: timedelta = timedelta(hours=4)  #: after this it has failed and is torn down
    sentinel: bool = True  #: where the engine can


@dataclass(frozen=True, kw_only=True, slots=True)
class BackupStore:
    """A store of the settings, joined with its engine."""

    name: str
    service: str  #: of the catalog; "" for none
    engine: BackupReader
    engine_name: str  #: the word of the settings: "pgbackrest"
    rpo: timedelta
    rto: timedelta
    checks: tuple[Check, ...] = ()
    drill: DrillRules = DrillRules()
    keep_old: timedelta = timedelta(days=7)  #: how long the old one is kept after a cutover
    where: str = ""  #: for people: "s3://backups/orders", without secrets


@runtime_checkable
class DrilledElsewhere(BackupReader, Protocol):
    """Its own system makes drills too, which the bot checks: restore testing of AWS Backup."""

    def validate_drills(self, checks: Sequence[Check]) -> Sequence[Drill]:
        """Check the copies that wait for it, and return a row for each drill that has ended since the last call; after
        a restart some of them come again, under the same `run`. Raises `Rejected`.
        """
        ...


class DrillResult(StrEnum):
    """How a drill ended. MISSED and ABORTED say nothing about the backup."""

    RUNNING = "running"
    PASSED = "passed"
    DAMAGED = "damaged"  #: restored, and a check found a difference
    FAILED = "failed"  #: not restored, or not in time
    MISSED = "missed"  #: its window passed, or it could not begin
    ABORTED = "aborted"  #: for a restore that a person asked for, or by a person


@dataclass(frozen=True, kw_only=True, slots=True)
class DrillPhase:
    name: str  #: restore, verify, hydrate, cutover, teardown
    start: datetime
    end: datetime | None = None
    size_bytes: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Drill:
    """One drill, as auditors want it: what was restored, how long it took, what was asked, what came back."""

    run: str  #: the run's id; of a missed one that never ran, a made-up id
    store: str
    engine: str
    began_at: datetime
    result: DrillResult = DrillResult.RUNNING
    message: str = ""
    backup_id: str = ""
    data_at: datetime | None = None
    size_bytes: int | None = None
    sentinel: str = ""
    restored_at: datetime | None = None
    finished_at: datetime | None = None
    phases: tuple[DrillPhase, ...] = ()
    rpo: timedelta | None = None
    rto: timedelta | None = None
    checks: tuple[CheckResult, ...] = ()
    scope: str = ""  #: "1 of 4 shards"; "" for all
    method: str = "full"
    leftovers: tuple[str, ...] = ()
    cost: str = ""
    version: str = ""  #: of the engine or tool
    telling_at: datetime | None = None  #: when a process began to post its result; it may have died since
    told_in: tuple[str, ...] = ()  #: the channels that have taken it
    told_at: datetime | None = None  #: when all of them had, or it was given up


class RestoreState(StrEnum):
    """What became of the copy of a run; the row says which."""

    INTENDED = "intended"  #: stored before the engine is called
    RESTORED = "restored"
    VERIFIED = "verified"
    DAMAGED = "damaged"  #: restored, and a check found a difference
    FAILED = "failed"
    LIVE = "live"  #: cut over
    REMOVED = "removed"


@dataclass(frozen=True, kw_only=True, slots=True)
class RestoreRecord:
    """The row of one restore, drills included. `task` is what the engine is given."""

    task: RestoreTask
    began_at: datetime
    state: RestoreState = RestoreState.INTENDED
    name: str = ""  #: of the copy
    message: str = ""
    finished_at: datetime | None = None
    checks: tuple[CheckResult, ...] = ()
    restore_time: timedelta | None = None
    cutover_run: str = ""  #: the run that made it live; stays when that was undone
    cut_over_at: datetime | None = None
    undone_at: datetime | None = None
    keep_old_until: datetime | None = None
    old_removed_at: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class StoreLook:
    """The last look at a store. After a failed one the inventory is that of the last good one."""

    store: str
    looked_at: datetime
    inventory: Inventory | None  #: None: it was never read
    read_at: datetime | None = None  #: when the inventory was read
    problem: str = ""  #: why the last look failed; "" if it did not
    problem_since: datetime | None = None


class BackupRecords(Protocol):
    """The bot's own rows about backups, each call a transaction of its own.

    Raises:
        Unavailable, from every call: nothing was stored.
    """

    def put_restore(self, record: RestoreRecord) -> None:
        """Insert it, or replace the row of the same run."""
        ...

    def get_restore(self, run: str) -> RestoreRecord:
        """`run`: the id, or its first characters. Raises `Rejected` when there is none, or more than one."""
        ...

    def list_restores(self, store: str = "") -> Sequence[RestoreRecord]:
        """Those whose copy may still exist, the newest first."""
        ...

    def put_drill(self, drill: Drill) -> None: ...
    def list_drills(self, store: str, limit: int = 20) -> Sequence[Drill]:
        """The newest first."""
        ...

    def ask_abort(self, store: str, reason: str) -> str:
        """Ask the drill that runs in that store to stop; returns its run, or "" if none runs."""
        ...

    def abort_reason(self, run: str) -> str:
        """Why that drill was asked to stop; "" if it was not."""
        ...

    def put_sentinel(self, store: str, token: str, at: datetime) -> None:
        """`token` is in that store since `at`. Only the newest are kept."""
        ...

    def sentinels(self, store: str) -> Mapping[str, datetime]:
        """The tokens that were written to that store, with when each was in it."""
        ...

    def put_look(self, look: StoreLook) -> None: ...
    def get_look(self, store: str) -> StoreLook | None: ...


class Backups(Protocol):
    """All that the verbs about backups need. `Tools.backups`."""

    @property
    def stores(self) -> Mapping[str, BackupStore]: ...
    @property
    def records(self) -> BackupRecords: ...


@dataclass(frozen=True, kw_only=True)
class EngineParts:
    """What an engine is built with, beside its own section of the settings."""

    store: str  #: the store's name
    now: Callable[[], datetime]
    pause: Callable[[timedelta], None]  #: waits that long; tests move their clock instead
    programs: Programs | None = None  #: where its programs run, by `run` of the store; None for one without programs
    #: A cluster of the settings by name. Raises `Rejected`.
    cluster: Callable[[str], Cluster] | None = None
