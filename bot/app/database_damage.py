"""Tells people that the database's file is damaged, where the rest of it can still take an alert."""

from __future__ import annotations

from collections.abc import Callable

from bot.alerts import internal
from bot.alerts.answer_deadline import Done, IntakeResult
from bot.core.alert import AlertBatch
from bot.store.engine import Store

#: How often it is looked for, and tried again where it was not stored.
EVERY_S = 15


class DamageAlert:
    """`take` is the intake's. `report` is called again and again."""

    def __init__(self, store: Store, take: Callable[[AlertBatch, Done], None]) -> None:
        self._store = store
        self._take = take
        self._told = False

    def report(self) -> None:
        """Until it is stored; once in a life of this process."""
        message = self._store.damage()
        if message is not None and not self._told:
            self._take(internal.damaged(message, self._store.now()), self._hear)

    def _hear(self, taken: IntakeResult | Exception) -> None:
        self._told = isinstance(taken, IntakeResult)
