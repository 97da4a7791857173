"""Corrects deadlines that lie further ahead than they could when they were set: the clock that set them was ahead.

Each kind of deadline has a limit. A deadline beyond it is counted from now on, so that nothing waits for hours after a
clock was set back or corrected. The clock that counts is the database's, `Tx.now`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from bot.store.times import micros
from bot.store.transaction import Tx

#: Clocks of replicas, and of a database that moves to another host, may differ by this much; that is no clock step.
TOLERANCE = timedelta(seconds=5)


@dataclass(frozen=True, kw_only=True, slots=True)
class DeadlineLimits:
    """How far ahead each kind of deadline may lie at the moment when it is set."""

    send_lease: timedelta
    run_lease: timedelta
    retry: timedelta  #: when a message is tried again, and how long a provider may ask us to wait
    check: timedelta  #: when a run's check is evaluated again
    report: timedelta  #: when the report of a run's outcome, or a message to an account, is tried again
    code: timedelta  #: how long a linking code is valid
    lock: timedelta  #: how long wrong codes count
    break_glass: timedelta
    look: timedelta  #: when an incident is decided about again


#: An account that was linked after a plan or an approval must not pass for one from before it. So of rows that are
#: corrected to the same moment, links get the later time.
_BEFORE_LINKS = timedelta(microseconds=-1)
_OF_SHOWN = "handle IN (SELECT handle FROM plan WHERE state = 'shown')"

#: Durations that count from a beginning: a beginning that lies ahead is set to now, and the end moves with it.
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
    """A deadline that lies further ahead of now than `most` is set to now plus `value`."""

    called: str
    table: str
    column: str
    most: timedelta
    value: timedelta = timedelta(0)
    where: str = ""


def correct_deadlines(tx: Tx, bounds: DeadlineLimits, *, stepped: bool) -> Mapping[str, int]:
    """Correct deadlines that lie too far ahead; returns how many rows of each kind, by a name for people.

    `stepped`: the clock is known to have gone back, so rows may have waited long enough already. Messages are then
    tried again at once, also in channels whose provider asked us to wait.
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
    """By how much the newest entry of the audit log lies ahead of the clock; zero up to `TOLERANCE`.

    The bot writes an entry at each start and stop, so this detects a clock that was set back while no bot ran.
    """
    newest = tx.sql.scalar("SELECT max(at) FROM audit_entry")
    ahead = timedelta(microseconds=(newest or 0) - micros(tx.now))
    return ahead if ahead > TOLERANCE else timedelta(0)


def _kinds(bounds: DeadlineLimits, *, retry: timedelta) -> tuple[_Kind, ...]:
    begins, owed, leased = TOLERANCE, "state = 'owed'", "state = 'leased'"  # as in the indexes: no full table scan
    return (
        _Kind("places in quotas", "pace", "at", begins),
        _Kind("pauses that providers asked for", "pause", "until", retry),
        _Kind("pauses that providers asked for", "pause", "asked_until", retry),
        _Kind("channels that refuse messages", "channel_trouble", "at", begins),
        _Kind("channels that refuse messages", "channel_trouble", "try_at", retry),
        _Kind("messages to be tried again", "delivery", "not_before", retry, where=owed),
        _Kind("messages to be tried again", "delivery", "not_before", retry, where=leased),
        _Kind("messages being sent", "delivery", "lease_until", bounds.send_lease, bounds.send_lease, leased),
        _Kind("pages", "delivery", "owed_at", begins, where="kind = 'page' AND state IN ('owed', 'leased')"),
        _Kind("runs", "run", "lease_until", bounds.run_lease, bounds.run_lease, "state = 'intended'"),
        _Kind("runs", "run", "lost_at", begins, where="state = 'intended'"),
        _Kind("checks of runs", "run", "check_at", bounds.check, where="check_at IS NOT NULL"),
        _Kind("reports of runs' outcomes", "telling", "due_at", bounds.report),
        _Kind("linked accounts", "link", "at", begins),
        _Kind("plans", "plan", "at", begins, _BEFORE_LINKS, "state = 'shown'"),
        _Kind("approvals", "approval", "at", begins, _BEFORE_LINKS, _OF_SHOWN),
        _Kind("plans", "plan", "approved_at", begins, where="state = 'approved'"),
        _Kind("linking codes", "link_code", "until", bounds.code, bounds.code, "spent_at IS NULL"),
        _Kind("messages about linking codes", "link_code", "word_due_at", bounds.report),
        _Kind("messages to accounts", "notice", "due_at", bounds.report),
        _Kind("accounts locked after wrong codes", "link_try", "until", bounds.lock, bounds.lock),
        _Kind("break-glass rights", "glass", "until", bounds.break_glass, bounds.break_glass, "closed_at IS NULL"),
        _Kind("incidents to look at again", "incident", "look_at", bounds.look, where="look_at IS NOT NULL"),
        _Kind("Flagger's questions at gates", "gate_asked", "at", begins),
        _Kind(
            "alerts received as firing after their end", "alert", "doubted_at", begins, where="doubted_at IS NOT NULL"
        ),
    )
