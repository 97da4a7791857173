"""The state of a run, in the one word that chats, board, API, timeline and metrics show. Pure.

The trap: a run's row says only how the run ended. What happened later is in other rows (the runs that undo it), or was
found out later (its target is not healthy). So only `run_state` may derive the word; never show the row's own state.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

#: The stored id of the scheduler, which undoes runs when their time is over. Never change it.
SCHEDULER_ID = "watch"

#: Characters of a reason in a list; the whole reason is in the timeline and in the audit log.
_REASON = 280


class State(StrEnum):
    """A published word never changes."""

    RUNNING = "running"
    DONE = "done"
    DEGRADED = "done but not well"  #: it was done, and its target is not healthy, or not known to be
    FAILED = "failed"  #: nothing was changed
    UNKNOWN = "unknown"  #: nobody knows whether it was done
    UNDOING = "undoing"  #: it was done, and a run that undoes it is in progress
    UNDONE = "undone"


#: States in which a person has to act; the worst first.
NEEDS_ATTENTION = (State.UNKNOWN, State.DEGRADED)
_IN_PROGRESS = (State.RUNNING, State.UNDOING)


@dataclass(frozen=True, kw_only=True, slots=True)
class RunStatus:
    """One run and its state, for people."""

    run: str  #: its id; the first few characters are enough to type
    command: str
    by: str
    target: str
    state: State
    reason: str  #: the reason for its state, or its progress; a sentence
    began_at: datetime
    ended_at: datetime | None = None
    incident_id: int | None = None
    undo_of: str = ""  #: the run that this one undoes
    undone_by: str = ""  #: the run that undoes or has undone this one; "" for none
    undone_for: str = ""  #: who requested that
    undone_at: datetime | None = None
    can_undo: bool = False
    ends_at: datetime | None = None  #: when it is undone automatically
    check: str = ""  #: a PromQL expression that must stay true after it
    checked_until: datetime | None = None

    @property
    def short_id(self) -> str:
        return self.run[:8]

    @property
    def needs_attention(self) -> bool:
        return self.state in NEEDS_ATTENTION

    @property
    def in_progress(self) -> bool:
        return self.state in _IN_PROGRESS


def run_state(stored: str, *, unwell: str = "", undo: State | None = None) -> State:
    """The state of a run whose row says `stored`: intended, done, failed or unknown.

    Args:
        unwell: why the target is not healthy.
        undo: the state of the run that undoes this one; None when there is none.
    """
    if stored == "intended":
        return State.RUNNING
    if stored != "done":
        return State(stored)
    if undo is State.RUNNING:
        return State.UNDOING
    if undo in (State.DONE, State.DEGRADED, State.UNDOING):
        return State.UNDONE
    # An undo that failed, or was itself undone, has changed nothing.
    return State.DEGRADED if unwell else State.DONE


def person_named(person: str) -> str:
    """Who ran or undid it, as people read it: the scheduler's stored id would say nothing to them."""
    return "the scheduler" if person == SCHEDULER_ID else person


def describe_end(state: State, message: str) -> str:
    """The message about a run's end, with its state in front unless it is simply done."""
    return message if state is State.DONE else f"{state.capitalize()}: {message}"


def describe_run(one: RunStatus) -> str:
    """One run in a list: command, state, person, time, reason, and the next step."""
    undoes = f", undoes {one.undo_of[:8]}" if one.undo_of else ""
    who = person_named(one.by)
    head = f"{one.short_id} {one.state}: {one.command} ({who}, {one.began_at:%Y-%m-%d %H:%M} UTC{undoes})."
    return " ".join(part for part in (head, reason_of(one), next_step(one)) if part)


def count_unfinished(found: Sequence[RunStatus]) -> str:
    """How many need attention or are in progress, the worst first; "" for none."""
    counts = Counter(one.state for one in found)
    return ", ".join(f"{counts[state]} {state}" for state in (*NEEDS_ATTENTION, *_IN_PROGRESS) if counts[state])


def count_needing_attention(found: Sequence[RunStatus]) -> str:
    """How many need attention; "" for none."""
    counts = Counter(one.state for one in found if one.needs_attention)
    total = counts.total()
    if not total:
        return ""
    named = ", ".join(f"{counts[state]} {state}" for state in NEEDS_ATTENTION if counts[state])
    return f"{total} of the last {len(found)} {'needs' if total == 1 else 'need'} attention: {named}."


def reason_of(one: RunStatus) -> str:
    """The reason for its state, or its progress; "" when the state says it all."""
    if one.state is State.UNDONE and one.undone_at:
        return (
            f"Undone by {person_named(one.undone_for)} at {one.undone_at:%Y-%m-%d %H:%M} UTC, run {one.undone_by[:8]}."
        )
    if one.state is State.UNDOING:
        return f"{person_named(one.undone_for)} is undoing it, run {one.undone_by[:8]}."
    return "" if one.state is State.DONE else _short(one.reason)


def next_step(one: RunStatus) -> str:
    """What happens next, by a person or automatically."""
    return " ".join(_next(one))


def _next(one: RunStatus) -> Iterator[str]:
    target = one.target or "its target"
    if one.state is State.UNKNOWN:
        yield f"Check {target}, then record the result: `settle {one.short_id} done because <text>`, or `failed`."
        yield f"Until then no other run may change {target}."
    if one.state is State.DEGRADED:
        undo = f", or undo the run: `undo {one.short_id}`" if one.can_undo else " by hand: the run has no undo"
        yield f"Repair {target}{undo}."
    if one.state is State.DONE and one.check and one.checked_until:
        yield f"Its check runs until {one.checked_until:%H:%M} UTC: {one.check}."
    if one.state is State.DONE and one.ends_at:
        when = f"{one.ends_at:%Y-%m-%d %H:%M} UTC"
        yield f"Undone automatically at {when}, unless `keep {one.short_id}`."
    elif one.state is State.DONE and one.can_undo:
        yield f"`undo {one.short_id}` undoes it."


def _short(reason: str) -> str:
    message = " ".join(reason.split())
    return message if len(message) <= _REASON else f"{message[: _REASON - 3].rstrip()}..."
