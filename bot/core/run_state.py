"""How a run stands, in the one word that people see everywhere: chats, board, API, story, metrics. Pure.

The trap: the row of a run says how it ended, once. What became of it after that is in other rows (the runs that undo
it), or was found out later (it does not hold), so no other place may make a word of that row's state.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

#: So much of a reason is told in a list; the whole of it is in the story and in the audit log.
_REASON = 280


class State(StrEnum):
    """A word once published is never changed."""

    RUNNING = "running"
    DONE = "done"
    DEGRADED = "done but not well"  #: it was done, and what it was done to does not hold, or is not known to
    FAILED = "failed"  #: nothing was changed
    UNKNOWN = "unknown"  #: nobody knows whether it was done
    UNDOING = "undoing"  #: it was done, and a run that undoes it is going on
    UNDONE = "undone"


#: In these somebody has to do something; the worst first.
NEEDS_ATTENTION = (State.UNKNOWN, State.DEGRADED)
_GOING_ON = (State.RUNNING, State.UNDOING)


@dataclass(frozen=True, kw_only=True, slots=True)
class RunStatus:
    """One run as it stands, for people."""

    run: str  #: its id; the first few characters are enough to type
    command: str
    by: str
    target: str
    state: State
    reason: str  #: its reason, or how it goes; a sentence
    began_at: datetime
    ended_at: datetime | None = None
    incident_id: int | None = None
    undo_of: str = ""  #: the run that this one undoes
    undone_by: str = ""  #: the run that undoes, or has undone, this one; "" for none
    undone_for: str = ""  #: who asked for that
    undone_at: datetime | None = None
    can_undo: bool = False
    ends_at: datetime | None = None  #: when it is undone by itself
    check: str = ""  #: what is held to be true after it
    checked_until: datetime | None = None

    @property
    def short_id(self) -> str:
        return self.run[:8]

    @property
    def needs_attention(self) -> bool:
        return self.state in NEEDS_ATTENTION

    @property
    def in_progress(self) -> bool:
        return self.state in _GOING_ON


def run_state(stored: str, *, unwell: str = "", undo: State | None = None) -> State:
    """The word for a run whose row says `stored`: intended, done, failed or unknown.

    Args:
        unwell: why what was done does not hold.
        undo: how the run stands that undoes this one; None where there is none.
    """
    if stored == "intended":
        return State.RUNNING
    if stored != "done":
        return State(stored)
    if undo is State.RUNNING:
        return State.UNDOING
    if undo in (State.DONE, State.DEGRADED, State.UNDOING):
        return State.UNDONE
    return State.DEGRADED if unwell else State.DONE  # An undo that failed, or was itself undone, has changed nothing.


def describe_end(state: State, message: str) -> str:
    """What is said of a run's end, with its word in front; what is plainly done says so itself."""
    return message if state is State.DONE else f"{state.capitalize()}: {message}"


def describe_run(one: RunStatus) -> str:
    """One run in a list: what, how it stands, who, when, why, and what comes next."""
    undoes = f", undoes {one.undo_of[:8]}" if one.undo_of else ""
    head = f"{one.short_id} {one.state}: {one.command} ({one.by}, {one.began_at:%Y-%m-%d %H:%M} UTC{undoes})."
    return " ".join(part for part in (head, reason_of(one), next_step(one)) if part)


def count_unfinished(found: Sequence[RunStatus]) -> str:
    """How many of them need somebody or go on, the worst first; "" where none does."""
    counts = Counter(one.state for one in found)
    return ", ".join(f"{counts[state]} {state}" for state in (*NEEDS_ATTENTION, *_GOING_ON) if counts[state])


def count_needing_attention(found: Sequence[RunStatus]) -> str:
    """How many of them need somebody; "" where none does."""
    counts = Counter(one.state for one in found if one.needs_attention)
    total = counts.total()
    if not total:
        return ""
    named = ", ".join(f"{counts[state]} {state}" for state in NEEDS_ATTENTION if counts[state])
    return f"{total} of the last {len(found)} {'needs' if total == 1 else 'need'} somebody: {named}."


def reason_of(one: RunStatus) -> str:
    """Why it stands so, or how it goes; "" where the word says it all."""
    if one.state is State.UNDONE and one.undone_at:
        return f"Undone by {one.undone_for} at {one.undone_at:%Y-%m-%d %H:%M} UTC, run {one.undone_by[:8]}."
    if one.state is State.UNDOING:
        return f"{one.undone_for} undoes it, run {one.undone_by[:8]}."
    return "" if one.state is State.DONE else _short(one.reason)


def next_step(one: RunStatus) -> str:
    """What comes next, by a person or by time."""
    return " ".join(_next(one))


def _next(one: RunStatus) -> Iterator[str]:
    what = one.target or "what it was to change"
    if one.state is State.UNKNOWN:
        yield f"Look at {what}, then say how it ended: `settle {one.short_id} done because <text>`, or `failed`."
        yield f"Until then no other run may touch {what}."
    if one.state is State.DEGRADED:
        back = f"go back: `undo {one.short_id}`" if one.can_undo else "go back by hand: it knows no way back"
        yield f"Mend {what}, or {back}."
    if one.state is State.DONE and one.check and one.checked_until:
        yield f"Its check is held until {one.checked_until:%H:%M} UTC: {one.check}."
    if one.state is State.DONE and one.ends_at:
        yield f"Undone by itself at {one.ends_at:%Y-%m-%d %H:%M} UTC, unless `keep {one.short_id}`."
    elif one.state is State.DONE and one.can_undo:
        yield f"`undo {one.short_id}` undoes it."


def _short(reason: str) -> str:
    message = " ".join(reason.split())
    return message if len(message) <= _REASON else f"{message[: _REASON - 3].rstrip()}..."
