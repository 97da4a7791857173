"""Finds the anchors that the settings store outside of the database, and checks that they are complete and recent.

The trap: a log that was cut at a checkpoint is consistent in itself; only an anchor shows the cut. So an anchor that is
configured and cannot be read whole is a fault of its own: it must not pass for one that agrees.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bot.audit.verify.anchors import DamagedAnchor, find_anchors, line_of
from bot.audit.verify.checkpoints import FoundAnchor
from bot.audit.verify.log_reader import CheckpointRow, LogReader, UnreadableLog
from bot.audit.verify.report import LogFault, VerificationReport

#: A checkpoint that is older must be in the file of the settings. The bot tries every minute; a checkpoint that was
#: signed while it stopped may have to wait for the next start.
ANCHORED_WITHIN = timedelta(minutes=5)
_SINK = "file"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True, slots=True)
class ExternalAnchors:
    """The anchors that were found outside, and those that are configured and could not be read."""

    anchors: tuple[FoundAnchor, ...] = ()
    damaged: tuple[DamagedAnchor, ...] = ()
    readable: int | None = None  #: the largest size in the file that the bot writes; None where that was not read
    problem: tuple[str, ...] = ()  #: why none of the configured anchors was read
    unreadable: tuple[str, ...] = ()  #: configured anchors that were not read, where another one was


def external_anchors(named: Sequence[Path], file: str | None, others: Sequence[str]) -> ExternalAnchors:
    """The anchors to compare a log with.

    `named`: files from the command line, which replace those of the settings. `file`: audit.anchors.file. `others`: the
    settings' further anchors, which only a person can fetch.

    Raises:
        UnreadableLog: one of `named` cannot be read.
    """
    if named:
        seen = [_one(path, own=file is not None and _same(path, Path(file))) for path in named]
        return replace(
            ExternalAnchors(readable=next((one.readable for one in seen if one.readable is not None), None)),
            anchors=tuple(anchor for one in seen for anchor in one.anchors),
            damaged=tuple(damaged for one in seen for damaged in one.damaged),
        )
    unseen = tuple(
        f"{name} is configured, and its anchors were not checked: fetch them, and name the file with --anchors"
        for name in others
    )
    if file is None:
        return ExternalAnchors(problem=unseen)
    try:
        return replace(_one(Path(file), own=True), unreadable=unseen)
    except UnreadableLog as reason:
        return ExternalAnchors(problem=(f"no anchor was checked: audit.anchors.file names {reason}", *unseen))


def check_anchors(outside: ExternalAnchors, log: LogReader, report: VerificationReport, now: datetime) -> None:
    """Report anchors that could not be read. A line that the bot may have written only partly is no fault."""
    for message in outside.problem:
        report.add(LogFault.UNANCHORED, message)
    for message in outside.unreadable:
        report.add(LogFault.FLAGGED, message)
    checkpoints = list(log.checkpoints()) if outside.damaged or outside.readable is not None else []
    for one in outside.damaged:
        torn = _torn(one, checkpoints, log.start())
        message = (
            "is not whole: it was written only partly"
            if torn
            else "is damaged, and is not the beginning of a line of the bot"
        )
        report.add(LogFault.FLAGGED if torn else LogFault.UNANCHORED, f"{one.where} {message}")
    if outside.readable is not None:
        _judge_reached(outside.readable, checkpoints, log, report, now)


def _one(path: Path, *, own: bool) -> ExternalAnchors:
    seen = find_anchors(path, own=own)
    reached = max(one.size for one in seen.anchors) if own else None
    return ExternalAnchors(anchors=seen.anchors, damaged=seen.damaged, readable=reached)


def _same(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve()


def _torn(one: DamagedAnchor, checkpoints: Sequence[CheckpointRow], start: int) -> bool:
    """Whether it is the beginning of the line of a known checkpoint, at the place where that line belongs.

    The checkpoints of a pruned part are gone; there the next whole line covers everything before it.
    """
    if one.before is not None and one.before <= start:
        return True
    text = one.text.strip()
    return text != "" and any(
        row.size > one.after and line_of(row.size, row.root, row.note).startswith(text)
        for row in checkpoints
        if one.before is None or row.size <= one.before
    )


def _judge_reached(
    reached: int, checkpoints: Sequence[CheckpointRow], log: LogReader, report: VerificationReport, now: datetime
) -> None:
    put = max((one.size for one in log.anchored() if one.sink == _SINK), default=0)
    if put > reached:
        message = f"audit.anchors.file ends at {reached} entries, and {put} were written there: its end is missing"
        report.add(LogFault.UNANCHORED, message)
        return
    before = (now - ANCHORED_WITHIN - _EPOCH) // timedelta(microseconds=1)
    signed = max((one.size for one in checkpoints if one.at <= before), default=0)
    if signed > reached:
        message = f"audit.anchors.file ends at {reached} entries, and {signed} were signed {_minutes()} ago or earlier"
        report.add(LogFault.UNANCHORED, f"{message}: no anchor would show that the later ones were cut off")


def _minutes() -> str:
    return f"{ANCHORED_WITHIN // timedelta(minutes=1)} min"
