"""A signal that wakes worker threads."""

from __future__ import annotations

import threading


class WakeSignal:
    """Wakes one waiting thread, or all. `count` rises with each signal, so that a busy thread misses none."""

    def __init__(self) -> None:
        self.count = 0
        self._condition = threading.Condition()

    def notify(self) -> None:
        with self._condition:
            self.count += 1
            self._condition.notify()

    def notify_all(self) -> None:
        with self._condition:
            self.count += 1
            self._condition.notify_all()

    def wait(self, seconds: float, last_count: int) -> None:
        """Wait for a signal, for at most `seconds`; returns at once if `count` is no longer `last_count`."""
        with self._condition:
            if self.count == last_count:
                self._condition.wait(seconds)
