"""What drills say: the post with its chart, the alarm, the row as auditors want it, and the figures. Pure.

A chart is read on a phone, in one line and without colour: a bar's height is a share of what is promised.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec

from bot.backups.judging import without_ahead
from bot.core.backup import BackupStore, CheckResult, Drill, DrillPhase, DrillResult, DrillRules
from bot.lib.text import spell_duration, spell_moment

_BARS = "▁▂▃▄▅▆▇█"
#: What stands in a chart for a drill without that figure.
_FAILED, _NEITHER = "x", "·"
#: Drills in a chart: what a phone shows in one line.
_CHARTED = 20
_HANGS_AFTER = timedelta(hours=1)
#: The names of the alerts that `drill_alarm` asks for.
DRILL_ALARMS = frozenset({"DrillHangs", "DrillFailed", "DrillMissed"})
_CONCLUDED = (DrillResult.PASSED, DrillResult.DAMAGED, DrillResult.FAILED)


@dataclass(frozen=True, kw_only=True, slots=True)
class DrillAlarm:
    """What is wrong with the drills of a store. `name`: of the alert, stable."""

    name: str
    message: str
    critical: bool = False  #: its backups are known not to restore


def drill_alarm(drills: Sequence[Drill], rules: DrillRules, now: datetime) -> DrillAlarm | None:
    """What a drill that did not pass is alarmed with; None where the last one passed, or none was made.

    That no drill has passed for too long, or ever, is found by `judging`, whatever the reason. An aborted drill is no
    alarm of its own: a person wanted that. A row dated ahead counts for nothing, or it would hide all later ones.

    Args:
        drills: of one store, the newest first.
    """
    drills = without_ahead(drills, now)
    running = next((one for one in drills if one.result is DrillResult.RUNNING), None)
    if running is not None and now > running.began_at + rules.at_most + _HANGS_AFTER:
        message = f"The drill of {spell_moment(running.began_at)} has not ended, and its time is over."
        return DrillAlarm(name="DrillHangs", message=message)
    concluded = next((one for one in drills if one.result in _CONCLUDED), None)
    if concluded is not None and concluded.result is not DrillResult.PASSED:
        how = "has found a difference" if concluded.result is DrillResult.DAMAGED else "has failed"
        message = f"The drill of {spell_moment(concluded.began_at)} {how}. {concluded.message}"
        return DrillAlarm(name="DrillFailed", message=message, critical=True)
    missed = next((one for one in drills if one.result is DrillResult.MISSED), None)
    if missed is not None and (concluded is None or missed.began_at > concluded.began_at):
        message = f"The drill of {spell_moment(missed.began_at)} was missed. {missed.message}"
        return DrillAlarm(name="DrillMissed", message=message)
    return None


def describe(drill: Drill, drills: Sequence[Drill], store: BackupStore) -> str:
    """The post about a drill that has ended. `drills`: of its store, the newest first, this one among them."""
    lines = [f"Drill of {drill.store}: {drill.result.upper()}. {drill.message}".rstrip()]
    if drill.backup_id:
        data = "" if drill.data_at is None else f" (data of {spell_moment(drill.data_at)})"
        lines.append(f"From {drill.backup_id}{data}, {store.engine.title}{_in_brackets(drill.scope)}")
    if drill.rto is not None and drill.rpo is not None:
        lines.append(f"RTO {_spell(drill.rto)} of {_spell(store.rto)}: {_spell_phases(drill.phases)}")
        lines.append(f"RPO {_spell(drill.rpo)} of {_spell(store.rpo)}{', by a sentinel' if drill.sentinel else ''}")
    if drill.checks:
        good = sum(one.ok for one in drill.checks)
        lines.append(f"Checks: {good} of {len(drill.checks)} hold")
    if drill.cost:
        lines.append(f"Cost: {drill.cost}")
    lines += [f"LEFT BEHIND: {one}" for one in drill.leftovers]
    lines += chart_lines(drills, store)
    return "\n".join(lines)


def chart_lines(drills: Sequence[Drill], store: BackupStore) -> list[str]:
    """RTO and RPO of the last drills, the oldest first, a line each; empty with fewer than two figures."""
    lines = []
    for name, promised, figures in (
        ("RTO", store.rto, [one.rto for one in drills]),
        ("RPO", store.rpo, [one.rpo for one in drills]),
    ):
        known = [one for one in figures if one is not None]
        if len(known) > 1:
            p50, p95 = percentile(known, 50), percentile(known, 95)
            kept = "kept" if p95 <= promised else "NOT KEPT"
            lines.append(
                f"{name} `{chart(drills, figures, promised)}` p50 {_spell(p50)}, p95 {_spell(p95)},"
                f" promised {_spell(promised)}: {kept}"
            )
    return lines


def chart(drills: Sequence[Drill], figures: Sequence[timedelta | None], promised: timedelta) -> str:
    """Bars, the oldest first. The full height is the promise, or the longest where that is not kept.

    A drill without the figure is an x where it failed, and a dot where it says nothing.
    """
    top = max([promised, *(one for one in figures if one is not None)]) or timedelta(seconds=1)
    return "".join(
        (_FAILED if drill.result in (DrillResult.FAILED, DrillResult.DAMAGED) else _NEITHER)
        if figure is None
        else _BARS[min(len(_BARS) - 1, math.ceil(figure / top * len(_BARS)) - 1 if figure else 0)]
        for drill, figure in reversed(list(zip(drills, figures, strict=True))[:_CHARTED])
    )


def percentile(figures: Iterable[timedelta], percent: float) -> timedelta:
    """Of one or more figures, by the nearest rank: one of them, never between two."""
    ordered = sorted(figures)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def export_json(drill: Drill) -> dict[str, Any]:
    """The row, for auditors. Moments are ISO 8601 in UTC, durations are seconds."""
    row: dict[str, Any] = msgspec.to_builtins(drill)
    for key in ("rpo", "rto"):
        long = getattr(drill, key)
        row[f"{key}_seconds"] = None if long is None else long.total_seconds()
        del row[key]
    for key in ("telling_at", "told_in", "told_at"):
        del row[key]
    return row


def export_markdown(drill: Drill) -> str:
    """The same as a page: what was restored, how long it took, what was asked, what came back."""
    facts = [
        ("Result", f"{drill.result}. {drill.message}".rstrip()),
        ("Run", drill.run),
        ("Engine", " ".join(filter(None, (drill.engine, drill.version)))),
        ("Backup", drill.backup_id),
        ("Data of", "" if drill.data_at is None else drill.data_at.isoformat()),
        ("Scope", drill.scope or "all"),
        ("Method", drill.method),
        ("Bytes", "" if drill.size_bytes is None else str(drill.size_bytes)),
        ("Began", drill.began_at.isoformat()),
        ("Restored", "" if drill.restored_at is None else drill.restored_at.isoformat()),
        ("Ended", "" if drill.finished_at is None else drill.finished_at.isoformat()),
        ("RTO", "" if drill.rto is None else _spell(drill.rto)),
        ("RPO", "" if drill.rpo is None else _spell(drill.rpo)),
        ("Sentinel", drill.sentinel),
        ("Cost", drill.cost),
        ("Left behind", "; ".join(drill.leftovers) or "nothing"),
    ]
    return "\n".join(
        [
            f"# Drill of {_cell(drill.store)}, {drill.began_at:%Y-%m-%d}",
            *_table(("", ""), facts),
            *_table(("Phase", "Start", "End", "Bytes"), map(_phase_row, drill.phases)),
            *_table(("Check", "Expected", "Got", "Holds"), map(_check_row, drill.checks)),
            "",
        ]
    )


def _phase_row(phase: DrillPhase) -> tuple[str, ...]:
    end = "" if phase.end is None else phase.end.isoformat()
    return (phase.name, phase.start.isoformat(), end, "" if phase.size_bytes is None else str(phase.size_bytes))


def _check_row(check: CheckResult) -> tuple[str, ...]:
    return (check.name, check.expected, check.got, "yes" if check.ok else "NO")


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return ["", _row(head), _row(["---"] * len(head)), *(_row([_cell(one) for one in row]) for row in rows)]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(said: str) -> str:
    """What comes out of a database must not become part of the page."""
    return " ".join(said.split()).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("`", "'")


def _spell(long: timedelta) -> str:
    """To the second, and from an hour on to the minute."""
    whole = timedelta(seconds=round(long.total_seconds()))
    return spell_duration(whole - whole % timedelta(minutes=1) if whole >= timedelta(hours=1) else whole)


def _spell_phases(phases: Sequence[DrillPhase]) -> str:
    took: dict[str, timedelta] = {}
    for one in phases:
        if one.end is not None:
            took[one.name] = took.get(one.name, timedelta(0)) + (one.end - one.start)
    return ", ".join(f"{name} {_spell(long)}" for name, long in took.items())


def _in_brackets(said: str) -> str:
    return f" ({said})" if said else ""
