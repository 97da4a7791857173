"""One drill under way: its copy is waited for, its isolation tried, its data checked, and each phase stored at once.

The promise: no data of a copy is used before its isolation was tried and held, and a drill ends by its deadline,
whatever hangs and however the time of day is set meanwhile. It stops at the next poll when a person's restore, or a
person, asks for it. After a crash all of it can be gone on with, because it begins with looking.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from bot.backups import sentinel
from bot.backups.beside import Beside, attend
from bot.backups.broken_engine import ask
from bot.backups.polling import Polling
from bot.backups.waiting import Pace
from bot.core.action import Tools
from bot.core.backup import (
    BackupRecords,
    BackupStore,
    CheckResult,
    CopyState,
    CopyStatus,
    Drill,
    DrillPhase,
    DrillResult,
    Restorer,
    RestoreTask,
    SentinelEngine,
)
from bot.core.errors import Conflict, OutcomeUnknown, Rejected
from bot.lib.text import spell_duration

RESTORE, VERIFY, HYDRATE, TEARDOWN = "restore", "verify", "hydrate", "teardown"
#: An engine that reads all data for the first time says so: with one of these its phase, or its report, begins.
_HYDRATING = ("hydrat", "reading")
#: A copy that was asked for without an answer, and does not appear for so long, was never begun.
_APPEARS_WITHIN = timedelta(minutes=3)


class DrillEnded(Exception):
    """The drill is over before its checks were through: its result, and why."""

    def __init__(self, result: DrillResult, message: str) -> None:
        super().__init__(message)
        self.result = result
        self.message = message


@dataclass(kw_only=True)
class DrillCourse:
    """The drill of `task`. `drill`: its row as it is stored; every change is stored at once."""

    store: BackupStore
    engine: Restorer
    task: RestoreTask
    drill: Drill
    records: BackupRecords
    tools: Tools
    deadline: datetime | None
    _began: float = field(init=False)  #: the start of the run by `tools.elapsed`, as far as this process can know
    _ends: float = field(init=False)
    _told: list[str] = field(default_factory=list)  #: what `verify` says of itself, from its thread
    _pace: Pace = field(default_factory=Pace)
    _last: str = ""  #: what was seen last, for a drill that is not over in time

    def __post_init__(self) -> None:
        now, at_most = self.tools.now(), self.store.drill.at_most
        self._began = self.tools.elapsed() - max(timedelta(0), now - self.drill.began_at).total_seconds()
        left = timedelta(0) if self.deadline is None else min(self.deadline - now, at_most)
        self._ends = self.tools.elapsed() + left.total_seconds()

    def since_begin(self) -> timedelta:
        """How long the drill goes on."""
        return timedelta(seconds=self.tools.elapsed() - self._began)

    def put(self, drill: Drill) -> None:
        self.drill = drill
        self.records.put_drill(drill)

    def check(self) -> None:
        """Raises `DrillEnded` when it has to stop."""
        reason = self.records.abort_reason(self.drill.run)
        if reason:
            raise DrillEnded(DrillResult.ABORTED, f"Stopped: {reason.rstrip('.')}.")
        if self.deadline is None:
            raise DrillEnded(DrillResult.ABORTED, "The bot was interrupted too often while it ran.")
        if self.tools.elapsed() >= self._ends:
            last = f" The last that was seen: {self._last.rstrip('.')}." if self._last else ""
            most = spell_duration(self.store.drill.at_most)
            raise DrillEnded(DrillResult.FAILED, f"It was not over within {most} (drill.at_most).{last}")

    def enter(self, name: str) -> None:
        """A phase begins, and the one before it ends."""
        now, phases = self.tools.now(), self.drill.phases
        if phases and phases[-1].name == name and phases[-1].end is None:
            return
        self.put(replace(self.drill, phases=(*_closed(phases, now), DrillPhase(name=name, start=now))))

    def leave(self, size_bytes: int | None = None) -> None:
        """The last phase ends."""
        self.put(replace(self.drill, phases=_closed(self.drill.phases, self.tools.now(), size_bytes)))

    def restore(self, begun: Beside[None] | None) -> CopyStatus:
        """Wait until the copy is complete. `begun`: the engine's call; None where an earlier process made it."""
        self.enter(RESTORE)
        asked_at, polling = self.tools.elapsed(), Polling(self.tools)
        while True:
            self.check()
            over = begun is None or begun.ended()
            lost = _begun_or_lost(begun) if begun is not None and over else ""
            status = self._look()
            if status is not None:
                self._report(status)
                if status.state is CopyState.RESTORED and over:
                    return status
                # Until the call has returned, a copy that is half begun may look like one that its process has left.
                if status.state is CopyState.FAILED and over:
                    raise _not_restored(status.message, resumed=begun is None)
                absent = status.state is CopyState.ABSENT and over
                if absent and self.tools.elapsed() - asked_at >= _APPEARS_WITHIN.total_seconds():
                    raise _not_restored(f"there is no copy. {lost}".rstrip(), resumed=begun is None)
            polling.pause()

    def prove_isolation(self) -> None:
        """Raises `DrillEnded` unless every attempt to connect out of, or into, the copy failed as it must."""
        try:
            leak = attend(
                lambda: ask(lambda: self.engine.isolation_leak(self.task)), "drill-isolation", self.tools, self.check
            )
        except (Rejected, OutcomeUnknown) as trouble:
            message = f"The isolation of the copy could not be tried, so its data was not used: {trouble.message}"
            raise DrillEnded(DrillResult.FAILED, message) from None
        if leak:
            message = f"The copy is not isolated, so its data was not used: {leak.rstrip('.')}."
            raise DrillEnded(DrillResult.FAILED, message)

    def verify(self) -> Sequence[CheckResult]:
        """The checks of the engine and of the settings. Raises `DrillEnded` when they cannot be made at all."""
        self.enter(VERIFY)
        try:
            results = attend(self._verified, "drill-verify", self.tools, self._checked_and_told)
        except (Rejected, Conflict, OutcomeUnknown) as trouble:
            raise DrillEnded(DrillResult.FAILED, f"The copy could not be checked: {trouble.message}") from None
        self._checked_and_told()
        if not results:
            message = "No check was made, so nothing is proved. Write at least one under `checks` of the store."
            raise DrillEnded(DrillResult.FAILED, message)
        return results

    def find_sentinel(self, data_at: datetime) -> tuple[CheckResult | None, datetime | None]:
        """Whether the newest token from before the backup is in the copy, and of when the newest is that is there.

        `data_at`: the moment whose data the copy must have.
        """
        engine, written = self.engine, self.records.sentinels(self.store.name)
        if not isinstance(engine, SentinelEngine) or not self.store.drill.sentinel:
            return None, None
        try:
            found = attend(
                lambda: ask(lambda: engine.read_sentinels(self.task)), "drill-sentinel", self.tools, self.check
            )
        except (Rejected, OutcomeUnknown) as trouble:
            found, why = {}, f"it could not be read: {trouble.message}"
        else:
            why = ""
        token = self.drill.sentinel or sentinel.expected(written, data_at)
        if not token or token not in written:
            return None, max(found.values(), default=None)
        if token != self.drill.sentinel:
            self.put(replace(self.drill, sentinel=token))
        got = sentinel.result(token, written, found)
        return (replace(got, got=why) if why else got), max(found.values(), default=None)

    def _verified(self) -> Sequence[CheckResult]:
        return ask(lambda: self.engine.verify(self.task, self.store.checks, self._told.append))

    def _checked_and_told(self) -> None:
        self.check()
        while self._told:
            said = self._told.pop(0)
            self.enter(HYDRATE if said.lower().startswith(_HYDRATING) else VERIFY)
            self._say(said)

    def _say(self, said: str) -> None:
        self._last = said
        self.tools.report_progress(said)

    def _look(self) -> CopyStatus | None:
        """None: it cannot be read now; the deadline ends that."""
        try:
            return ask(lambda: self.engine.look(self.task))
        except (Rejected, OutcomeUnknown) as down:
            self._say(f"the copy cannot be looked at: {down.message}")
            return None

    def _report(self, status: CopyStatus) -> None:
        if status.state is CopyState.WAITING:
            self.enter(RESTORE)
            self._say(f"waiting: {status.message or 'its system has not begun'}")
        elif status.state is CopyState.RUNNING:
            self.enter(HYDRATE if status.phase.lower().startswith(_HYDRATING) else RESTORE)
            self._say(self._pace.describe(status, self.tools.elapsed()))


def _begun_or_lost(begun: Beside[None]) -> str:
    """Why nobody knows whether the restore was begun; "" where it was.

    Raises:
        DrillEnded: it was refused.
    """
    try:
        ask(begun.result)
    except (Rejected, Conflict) as refused:
        raise DrillEnded(DrillResult.MISSED, f"It could not begin: {refused.message}") from None
    except OutcomeUnknown as lost:
        return lost.message
    return ""


def _not_restored(why: str, *, resumed: bool) -> DrillEnded:
    """A restore that the bot's own crash has cut off says nothing about the backup."""
    if resumed:
        message = f"The bot was interrupted, and the restore has not survived that: {why.rstrip('.')}."
        return DrillEnded(DrillResult.ABORTED, message)
    return DrillEnded(DrillResult.FAILED, f"Not restored: {why.rstrip('.')}.")


def _closed(phases: Sequence[DrillPhase], now: datetime, size_bytes: int | None = None) -> tuple[DrillPhase, ...]:
    if not phases or phases[-1].end is not None:
        return tuple(phases)
    # A clock that was set back makes no phase of a negative length.
    return (*phases[:-1], replace(phases[-1], end=max(now, phases[-1].start), size_bytes=size_bytes))
