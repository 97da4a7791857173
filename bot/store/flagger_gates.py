"""Flagger's gates: the last question at each of them, and the gates that runs have opened.

`FlaggerGates` is what other packages use; the functions are its statements.

The trap: a row remains after its time is over. A gate is open only for its revision and until its time; the row alone
does not say so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from bot.core.errors import OutcomeUnknown
from bot.core.flagger import Canary, GateCheck, GateHook, LastGateCheck, OpenedGate
from bot.store.engine import Store, Unavailable
from bot.store.sql import Sql
from bot.store.times import micros, moment
from bot.store.transaction import Tx

_KEY = ("cluster", "namespace", "name", "hook")
_ASKED = (*_KEY, "revision", "at")
_GATE = ("run", *_KEY, "revision", "opened_at", "until")
_AT = " AND ".join(f"{name} = ?" for name in _KEY)
_NEWER = f"ON CONFLICT ({', '.join(_KEY)}) DO UPDATE SET revision = excluded.revision, at = excluded.at"
_KEPT = timedelta(days=30)


def last_check(sql: Sql, canary: Canary, hook: GateHook) -> LastGateCheck | None:
    row = sql.row(f"SELECT revision, at FROM gate_asked WHERE {_AT}", *_key(canary, hook))
    return None if row is None else LastGateCheck(revision=row[0], at=moment(row[1]))


def record_check(tx: Tx, question: GateCheck) -> None:
    """Record that Flagger asked this now."""
    row = (*_key(question.canary, question.hook), question.revision, micros(tx.now))
    tx.sql.insert("gate_asked", _ASKED, [row], _NEWER)


def open_gate(tx: Tx, question: GateCheck, *, run: str, until: datetime) -> None:
    key = _key(question.canary, question.hook)
    tx.sql.insert("gate", _GATE, [(run, *key, question.revision, micros(tx.now), micros(until))])


def gate_of_run(sql: Sql, run: str) -> OpenedGate | None:
    row = sql.row("SELECT until, passed_at, closed_at FROM gate WHERE run = ?", run)
    if row is None:
        return None
    return OpenedGate(until=moment(row[0]), passed=row[1] is not None, closed=row[2] is not None)


def run_that_opened(sql: Sql, question: GateCheck, now: datetime) -> str:
    """The run that has opened the gate for this revision; "" where the gate is closed."""
    where = f"{_AT} AND revision = ? AND closed_at IS NULL AND until > ?"
    values = (*_key(question.canary, question.hook), question.revision, micros(now))
    found: str | None = sql.scalar(f"SELECT run FROM gate WHERE {where} ORDER BY until DESC LIMIT 1", *values)
    return found or ""


def mark_passed(tx: Tx, run: str) -> None:
    tx.sql.run("UPDATE gate SET passed_at = ? WHERE run = ? AND passed_at IS NULL", micros(tx.now), run)


def close_gate(tx: Tx, run: str) -> None:
    tx.sql.run("UPDATE gate SET closed_at = ? WHERE run = ? AND closed_at IS NULL", micros(tx.now), run)


def delete_old(tx: Tx) -> None:
    """Delete questions of canaries that are gone, and gates of runs that ended long ago."""
    before = micros(tx.now - _KEPT)
    tx.sql.run("DELETE FROM gate_asked WHERE at < ?", before)
    tx.sql.run("DELETE FROM gate WHERE until < ?", before)


def _key(canary: Canary, hook: GateHook) -> tuple[str, str, str, str]:
    return canary.cluster, canary.namespace, canary.name, str(hook)


class FlaggerGates:
    """Safe to use from many threads. `still_allowed`: whether the approvals of the run with that id still count."""

    def __init__(self, store: Store, still_allowed: Callable[[Tx, str], bool] = lambda _tx, _run: True) -> None:
        self._store = store
        self._still_allowed = still_allowed

    def answer(self, question: GateCheck) -> bool:
        """Whether Flagger may proceed. Raises `Unavailable`, which the caller has to treat as a no."""
        with self._store.begin() as tx:
            record_check(tx, question)
            run = run_that_opened(tx.sql, question, tx.now)
            if run and not self._still_allowed(tx, run):
                close_gate(tx, run)
                return False
            if run:
                mark_passed(tx, run)
        return bool(run)

    def last_check(self, canary: Canary, hook: GateHook) -> LastGateCheck | None:
        with self._store.read() as reading:
            return last_check(reading.sql, canary, hook)

    def open(self, question: GateCheck, *, run: str, lasts: timedelta) -> bool:
        with self._stored() as tx:
            delete_old(tx)
            last = last_check(tx.sql, question.canary, question.hook)
            still = last is not None and last.revision == question.revision
            if still:
                open_gate(tx, question, run=run, until=tx.now + lasts)
        return still

    def opened(self, run: str) -> OpenedGate | None:
        with self._store.read() as reading:
            return gate_of_run(reading.sql, run)

    def close(self, run: str) -> bool:
        with self._stored() as tx:
            close_gate(tx, run)
            found = gate_of_run(tx.sql, run)
        return found is not None and found.passed

    @contextmanager
    def _stored(self) -> Iterator[Tx]:
        try:
            with self._store.begin() as tx:
                yield tx
        except Unavailable as trouble:
            raise OutcomeUnknown(f"The database failed ({trouble}), so the gate may be unchanged.") from None
