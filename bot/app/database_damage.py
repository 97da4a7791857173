"""Raises an alert when the SQLite file is damaged, if the database can still store one."""

from __future__ import annotations

from collections.abc import Callable

from bot.alerts import internal
from bot.alerts.answer_deadline import Done, IntakeResult
from bot.core.alert import AlertBatch
from bot.store.engine import Store

#: How often damage is looked for, and the alert tried again until it is stored.
EVERY_S = 15


class DamageAlert:
    """`take`: `Intake.take`. Call `report` periodically."""

    def __init__(self, store: Store, take: Callable[[AlertBatch, Done], None]) -> None:
        self._store = store
        self._take = take
        self._stored = False

    def report(self) -> None:
        """Raise the alert, unless it is stored already; once per process."""
        message = self._store.damage()
        if message is not None and not self._stored:
            self._take(internal.damaged(message, self._store.now()), self._on_taken)

    def _on_taken(self, taken: IntakeResult | Exception) -> None:
        self._stored = isinstance(taken, IntakeResult)
