"""Lays out what is known of stores for a chat: short lines, as a phone shows some 40 characters of one. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from bot.backups.judging import Fault, StoreFinding, StoreReport, Verdict, why_unusable
from bot.core.backup import Backup, BackupStore, Drill, DrillResult, RestoreRecord, RestoreState
from bot.lib.text import scale_bytes, spell_at, spell_briefly, spell_duration, spell_moment

_WORST_FIRST = (Verdict.RED, Verdict.UNKNOWN, Verdict.WARNING, Verdict.OK)
_MOST_STORES = 25
_MOST_DRILLS = 5
_MOST_FINDINGS = 2
#: What to do about a finding. `{store}` is the store's name.
_TODO = {
    Fault.UNREADABLE: "Find out why it cannot be read; `vakhta check --live` asks once more.",
    Fault.NOTHING_USABLE: "Find out why there is no newer backup, and make one: `backup {store}`.",
    Fault.WAL_GAP: "Make a new backup, from which the log goes on without a gap: `backup {store}`.",
    Fault.LATE: "Look at the schedule of its system.",
    Fault.DAMAGE: "Look at what it says in the log of its system; the copy has the damage too.",
    Fault.SIZE: "Compare it with those before: a backup that lost most of its size is the first sign of an empty one.",
    Fault.DURATION: "Look at the load of its system, and at what else reads from that disk.",
    Fault.FUTURE: "Set the clock of its system right.",
    Fault.NEVER_DRILLED: "Make a drill: `drill {store}`.",
    Fault.DRILL_OVERDUE: "Make a drill: `drill {store}`; look why none was made in time.",
    Fault.DRILL_FAILED: "Repair what it found, then: `drill {store}`.",
    Fault.DRILL_AHEAD: "Set the bot's clock right, and drill again: `drill {store}`.",
    Fault.TOO_SLOW: "Make the restore faster, or promise less: rto in the settings.",
}

_COPY_IS = {
    RestoreState.INTENDED: "is being restored",
    RestoreState.RESTORED: "restored, and not checked",
    RestoreState.VERIFIED: "restored and checked",
    RestoreState.DAMAGED: "restored, and DAMAGED by its checks",
}


def describe_all(reports: Sequence[StoreReport], now: datetime) -> list[str]:
    """All stores, the worst first, a few lines each; of many that are ok one line each."""
    ranked = sorted(reports, key=lambda one: (_WORST_FIRST.index(one.verdict), one.store))
    lines = [f"{_counted(reports)}. {spell_moment(now)}."]
    for report in ranked[:_MOST_STORES]:
        lines += _brief(report, now)
    if len(ranked) > _MOST_STORES:
        lines.append(f"... and {len(ranked) - _MOST_STORES} more; `backups <store>` shows one.")
    return lines


def describe_store(store: BackupStore, report: StoreReport, drills: Sequence[Drill], now: datetime) -> list[str]:
    """One store, with all that is known of it and what to do."""
    where = f", {store.where}" if store.where else ""
    return [
        f"{report.store}: {_word(report.verdict)} ({store.engine.title}{where}). Times in UTC.",
        *_why(report),
        *_backups(report, now),
        *_log(report, now),
        *_usual(report),
        *_drills(report, drills, now),
        *_todo(report),
    ]


def describe_copies(records: Iterable[RestoreRecord]) -> list[str]:
    """The copies of restores that people asked for and that may still stand, a line each."""
    return [
        f"Copy {one.name} (run {one.task.short_run}): {_COPY_IS[one.state]}; `remove-copy {one.task.short_run}`"
        " removes it."
        for one in records
        if not one.task.drill and one.state in _COPY_IS
    ]


def spell_bytes(size: int | None) -> str:
    """ "12.3 GB": decimal units, as disks and clouds have them; "size unknown" for None."""
    if size is None:
        return "size unknown"
    number, unit = scale_bytes(size)
    return f"{number:.0f} {unit}" if unit == "B" else f"{number:.3g} {unit}"


def _counted(reports: Sequence[StoreReport]) -> str:
    counts = [(one, sum(report.verdict is one for report in reports)) for one in _WORST_FIRST]
    return ", ".join(f"{number} {_word(verdict)}" for verdict, number in counts if number)


def _word(verdict: Verdict) -> str:
    return verdict.value if verdict is Verdict.OK else verdict.value.upper()


def _brief(report: StoreReport, now: datetime) -> Iterator[str]:
    yield f"{report.store}: {_word(report.verdict)}"
    age = report.data_age(now)
    if report.unknown_since is not None:
        yield f"  unknown since {spell_at(report.unknown_since, now)}"
    elif report.known and age is not None:
        yield f"  data {spell_briefly(age)} old, RPO {spell_duration(report.rpo)}"
    yield f"  {_last_drill(report, now)}"
    for one in report.findings[:_MOST_FINDINGS]:
        yield f"  - {one.text}"


def _last_drill(report: StoreReport, now: datetime) -> str:
    if not report.restorable:
        return "only read: no restore, no drill"
    drill = report.last_passed
    if drill is None:
        return "no drill has passed"
    took = f" in {spell_briefly(drill.rto)}, RTO {spell_duration(report.rto)}" if drill.rto else ""
    return f"drill passed {spell_at(drill.began_at, now)}{took}"


def _why(report: StoreReport) -> Iterator[str]:
    for one in report.findings:
        yield f"- {one.text}{_since(one)}"


def _since(one: StoreFinding) -> str:
    return "" if one.since is None else f" Since {spell_moment(one.since)}."


def _backups(report: StoreReport, now: datetime) -> Iterator[str]:
    if report.read_at is None:
        return
    yield f"Read {spell_moment(report.read_at)}."
    age = report.data_age(now)
    if age is not None and report.reaches is not None:
        reached = f"Newest data that can be restored: {spell_at(report.reaches, now)}, {spell_briefly(age)} old"
        yield f"{reached} (RPO {spell_duration(report.rpo)})."
    yield from newest_of(report, now)


def newest_of(report: StoreReport, now: datetime) -> Iterator[str]:
    """The newest usable backup, and the newest of any kind with what speaks against it."""
    if report.usable is not None:
        yield f"Newest usable backup: {_backup(report.usable, now)}."
    newest = report.newest
    if newest is not None and newest != report.usable:
        why = why_unusable(newest, now)
        yield f"Newest of any kind: {_backup(newest, now)}; it cannot be used: {why.rstrip('.')}."
    if newest is None and report.inventory is not None and report.inventory.window is None:
        yield "There are no backups."


def _backup(one: Backup, now: datetime) -> str:
    kind = f" ({one.kind})" if one.kind else ""
    took = f", made in {spell_briefly(one.duration)}" if one.duration is not None else ""
    expires = f", expires {spell_at(one.expires_at, now)}" if one.expires_at is not None else ""
    return f"{one.id}{kind} of {spell_at(one.data_at, now)}, {spell_bytes(one.size_bytes)}{took}{expires}"


def _log(report: StoreReport, now: datetime) -> Iterator[str]:
    inventory = report.inventory
    if inventory is None:
        return
    if inventory.window is not None:
        earliest, latest = inventory.window.earliest, inventory.window.latest
        yield f"Any moment from {spell_at(earliest, now)} to {spell_at(latest, now)} can be restored."
    log = inventory.continuity
    if log is not None and not log.gap:
        until = "" if log.ok_until is None else f" to {spell_at(log.ok_until, now)}"
        yield f"WAL: complete{until}."


def _usual(report: StoreReport) -> Iterator[str]:
    if report.interval is not None:
        yield f"One backup every {spell_briefly(report.interval)}."
    ratios = (("size", report.size_ratio), ("duration", report.duration_ratio))
    told = [f"{name} {ratio:.0%}" for name, ratio in ratios if ratio is not None]
    if told:
        yield f"Against the median of the last seven: {', '.join(told)}."


def _drills(report: StoreReport, drills: Sequence[Drill], now: datetime) -> Iterator[str]:
    if not report.restorable:
        yield "Its engine is only read here: no restore and no drill."
        return
    if report.rto_median is not None and report.rto_p95 is not None:
        measured = f"RTO {spell_briefly(report.rto_median)} (p50), {spell_briefly(report.rto_p95)} (p95)"
        yield f"Drills: {measured}; promised {spell_duration(report.rto)}."
    for one in drills[:_MOST_DRILLS]:
        yield f"  {spell_at(one.began_at, now)} {_drill(one)}"
    if report.drill_due_at is None:
        yield "No drill is scheduled: drill.every is not set."
    elif report.drill_due_at <= now:
        yield "Next drill: now."
    else:
        yield f"Next drill: {spell_at(report.drill_due_at, now)}."


def _drill(one: Drill) -> str:
    measured = [f"{name} {spell_briefly(time)}" for name, time in (("RTO", one.rto), ("RPO", one.rpo)) if time]
    told = ", ".join([str(one.result), *measured])
    message = one.message if one.result is not DrillResult.PASSED else ""
    return f"{told}: {message}" if message else told


def _todo(report: StoreReport) -> Iterator[str]:
    for todo in dict.fromkeys(_TODO[one.fault] for one in report.findings):
        yield f"To do: {todo.format(store=report.store)}"
    if not report.findings:
        yield "Nothing to do."


def todo_of(fault: Fault, store: str) -> str:
    """What a person should do about it."""
    return _TODO[fault].format(store=store)
