"""Runs as they stand for people: each row with what undid it, asked at together and judged by `states`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from bot.core.run_state import RunStatus, State, run_state
from bot.store import runs
from bot.store.runs import Run
from bot.store.sql import Sql
from bot.store.times import micros

#: An undo of an undo of an undo: nobody goes on for longer.
_DEPTH = 20


def of_run(sql: Sql, run: Run) -> RunStatus:
    proposal = runs.plan_of_run(sql, run)
    undo = runs.undone_by(sql, run)
    state = _state(run, None if undo is None else state_now(sql, undo))
    undone = state in (State.UNDONE, State.UNDOING) and undo is not None
    made = RunStatus(
        run=run.id,
        command=proposal.command,
        by=run.by,
        target=run.target,
        state=state,
        reason=run.degraded if state is State.DEGRADED else run.message,
        began_at=run.began_at,
        ended_at=run.ended_at,
        incident_id=proposal.incident_id,
        undo_of=proposal.undo_of,
        can_undo=bool(run.undo) and state in (State.DONE, State.DEGRADED),
        ends_at=None if undone else run.revert_at,
        check=proposal.plan.check if run.check_at else "",
        checked_until=run.check_until if run.check_at else None,
    )
    if undo is None or not undone:
        return made
    return replace(made, undone_by=undo.id, undone_for=undo.by, undone_at=undo.ended_at)


def state_now(sql: Sql, run: Run, depth: int = _DEPTH) -> State:
    undo = runs.undone_by(sql, run) if depth else None
    return _state(run, None if undo is None else state_now(sql, undo, depth - 1))


def last(sql: Sql, limit: int) -> Sequence[RunStatus]:
    """Newest first."""
    return [of_run(sql, run) for run in runs.runs(sql, limit)]


def about(sql: Sql, incident_id: int, limit: int) -> Sequence[RunStatus]:
    """Those that were asked for on that incident, newest first."""
    found = runs.runs_where(sql, "p.incident_id = ?", incident_id, limit=limit)
    return [of_run(sql, run) for run in found]


def unsettled(sql: Sql, person: str, since: datetime, limit: int) -> Sequence[RunStatus]:
    """Those of that person, begun since then, that go on or that somebody has to do something about; newest first."""
    found = runs.runs_where(sql, 'r."by" = ? AND r.began_at > ?', person, micros(since), limit=limit)
    standing = [of_run(sql, run) for run in found]
    return [one for one in standing if one.in_progress or one.needs_attention]


def _state(run: Run, undo: State | None) -> State:
    return run_state(run.state, unwell=run.degraded, undo=undo)
