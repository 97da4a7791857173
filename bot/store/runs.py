"""Runs of actions and the targets that they hold, in one write transaction: a target has one run at a time.

The trap: the process of a run may have been frozen. Each target has a fencing token, which increases with every run
that holds it; the outcome that a run reports counts only while its token is still the target's.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from bot.core.plan import Outcome, Proposal, Result
from bot.store.plans import find_plans
from bot.store.sql import Row, Sql
from bot.store.times import micros, micros_or_none, moment, moment_or_none
from bot.store.transaction import Tx

_RUN = (
    "id", "handle", '"by"', "target", "state", "token", "lease_until", "began_at", "ended_at", "said", "undo",
    '"left"', "revert_at", "check_at", "check_until",
    "rule", "glass", "unwell", "noted", "watch_until", "watches", "lost_at",
)  # fmt: skip
#: Columns that have other names than the fields of `Run`.
_FIELDS = {
    "said": "message",
    "left": "expected_state",
    "unwell": "degraded",
    "glass": "break_glass_id",
    "noted": "notes",
}
_SELECT_RUN = f"SELECT {', '.join(f'r.{name}' for name in _RUN)} FROM run AS r"
INTENDED = "intended"


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """One run of an action and its current state."""

    id: str
    handle: str
    by: str
    target: str
    state: str  #: intended, done, failed or unknown
    token: int
    lease_until: datetime
    began_at: datetime
    ended_at: datetime | None = None
    message: str = ""
    undo: str = ""
    expected_state: Mapping[str, str]
    revert_at: datetime | None = None  #: when it is undone automatically
    check_at: datetime | None = None  #: when its check is evaluated next
    check_until: datetime | None = None
    rule: str = ""  #: the rule that allowed it, as in the audit log
    break_glass_id: int | None = None  #: the use of break glass under which it ran
    degraded: str = ""  #: why its effect is degraded, a sentence; "" while nothing is known to be wrong
    notes: Mapping[str, str] = field(default_factory=dict)  #: state of the wait for its effect; empty once it has ended
    watch_until: datetime | None = None  #: until when its effect is waited for
    watches: int = 0  #: how often that wait was begun
    lost_at: datetime | None = None  #: when its process was first found to have missed its lease


def acquire(tx: Tx, target: str, run: str, lease: timedelta) -> int | None:
    """Lock the target for that run; returns the token, or None while another run holds the target."""
    token: int | None = tx.sql.scalar(
        "INSERT INTO hold (target, run, token, until) VALUES (?, ?, 1, ?)"
        " ON CONFLICT (target) DO UPDATE SET run = excluded.run, token = hold.token + 1, until = excluded.until"
        " WHERE hold.run = '' RETURNING token",
        target,
        run,
        micros(tx.now + lease),
    )
    return token


def holder(sql: Sql, target: str) -> Run | None:
    """The run that holds the target now."""
    row = sql.row(f"{_SELECT_RUN} JOIN hold AS h ON h.run = r.id WHERE h.target = ?", target)
    return None if row is None else _run(row)


def put_run(tx: Tx, run: Run) -> None:
    row = (
        run.id, run.handle, run.by, run.target, run.state, run.token, micros(run.lease_until), micros(run.began_at),
        micros_or_none(run.ended_at), run.message, run.undo, json.dumps(dict(run.expected_state)),
        micros_or_none(run.revert_at),
        micros_or_none(run.check_at), micros_or_none(run.check_until), run.rule, run.break_glass_id,
        run.degraded, json.dumps(dict(run.notes)), micros_or_none(run.watch_until), run.watches, None,
    )  # fmt: skip
    tx.sql.insert("run", _RUN, [row])


def renew(tx: Tx, run: Run, lease: timedelta) -> bool:
    """Extend the lease to that long from now. False: another process has taken the run over; nothing was changed."""
    until = micros(tx.now + lease)
    renewed = tx.sql.run(
        "UPDATE run SET lease_until = ? WHERE id = ? AND token = ? AND state = 'intended'", until, run.id, run.token
    )
    if renewed:
        tx.sql.run("UPDATE hold SET until = ? WHERE run = ?", until, run.id)
    return renewed == 1


def report_progress(tx: Tx, run: Run, message: str, lease: timedelta) -> bool:
    """Store its progress and renew its lease. False: another process has taken it over, or it has ended."""
    if not renew(tx, run, lease):
        return False
    tx.sql.run("UPDATE run SET said = ? WHERE id = ?", message, run.id)
    return True


def save_notes(tx: Tx, run: Run, notes: Mapping[str, str]) -> bool:
    """Store what the wait for its effect needs. False: another process has taken it over; nothing was changed."""
    kept = tx.sql.run(
        "UPDATE run SET noted = ? WHERE id = ? AND token = ? AND state = 'intended'",
        json.dumps(dict(notes)),
        run.id,
        run.token,
    )
    return kept == 1


def begin_watch(tx: Tx, run: Run, until: datetime) -> Run:
    """The wait for its effect begins. The first one decides until when: `Run.watch_until` of the run returned."""
    tx.sql.run(
        "UPDATE run SET watch_until = COALESCE(watch_until, ?), watches = watches + 1"
        " WHERE id = ? AND token = ? AND state = 'intended'",
        micros(until),
        run.id,
        run.token,
    )
    return get_run(tx.sql, run.id)


def end(tx: Tx, run: Run, outcome: Outcome, *, revert_at: datetime | None, check_until: datetime | None) -> bool:
    """Store its outcome and release its target. False: another process has taken it over; nothing was changed.

    The target of a run that ended unknown stays held.
    """
    ended = tx.sql.run(
        "UPDATE run SET state = ?, ended_at = ?, said = ?, unwell = ?, undo = ?, noted = '{}',"
        ' "left" = ?, revert_at = ?, check_at = ?, check_until = ?'
        " WHERE id = ? AND token = ? AND state = 'intended'",
        str(outcome.result),
        micros(tx.now),
        outcome.message,
        outcome.degraded,
        outcome.undo_command,
        json.dumps(dict(outcome.expected_state)),
        micros_or_none(revert_at),
        None if check_until is None else micros(tx.now),
        micros_or_none(check_until),
        run.id,
        run.token,
    )
    if ended and outcome.result is not Result.UNKNOWN:
        release(tx, run)
    return ended == 1


def settle(tx: Tx, run: Run, ended: Result, message: str) -> bool:
    """Store how an unknown run ended, as a person has said. False: it is not unknown any more."""
    settled = tx.sql.run(
        "UPDATE run SET state = ?, said = ? WHERE id = ? AND state = 'unknown'", str(ended), message, run.id
    )
    if settled:
        release(tx, run)
    return settled == 1


def mark_lost(tx: Tx, run: Run, late: Outcome) -> bool:
    """A run that was stored as failed may have had its effect: it is unknown, and holds its target unless another does.

    False: it was not stored as failed; nothing was changed.
    """
    doubted = tx.sql.run(
        "UPDATE run SET state = 'unknown', said = ?, undo = ?, \"left\" = ? WHERE id = ? AND state = 'failed'",
        late.message,
        late.undo_command,
        json.dumps(dict(late.expected_state)),
        run.id,
    )
    if doubted:
        tx.sql.run("UPDATE hold SET run = ? WHERE target = ? AND run = ''", run.id, run.target)
    return doubted == 1


def release(tx: Tx, run: Run) -> None:
    """Release its target. The trap: not for an unknown run; its target stays held until a person has settled it."""
    tx.sql.run("UPDATE hold SET run = '' WHERE target = ? AND run = ?", run.target, run.id)


def take_over_abandoned(tx: Tx, *, lease: timedelta, exclude: Collection[str] = ()) -> list[Run]:
    """Take over runs whose lease has run out, with a higher token. They are probed read-only, never repeated.

    `exclude`: ids of the runs that go on in this process, although it did not renew their lease.
    """
    rows = tx.sql.rows(f"{_SELECT_RUN} WHERE r.state = 'intended' AND r.lease_until < ? LIMIT 40", micros(tx.now))
    found = [run for run in map(_run, rows) if run.id not in exclude]
    return [_taken_over(tx, run, lease) for run in found[:20]]


def _taken_over(tx: Tx, run: Run, lease: timedelta) -> Run:
    until = tx.now + lease
    tx.sql.run("UPDATE hold SET token = token + 1, until = ? WHERE run = ?", micros(until), run.id)
    tx.sql.run(
        "UPDATE run SET token = token + 1, lease_until = ?, lost_at = COALESCE(lost_at, ?) WHERE id = ? AND token = ?",
        micros(until),
        micros(tx.now),
        run.id,
        run.token,
    )
    return get_run(tx.sql, run.id)


def get_run(sql: Sql, run_id: str) -> Run:
    row = sql.row(f"{_SELECT_RUN} WHERE r.id = ?", run_id)
    assert row is not None, "a run is never deleted"
    return _run(row)


def find_runs(sql: Sql, run_id: str) -> list[Run]:
    """The runs whose id begins so, at most two."""
    rows = sql.rows(f"{_SELECT_RUN} WHERE r.id >= ? AND r.id < ? ORDER BY r.id LIMIT 2", run_id, run_id + "g")
    return [_run(row) for row in rows]


def runs(sql: Sql, limit: int) -> list[Run]:
    """Newest first."""
    return [_run(row) for row in sql.rows(f"{_SELECT_RUN} ORDER BY r.began_at DESC, r.id LIMIT ?", limit)]


def runs_where(sql: Sql, where: str, *values: object, limit: int) -> list[Run]:
    """The runs for which the condition `where` holds, newest first; in it `r` is the run, `p` the plan."""
    join = "JOIN plan AS p ON p.handle = r.handle"
    rows = sql.rows(f"{_SELECT_RUN} {join} WHERE {where} ORDER BY r.began_at DESC, r.id LIMIT ?", *values, limit)
    return [_run(row) for row in rows]


def mark_degraded(tx: Tx, run: Run, reason: str) -> bool:
    """The effect of a run that is done turned out to be degraded. False: it is not done, or was degraded before."""
    marked = tx.sql.run("UPDATE run SET unwell = ? WHERE id = ? AND state = 'done' AND unwell = ''", reason, run.id)
    return marked == 1


def due_to_revert(tx: Tx) -> list[Run]:
    return [
        _run(r)
        for r in tx.sql.rows(f"{_SELECT_RUN} WHERE r.revert_at IS NOT NULL AND r.revert_at <= ?", micros(tx.now))
    ]


def due_to_check(tx: Tx) -> list[Run]:
    return [
        _run(r) for r in tx.sql.rows(f"{_SELECT_RUN} WHERE r.check_at IS NOT NULL AND r.check_at <= ?", micros(tx.now))
    ]


def claim_due(tx: Tx, run: Run) -> bool:
    """Whether it is still due to be undone automatically, or to be checked. `run`: as it was read when it was due.

    The trap: its check may be due as well. That a person has kept it meanwhile shows only in its `revert_at`, which is
    gone.
    """
    now = get_run(tx.sql, run.id)
    was_kept = run.revert_at is not None and now.revert_at is None
    return not was_kept and any(at is not None and at <= tx.now for at in (now.revert_at, now.check_at))


def cancel_revert(tx: Tx, run: Run) -> bool:
    """It is not undone automatically any more. False: that was not planned, or it has happened."""
    return tx.sql.run("UPDATE run SET revert_at = NULL WHERE id = ? AND revert_at IS NOT NULL", run.id) == 1


def clear_deadlines(tx: Tx, run: Run) -> None:
    """It is neither undone automatically nor checked any more."""
    tx.sql.run("UPDATE run SET revert_at = NULL, check_at = NULL WHERE id = ?", run.id)


def undone_by(sql: Sql, run: Run) -> Run | None:
    """The last run that undoes this one; a failed one only where there is no other."""
    row = sql.row(
        f"{_SELECT_RUN} JOIN plan AS p ON p.handle = r.handle WHERE p.undoes = ?"
        " ORDER BY CASE WHEN r.state = 'failed' THEN 1 ELSE 0 END, r.began_at DESC, r.id LIMIT 1",
        run.id,
    )
    return None if row is None else _run(row)


def count_undo_runs(sql: Sql, run: Run) -> int:
    """How many runs there were that undo this one, failed ones included."""
    count: int = sql.scalar(
        "SELECT count(*) FROM run AS r JOIN plan AS p ON p.handle = r.handle WHERE p.undoes = ?", run.id
    )
    return count


def set_next_check(tx: Tx, run: Run, at: datetime | None) -> None:
    """`at`: None ends the checks."""
    tx.sql.run("UPDATE run SET check_at = ? WHERE id = ?", micros_or_none(at), run.id)


def _run(row: Row) -> Run:
    values = dict(zip((name.strip('"') for name in _RUN), row, strict=True))
    for column, name in _FIELDS.items():
        values[name] = values.pop(column)
    values["expected_state"] = json.loads(values["expected_state"])
    values["notes"] = json.loads(values["notes"])
    for name in ("lease_until", "began_at"):
        values[name] = moment(values[name])
    for name in ("ended_at", "revert_at", "check_at", "check_until", "watch_until", "lost_at"):
        values[name] = moment_or_none(values[name])
    return Run(**values)


def plan_of_run(sql: Sql, run: Run) -> Proposal:
    (found,) = find_plans(sql, run.handle)
    return found
