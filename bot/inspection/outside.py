"""Whether what the settings say is put outside of the database could be looked at: all of it, and up to date.

A log that was cut at a checkpoint agrees with itself, and only what stands outside tells of it. So an anchor that is
set up and cannot be read whole is told as a fault of its own: it must not pass for one that agrees.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bot.inspection.anchors import Damaged, line_of, seen_in
from bot.inspection.evidence import Checkpoint, Evidence, Unreadable
from bot.inspection.marks import Anchor
from bot.inspection.report import Fault, Report

#: A checkpoint that is older and not in the file of the settings: nobody puts it there any more. The bot tries every
#: minute; what was signed while it stopped may have to wait for its next start.
ANCHORED_WITHIN = timedelta(minutes=5)
_SINK = "file"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True, slots=True)
class Outside:
    """What was found outside, and what was to be there and could not be looked at."""

    anchors: tuple[Anchor, ...] = ()
    damaged: tuple[Damaged, ...] = ()
    reached: int | None = None  #: the largest size in the file that the bot writes; None where that was not read
    amiss: tuple[str, ...] = ()  #: nothing was looked at of what is set up, and why
    unseen: tuple[str, ...] = ()  #: what is set up and was not looked at, while something else was


def outside_of(named: Sequence[Path], file: str | None, others: Sequence[str]) -> Outside:
    """What is to be held against a log.

    `named`: by who asks; they take the place of what the settings name. `file`: audit.anchors.file. `others`: the
    settings' further anchors, which only a person can fetch.

    Raises:
        Unreadable: something that was named cannot be read.
    """
    if named:
        seen = [_one(path, own=file is not None and _same(path, Path(file))) for path in named]
        return replace(
            Outside(reached=next((one.reached for one in seen if one.reached is not None), None)),
            anchors=tuple(anchor for one in seen for anchor in one.anchors),
            damaged=tuple(damaged for one in seen for damaged in one.damaged),
        )
    unseen = tuple(
        f"{name} is set up, and what is there was not looked at: fetch it, and name it with --anchors"
        for name in others
    )
    if file is None:
        return Outside(amiss=unseen)
    try:
        return replace(_one(Path(file), own=True), unseen=unseen)
    except Unreadable as why:
        return Outside(amiss=(f"no anchor was looked at: audit.anchors.file names {why}", *unseen))


def judge(outside: Outside, evidence: Evidence, report: Report, now: datetime) -> None:
    """Tell what could not be read, as far as no write of the bot's own that ended in its midst explains it."""
    for said in outside.amiss:
        report.add(Fault.UNANCHORED, said)
    for said in outside.unseen:
        report.add(Fault.FLAGGED, said)
    checkpoints = list(evidence.checkpoints()) if outside.damaged or outside.reached is not None else []
    for one in outside.damaged:
        torn = _torn(one, checkpoints, evidence.start())
        said = (
            "is not whole: a write ended in its midst" if torn else "is damaged, and no write of the bot's explains it"
        )
        report.add(Fault.FLAGGED if torn else Fault.UNANCHORED, f"{one.where} {said}")
    if outside.reached is not None:
        _judge_reached(outside.reached, checkpoints, evidence, report, now)


def _one(path: Path, *, own: bool) -> Outside:
    seen = seen_in(path, own=own)
    reached = max(one.size for one in seen.anchors) if own else None
    return Outside(anchors=seen.anchors, damaged=seen.damaged, reached=reached)


def _same(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve()


def _torn(one: Damaged, checkpoints: Sequence[Checkpoint], start: int) -> bool:
    """Whether it is the beginning of the line of a checkpoint that is here, and stands where that belongs.

    Of a part that was pruned its checkpoints are gone; there the next whole line vouches for all that was before it.
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
    reached: int, checkpoints: Sequence[Checkpoint], evidence: Evidence, report: Report, now: datetime
) -> None:
    put = max((one.size for one in evidence.anchored() if one.sink == _SINK), default=0)
    if put > reached:
        said = f"audit.anchors.file ends with {reached} entries, and {put} were put there: its end is missing"
        report.add(Fault.UNANCHORED, said)
        return
    before = (now - ANCHORED_WITHIN - _EPOCH) // timedelta(microseconds=1)
    signed = max((one.size for one in checkpoints if one.at <= before), default=0)
    if signed > reached:
        said = f"audit.anchors.file ends with {reached} entries, and {signed} were signed {_minutes()} ago or earlier"
        report.add(Fault.UNANCHORED, f"{said}: nothing would show that those behind were cut off")


def _minutes() -> str:
    return f"{ANCHORED_WITHIN // timedelta(minutes=1)} min"
