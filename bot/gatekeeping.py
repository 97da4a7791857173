"""Flagger's gates as they are stored: opened by runs, asked at by Flagger. Implements `canaries.Gates`.

The promise: a yes is said only of a gate that a committed run has opened for that very revision, while whoever asked
for that run and approved it still may, and not before it is stored that it was said. So a restart forgets no approval,
and who looks at a run afterwards knows what came of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from bot.acting import Unsure
from bot.canaries import Asked, Canary, Hook, Opened, Question
from bot.store import gates
from bot.store.engine import Store, Unavailable
from bot.store.tx import Tx


class Gatekeeper:
    """Used from many threads. `stands`: whether what that run (its id) was approved by still counts."""

    def __init__(self, store: Store, stands: Callable[[Tx, str], bool] = lambda _tx, _run: True) -> None:
        self._store = store
        self._stands = stands

    def answer(self, question: Question) -> bool:
        """Whether Flagger may go on. Raises `Unavailable`: that is to be a no."""
        with self._store.begin() as tx:
            gates.hear(tx, question)
            run = gates.open_for(tx.sql, question, tx.now)
            if run and not self._stands(tx, run):
                gates.close(tx, run)
                return False
            if run:
                gates.let_through(tx, run)
        return bool(run)

    def asked(self, canary: Canary, hook: Hook) -> Asked | None:
        with self._store.read() as reading:
            return gates.asked(reading.sql, canary, hook)

    def open(self, question: Question, *, run: str, lasts: timedelta) -> bool:
        with self._stored() as tx:
            gates.forget(tx)
            last = gates.asked(tx.sql, question.canary, question.hook)
            still = last is not None and last.revision == question.revision
            if still:
                gates.open_one(tx, question, run=run, until=tx.now + lasts)
        return still

    def opened(self, run: str) -> Opened | None:
        with self._store.read() as reading:
            return gates.opened(reading.sql, run)

    def close(self, run: str) -> bool:
        with self._stored() as tx:
            gates.close(tx, run)
            found = gates.opened(tx.sql, run)
        return found is not None and found.passed

    @contextmanager
    def _stored(self) -> Iterator[Tx]:
        try:
            with self._store.begin() as tx:
                yield tx
        except Unavailable as trouble:
            raise Unsure(f"The database did not take it ({trouble}).") from None
