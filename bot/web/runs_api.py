"""Runs of actions as the API shows them, each with the one-word state of `bot.core.run_state`."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel

from bot.core import run_state
from bot.core.run_state import RunStatus, State
from bot.store import run_states
from bot.store.views import Reader

#: Runs in one answer.
MOST_RUNS = 50


class RunOut(BaseModel):
    """One run of an action. `why`: the reason for its state; `todo`: what happens next, or what a person must do."""

    id: str
    words: str
    by: str
    target: str
    state: State
    why: str
    todo: str
    began_at: datetime
    ended_at: datetime | None
    incident_id: int | None
    undoes: str | None
    undone_by: str | None
    undone_at: datetime | None


class RunsOut(BaseModel):
    """The last runs, newest first."""

    runs: list[RunOut]


def last_runs(seen: Reader, limit: int) -> bytes:
    return RunsOut(runs=[run_out(one) for one in run_states.last(seen.sql, limit)]).model_dump_json().encode()


def run_out(one: RunStatus) -> RunOut:
    return RunOut(
        id=one.run,
        words=one.command,
        by=one.by,
        target=one.target,
        state=one.state,
        why=run_state.reason_of(one),
        todo=run_state.next_step(one),
        began_at=one.began_at,
        ended_at=one.ended_at,
        incident_id=one.incident_id,
        undoes=one.undo_of or None,
        undone_by=one.undone_by or None,
        undone_at=one.undone_at,
    )
