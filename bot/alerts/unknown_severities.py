"""Severities of alerts that no rule knows: counted, and told once a day in an incident that pages nobody.

Such an alert is treated as the settings say (`sources.alertmanager.unknown_severity`), and somebody should say what the
word means. The trap: the words come from senders, so only a few are kept, and none becomes the label of a metric.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime

from bot.alerts import internal
from bot.alerts.answer_deadline import Done, IntakeResult
from bot.core.alert import AlertBatch, Severity

EVERY_S = 15  #: Seconds between two calls of `report`.
_MOST_WORDS = 20  #: that are told in a day
_WORD_LENGTH = 60


class UnknownSeverities:
    """`heard` is called by the intake's thread, `report` periodically. `count`: called for each such alert."""

    def __init__(self, treated_as: Severity, count: Callable[[], None] = lambda: None) -> None:
        self._treated_as = treated_as
        self._count = count
        self._lock = threading.Lock()
        self._heard: dict[str, None] = {}  #: words that were not told yet
        self._told: set[tuple[str, str]] = set()  #: (day, word)

    def heard(self, word: str) -> None:
        """An alert has this severity."""
        self._count()
        with self._lock:
            if len(self._heard) < _MOST_WORDS:
                self._heard[" ".join(word.split())[:_WORD_LENGTH]] = None

    def report(self, now: datetime, take: Callable[[AlertBatch, Done], None]) -> None:
        """Tell the words that were heard, unless they were told today. `take`: `Intake.take`."""
        day = now.date().isoformat()
        with self._lock:
            words, self._heard = list(self._heard), {}
            self._told = {one for one in self._told if one[0] == day}
            new = [word for word in words if (day, word) not in self._told][: _MOST_WORDS - len(self._told)]
            self._told.update((day, word) for word in new)
        for word in new:
            take(internal.severity_unknown(word, self._treated_as, now), self._done(day, word))

    def _done(self, day: str, word: str) -> Done:
        def stored(taken: IntakeResult | Exception) -> None:
            if not isinstance(taken, IntakeResult):
                with self._lock:
                    self._told.discard((day, word))

        return stored
