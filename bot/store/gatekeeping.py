"""Flagger's gates as they are stored: opened by runs, asked at by Flagger. Implements `canaries.Gates`.

The promise: a yes is said only of a gate that a committed run has opened for that very revision, while whoever asked
for that run and approved it still may, and not before it is stored that it was said. So a restart forgets no approval,
and who looks at a run afterwards knows what came of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from bot.core.errors import OutcomeUnknown
from bot.core.flagger import Canary, GateCheck, GateHook, LastGateCheck, OpenedGate
from bot.store import flagger_gates
from bot.store.engine import Store, Unavailable
from bot.store.transaction import Tx


class FlaggerGates:
    """Used from many threads. `still_allowed`: whether what that run (its id) was approved by still counts."""

    def __init__(self, store: Store, still_allowed: Callable[[Tx, str], bool] = lambda _tx, _run: True) -> None:
        self._store = store
        self._stands = still_allowed

    def answer(self, question: GateCheck) -> bool:
        """Whether Flagger may go on. Raises `Unavailable`: that is to be a no."""
        with self._store.begin() as tx:
            flagger_gates.record_check(tx, question)
            run = flagger_gates.run_that_opened(tx.sql, question, tx.now)
            if run and not self._stands(tx, run):
                flagger_gates.close_gate(tx, run)
                return False
            if run:
                flagger_gates.mark_passed(tx, run)
        return bool(run)

    def last_check(self, canary: Canary, hook: GateHook) -> LastGateCheck | None:
        with self._store.read() as reading:
            return flagger_gates.last_check(reading.sql, canary, hook)

    def open(self, question: GateCheck, *, run: str, lasts: timedelta) -> bool:
        with self._stored() as tx:
            flagger_gates.delete_old(tx)
            last = flagger_gates.last_check(tx.sql, question.canary, question.hook)
            still = last is not None and last.revision == question.revision
            if still:
                flagger_gates.open_gate(tx, question, run=run, until=tx.now + lasts)
        return still

    def opened(self, run: str) -> OpenedGate | None:
        with self._store.read() as reading:
            return flagger_gates.gate_of_run(reading.sql, run)

    def close(self, run: str) -> bool:
        with self._stored() as tx:
            flagger_gates.close_gate(tx, run)
            found = flagger_gates.gate_of_run(tx.sql, run)
        return found is not None and found.passed

    @contextmanager
    def _stored(self) -> Iterator[Tx]:
        try:
            with self._store.begin() as tx:
                yield tx
        except Unavailable as trouble:
            raise OutcomeUnknown(f"The database did not take it ({trouble}).") from None
