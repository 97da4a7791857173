"""Judges a store of backups: what could be restored now, against what is promised. Pure.

The promise: absence of success is what counts, never presence of failure. What was not read lately is unknown, a store
that never passed a drill is red from its first day, and a backup with a date in the future proves nothing. One pass
over the backups, as there may be thousands.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from math import ceil
from statistics import median

from bot.backups import drill_schedule
from bot.backups.broken_engine import BrokenEngine
from bot.core.backup import Backup, BackupStore, Drill, DrillResult, Inventory, Restorer, StoreLook
from bot.lib.text import spell_briefly, spell_duration, spell_moment

#: How far the clock of a backup's system may be ahead of ours.
_SKEW = timedelta(minutes=5)
#: The last backups that a new one is compared with, and the fewest that say anything.
_COMPARED, _ENOUGH = 7, 3
_HALF, _DOUBLE = 0.5, 2.0
_LATE_AFTER = 1.5  #: intervals
_DRILL_OVERDUE_AFTER = 2  #: intervals
#: A look older than this says nothing of now.
STALE = timedelta(hours=1)
#: How many of the newest drills are given to `judge`; with fewer, the store has no older ones.
DRILLS_JUDGED = 100


class Verdict(StrEnum):
    """In the order of how bad it is, the worst last; UNKNOWN is never ok."""

    OK = "ok"
    WARNING = "warning"
    RED = "red"
    UNKNOWN = "unknown"


class Fault(StrEnum):
    """What speaks against a store. The values are stored as labels of alerts, and never change."""

    UNREADABLE = "unreadable"  #: the last look failed, or there was none lately
    NOTHING_USABLE = "rpo"  #: nothing that can be restored is as new as promised
    WAL_GAP = "wal_gap"
    LATE = "late"
    DAMAGE = "damage"
    SIZE = "size"
    DURATION = "duration"
    FUTURE = "future"
    NEVER_DRILLED = "never_drilled"
    DRILL_OVERDUE = "drill_overdue"
    DRILL_FAILED = "drill_failed"
    DRILL_AHEAD = "drill_ahead"
    TOO_SLOW = "rto"


#: These make a store red; all others are warnings.
GRAVE = frozenset(
    {
        Fault.NOTHING_USABLE,
        Fault.WAL_GAP,
        Fault.NEVER_DRILLED,
        Fault.DRILL_OVERDUE,
        Fault.DRILL_FAILED,
        Fault.TOO_SLOW,
    }
)


@dataclass(frozen=True, kw_only=True, slots=True)
class StoreFinding:
    """One thing that speaks against a store. `text`: a sentence for people that the clock does not change.

    `since`: None where it was so from the start.
    """

    fault: Fault
    text: str
    since: datetime | None


@dataclass(frozen=True, kw_only=True, slots=True)
class StoreReport:
    """All that is said of one store. Without an inventory, everything that comes from one is None."""

    store: str
    service: str
    engine: str
    verdict: Verdict
    findings: tuple[StoreFinding, ...]
    rpo: timedelta
    rto: timedelta
    read_at: datetime | None = None  #: when what follows was read
    known: bool = True  #: it was read lately; False: what follows may be old
    unknown_since: datetime | None = None  #: None while it can be read, or where it never was
    problem: str = ""  #: why it cannot be read
    reaches: datetime | None = None  #: the newest moment whose data can be restored
    usable: Backup | None = None  #: the newest usable backup
    newest: Backup | None = None  #: the newest of any kind
    inventory: Inventory | None = None
    interval: timedelta | None = None
    size_ratio: float | None = None  #: of the newest usable one to the median of those before it, of its kind
    duration_ratio: float | None = None
    restorable: bool = True  #: False for an engine that only reads
    last_drill: Drill | None = None  #: the last that ended
    last_passed: Drill | None = None
    rto_median: timedelta | None = None  #: over the passed drills
    rto_p95: timedelta | None = None
    drill_due_at: datetime | None = None  #: None: it is never drilled by itself

    def data_age(self, now: datetime) -> timedelta | None:
        """How old the newest data is that can be restored."""
        return None if self.reaches is None else max(timedelta(0), now - self.reaches)

    def finding(self, fault: Fault) -> StoreFinding | None:
        return next((one for one in self.findings if one.fault is fault), None)


def judge(store: BackupStore, look: StoreLook | None, drills: Sequence[Drill], now: datetime) -> StoreReport:
    """The report of a store. `drills`: its newest `DRILLS_JUDGED`, the newest first."""
    told_ahead, drills = list(_of_ahead(drills, now)), without_ahead(drills, now)
    inventory = None if look is None else look.inventory
    unreadable = _unreadable(store, look, now)
    found = _Found.of(inventory, now if look is None or look.read_at is None else look.read_at, now)
    ended = [one for one in drills if one.result is not DrillResult.RUNNING]
    passed = [one for one in ended if one.result is DrillResult.PASSED]
    restorable = isinstance(store.engine, Restorer | BrokenEngine)
    findings = [*([unreadable] if unreadable else []), *_of_inventory(store, inventory, found, now), *told_ahead]
    if restorable or ended:
        findings += _of_drills(store, drills, ended, passed, now)
    times = sorted(one.rto for one in passed if one.rto is not None)
    return StoreReport(
        store=store.name,
        service=store.service,
        engine=store.engine_name,
        verdict=_verdict(findings, known=unreadable is None),
        findings=tuple(findings),
        rpo=store.rpo,
        rto=store.rto,
        read_at=None if look is None else look.read_at,
        unknown_since=None if unreadable is None else unreadable.since,
        known=unreadable is None,
        problem="" if look is None else look.problem,
        reaches=found.reaches,
        usable=found.usable[0] if found.usable else None,
        newest=found.newest,
        inventory=inventory,
        interval=found.interval,
        size_ratio=_size_ratio(found.usable),
        duration_ratio=_duration_ratio(found.usable),
        restorable=restorable,
        last_drill=ended[0] if ended else None,
        last_passed=passed[0] if passed else None,
        rto_median=median_time(times),
        rto_p95=times[ceil(0.95 * len(times)) - 1] if times else None,
        drill_due_at=_drill_due_at(store, drills, now),
    )


def without_ahead(drills: Sequence[Drill], now: datetime) -> list[Drill]:
    """Without those begun under a clock that was ahead: they would hide what was found since."""
    return [one for one in drills if one.began_at <= now + _SKEW]


def _of_ahead(drills: Sequence[Drill], now: datetime) -> Iterator[StoreFinding]:
    newest = drills[0] if drills else None
    if newest is not None and newest.began_at > now + _SKEW:
        text = f"A drill is dated {spell_moment(newest.began_at)}, in the future; it counts for nothing."
        yield StoreFinding(fault=Fault.DRILL_AHEAD, text=text, since=None)


def median_time(times: Sequence[timedelta]) -> timedelta | None:
    """The middle of sorted durations; None of none."""
    return timedelta(seconds=median(one.total_seconds() for one in times)) if times else None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Found:
    """What one pass over an inventory finds."""

    newest: Backup | None = None
    future: Backup | None = None
    usable: tuple[Backup, ...] = ()  #: the newest ones that count, the newest first
    reaches: datetime | None = None
    interval: timedelta | None = None

    @classmethod
    def of(cls, inventory: Inventory | None, read_at: datetime, now: datetime) -> _Found:
        if inventory is None:
            return cls()
        listed = sorted(inventory.backups, key=lambda one: one.data_at, reverse=True)  # linear where it is in order
        usable = [one for one in listed if not why_unusable(one, now)]
        future = next((one for one in listed if one.usable and one.data_at > now + _SKEW), None)
        return cls(
            newest=listed[0] if listed else None,
            future=future,
            usable=tuple(usable),
            reaches=None if inventory.blockers else _reaches(inventory, usable, min(read_at, now)),
            interval=inventory.interval or _usual_interval(usable),
        )


def why_unusable(backup: Backup, now: datetime) -> str:
    """Why nothing can be restored from it, in words; "" if something can."""
    if backup.problem:
        return backup.problem
    if backup.expires_at is not None and backup.expires_at <= now:
        return f"it expired at {spell_moment(backup.expires_at)}"
    if backup.data_at > now + _SKEW:
        return "its time is in the future, so a clock is wrong"
    return ""


def _reaches(inventory: Inventory, usable: Sequence[Backup], read_at: datetime) -> datetime | None:
    """The newest moment that can be restored: of the newest backup, or of the log that goes on from one."""
    moments = [usable[0].data_at] if usable else []
    log = inventory.continuity
    if inventory.window is not None and not (log and log.gap):
        moments.append(inventory.window.latest)
    if log is not None and log.ok_until is not None and (usable or inventory.window is not None):
        limit = inventory.window.latest if inventory.window is not None else log.ok_until
        moments.append(min(log.ok_until, limit))
    return min(max(moments), read_at) if moments else None


def _usual_interval(usable: Sequence[Backup]) -> timedelta | None:
    """The median gap between the last backups. Gaps far below the longest are of backups made by hand, and left out."""
    moments = [one.data_at for one in usable[: 2 * _COMPARED]]
    gaps = [later - earlier for later, earlier in pairwise(moments)]
    gaps = [gap for gap in gaps if gap >= max(gaps) / 4 and gap > timedelta(0)]
    return median_time(sorted(gaps)) if len(gaps) >= _ENOUGH else None


def _unreadable(store: BackupStore, look: StoreLook | None, now: datetime) -> StoreFinding | None:
    """Why nothing is known of the store now."""
    if look is None:
        text = f"{store.name} was not looked at yet"
        return StoreFinding(fault=Fault.UNREADABLE, text=f"{text}; `backups {store.name}` looks now.", since=None)
    if look.problem:
        since = look.problem_since or look.looked_at
        return StoreFinding(fault=Fault.UNREADABLE, text=f"It cannot be read: {_sentence(look.problem)}", since=since)
    if look.looked_at > now + _SKEW:
        text = f"Its last look is of {spell_moment(look.looked_at)}, in the future, so a clock was wrong."
        return StoreFinding(fault=Fault.UNREADABLE, text=text, since=None)
    if now - look.looked_at > STALE:
        text = f"It was last looked at {spell_moment(look.looked_at)}; `backups {store.name}` looks now."
        return StoreFinding(fault=Fault.UNREADABLE, text=text, since=look.looked_at)
    return None


def _of_inventory(
    store: BackupStore, inventory: Inventory | None, found: _Found, now: datetime
) -> Iterator[StoreFinding]:
    if inventory is None:
        return
    yield from _against_rpo(store, inventory, found, now)
    log = inventory.continuity
    if log is not None and log.gap:
        yield StoreFinding(fault=Fault.WAL_GAP, text=f"The log has a gap: {_sentence(log.gap)}", since=log.ok_until)
    newest = found.usable[0] if found.usable else None
    if newest is None:
        return
    if found.interval and now - newest.data_at > _LATE_AFTER * found.interval:
        usual = f"one every {spell_briefly(found.interval)}"
        text = f"The next backup is late: the last is of {spell_moment(newest.data_at)}, {usual}."
        yield StoreFinding(fault=Fault.LATE, text=text, since=newest.data_at + _LATE_AFTER * found.interval)
    if newest.damage:
        yield StoreFinding(
            fault=Fault.DAMAGE, text=f"{newest.id} is damaged: {_sentence(newest.damage)}", since=newest.data_at
        )
    yield from _of_ratios(newest, found.usable)
    if found.future is not None:
        text = f"{found.future.id} is of {spell_moment(found.future.data_at)}, in the future; it counts for nothing."
        yield StoreFinding(fault=Fault.FUTURE, text=text, since=None)


def _against_rpo(store: BackupStore, inventory: Inventory, found: _Found, now: datetime) -> Iterator[StoreFinding]:
    promised = spell_duration(store.rpo)
    if inventory.blockers:
        text = f"Nothing can be restored as it stands: {_sentences(inventory.blockers)}"
        yield StoreFinding(fault=Fault.NOTHING_USABLE, text=text, since=None)
    elif found.reaches is None:
        newest = found.newest
        why = f" The newest, {newest.id}: {_sentence(why_unusable(newest, now))}" if newest else ""
        text = f"No backup can be restored from; RPO {promised}.{why}"
        yield StoreFinding(fault=Fault.NOTHING_USABLE, text=text, since=None)
    elif now - found.reaches > store.rpo:
        text = f"The newest data that can be restored is of {spell_moment(found.reaches)}; RPO {promised}."
        if (
            found.newest is not None
            and found.newest.data_at > found.reaches
            and (why := why_unusable(found.newest, now))
        ):
            text = f"{text} {found.newest.id} of {spell_moment(found.newest.data_at)} cannot be used: {_sentence(why)}"
        yield StoreFinding(fault=Fault.NOTHING_USABLE, text=text, since=found.reaches + store.rpo)


def _of_ratios(newest: Backup, usable: Sequence[Backup]) -> Iterator[StoreFinding]:
    size, duration = _size_ratio(usable), _duration_ratio(usable)
    if size is not None and not _HALF <= size <= _DOUBLE:
        text = f"{newest.id} has {size:.0%} of the usual size (the median of the {_COMPARED} before it)."
        yield StoreFinding(fault=Fault.SIZE, text=text, since=newest.data_at)
    if duration is not None and not _HALF <= duration <= _DOUBLE:
        text = f"{newest.id} took {duration:.0%} of the usual time (the median of the {_COMPARED} before it)."
        yield StoreFinding(fault=Fault.DURATION, text=text, since=newest.data_at)


def _size_ratio(usable: Sequence[Backup]) -> float | None:
    return _ratio([float(one.size_bytes) for one in _alike(usable) if one.size_bytes is not None])


def _duration_ratio(usable: Sequence[Backup]) -> float | None:
    return _ratio([one.duration.total_seconds() for one in _alike(usable) if one.duration is not None])


def _alike(usable: Sequence[Backup]) -> Iterator[Backup]:
    """The newest and those before it, of the same kind: an incremental one is a hundredth of a full one."""
    left = _COMPARED + 1
    for one in usable:
        if one.kind == usable[0].kind:
            yield one
            left -= 1
        if not left:
            return


def _ratio(values: Sequence[float]) -> float | None:
    """The first to the median of the others."""
    before = values[1:]
    if len(before) < _ENOUGH or not (middle := median(before)):
        return None
    return values[0] / middle


def _of_drills(
    store: BackupStore, drills: Sequence[Drill], ended: Sequence[Drill], passed: Sequence[Drill], now: datetime
) -> Iterator[StoreFinding]:
    ask = f"`drill {store.name}` makes one now."
    tried = [one for one in ended if one.result in (DrillResult.FAILED, DrillResult.DAMAGED)]
    if not passed:
        first = min((one.began_at for one in drills), default=None)
        which = (
            "None of its drills has" if len(drills) < DRILLS_JUDGED else f"None of its last {len(drills)} drills has"
        )
        text = f"{which} passed" if ended else "It was never drilled"
        yield StoreFinding(
            fault=Fault.NEVER_DRILLED, text=f"{text}, so nobody knows that it restores; {ask}", since=first
        )
    elif store.drill.every and now - passed[0].began_at > _DRILL_OVERDUE_AFTER * store.drill.every:
        usual = f"one every {spell_briefly(store.drill.every)}"
        text = f"The last drill that passed was {spell_moment(passed[0].began_at)}, {usual}; {ask}"
        since = passed[0].began_at + _DRILL_OVERDUE_AFTER * store.drill.every
        yield StoreFinding(fault=Fault.DRILL_OVERDUE, text=text, since=since)
    if tried and (not passed or tried[0].began_at > passed[0].began_at):
        text = f"The last drill {tried[0].result}: {_sentence(tried[0].message or 'see its row')}"
        yield StoreFinding(fault=Fault.DRILL_FAILED, text=text, since=tried[0].finished_at or tried[0].began_at)
    if passed and passed[0].rto is not None and passed[0].rto > store.rto:
        text = f"The last drill took {spell_briefly(passed[0].rto)}; RTO {spell_duration(store.rto)}."
        yield StoreFinding(fault=Fault.TOO_SLOW, text=text, since=passed[0].finished_at or passed[0].began_at)


def _drill_due_at(store: BackupStore, drills: Sequence[Drill], now: datetime) -> datetime | None:
    """When the next drill begins by itself."""
    due = drill_schedule.due(store.name, store.drill, drills, since=now, now=now)
    return now if due.begin else due.next_at


def _verdict(findings: Iterable[StoreFinding], *, known: bool) -> Verdict:
    if not known:
        return Verdict.UNKNOWN
    faults = {one.fault for one in findings}
    if faults & GRAVE:
        return Verdict.RED
    return Verdict.WARNING if faults else Verdict.OK


def _sentence(text: str) -> str:
    return f"{text.strip().rstrip('.')}."


def _sentences(texts: Iterable[str]) -> str:
    return " ".join(map(_sentence, texts))
