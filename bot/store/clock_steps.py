"""Deadlines in rows that lie further ahead than they ever could when they were set: the clock that set them was ahead.

Each kind of deadline has a bound. What lies beyond it is counted from now, so that a clock that was put back, or put
right, makes nothing wait for an hour that comes twice. The clock that counts is the database's, `Tx.now`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from bot.store.times import micros
from bot.store.transaction import Tx

#: Clocks of replicas and of a database that moves to another host may lie so far apart: that is no step.
TOLERANCE = timedelta(seconds=5)


@dataclass(frozen=True, kw_only=True, slots=True)
class DeadlineLimits:
    """How far ahead each kind of deadline may lie at the moment when it is set."""

    send_lease: timedelta
    run_lease: timedelta
    retry: timedelta  #: when a message is tried again, and how long a provider may ask for quiet
    check: timedelta  #: when a run's check is asked again
    report: timedelta  #: when the end of a run, or of a linking code, is told again
    code: timedelta  #: how long a linking code counts
    lock: timedelta  #: how long wrong codes count
    break_glass: timedelta


#: An account that was linked after a plan, or after a yes, must not pass for one from before it: of what is pulled back
#: to one moment, links are the later.
_BEFORE_LINKS = timedelta(microseconds=-1)
_OF_SHOWN = "handle IN (SELECT handle FROM plan WHERE state = 'shown')"

#: What lasts so long from its beginning: where that lies ahead, it is taken to begin now.
_FROM_THEIR_BEGINNING = {
    "runs": (
        "UPDATE run SET watch_until = watch_until - began_at + ?, began_at = ?"
        " WHERE state = 'intended' AND began_at > ?"
    ),
    "timed undos and checks of runs": (
        "UPDATE run SET revert_at = revert_at - ended_at + ?, check_until = check_until - ended_at + ?, ended_at = ?"
        " WHERE (revert_at IS NOT NULL OR check_at IS NOT NULL) AND ended_at > ?"
    ),
    "open gates": (
        "UPDATE gate SET until = until - opened_at + ?, opened_at = ? WHERE closed_at IS NULL AND opened_at > ?"
    ),
}


@dataclass(frozen=True, slots=True)
class _Kind:
    """`value` is what a row beyond `most` gets: so far ahead of now."""

    called: str
    table: str
    column: str
    most: timedelta
    value: timedelta = timedelta(0)
    where: str = ""


def correct_deadlines(tx: Tx, bounds: DeadlineLimits, *, stepped: bool) -> Mapping[str, int]:
    """Put right what lies too far ahead; returns how many rows of each kind, by what people call it.

    `stepped`: the clock is known to have gone back, so what waits for its time may have waited long enough already.
    A message is tried at once then, and a provider is asked anew whether it still wants quiet.
    """
    found: dict[str, int] = {}
    for kind in _kinds(bounds, retry=timedelta(0) if stepped else bounds.retry):
        where = f"{kind.where} AND " if kind.where else ""
        count = tx.sql.run(
            f"UPDATE {kind.table} SET {kind.column} = ? WHERE {where}{kind.column} > ?",
            micros(tx.now + kind.value),
            micros(tx.now + kind.most),
        )
        if count:
            found[kind.called] = found.get(kind.called, 0) + count
    for called, statement in _FROM_THEIR_BEGINNING.items():
        count = tx.sql.run(statement, *[micros(tx.now)] * (statement.count("?") - 1), micros(tx.now + TOLERANCE))
        if count:
            found[called] = found.get(called, 0) + count
    return found


def written_ahead(tx: Tx) -> timedelta:
    """By how much the newest entry of the audit log lies ahead; zero where it does not, or by less than `TOLERANCE`.

    The bot writes an entry at each start and stop, so this tells of a clock that was put back while no bot ran.
    """
    newest = tx.sql.scalar("SELECT max(at) FROM audit_entry")
    ahead = timedelta(microseconds=(newest or 0) - micros(tx.now))
    return ahead if ahead > TOLERANCE else timedelta(0)


def _kinds(bounds: DeadlineLimits, *, retry: timedelta) -> tuple[_Kind, ...]:
    begins, owed, leased = TOLERANCE, "state = 'owed'", "state = 'leased'"  # as in the indices: no table is read whole
    return (
        _Kind("places in quotas", "pace", "at", begins),
        _Kind("pauses that providers asked for", "pause", "until", retry),
        _Kind("messages to be tried again", "delivery", "not_before", retry, where=owed),
        _Kind("messages to be tried again", "delivery", "not_before", retry, where=leased),
        _Kind("messages being sent", "delivery", "lease_until", bounds.send_lease, bounds.send_lease, leased),
        _Kind("pages", "delivery", "owed_at", begins, where="kind = 'page' AND state IN ('owed', 'leased')"),
        _Kind("runs", "run", "lease_until", bounds.run_lease, bounds.run_lease, "state = 'intended'"),
        _Kind("runs", "run", "lost_at", begins, where="state = 'intended'"),
        _Kind("checks of runs", "run", "check_at", bounds.check, where="check_at IS NOT NULL"),
        _Kind("ends of runs to be told", "telling", "due_at", bounds.report),
        _Kind("linked accounts", "link", "at", begins),
        _Kind("plans", "plan", "at", begins, _BEFORE_LINKS, "state = 'shown'"),
        _Kind("approvals", "approval", "at", begins, _BEFORE_LINKS, _OF_SHOWN),
        _Kind("plans", "plan", "approved_at", begins, where="state = 'approved'"),
        _Kind("linking codes", "link_code", "until", bounds.code, bounds.code, "spent_at IS NULL"),
        _Kind("linking codes to be told of", "link_code", "word_due_at", bounds.report),
        _Kind("accounts to be told", "notice", "due_at", bounds.report),
        _Kind("accounts locked after wrong codes", "link_try", "until", bounds.lock, bounds.lock),
        _Kind("break-glass rights", "glass", "until", bounds.break_glass, bounds.break_glass, "closed_at IS NULL"),
        _Kind("questions at gates", "gate_asked", "at", begins),
        _Kind("alerts heard firing after their end", "alert", "doubted_at", begins, where="doubted_at IS NOT NULL"),
    )
