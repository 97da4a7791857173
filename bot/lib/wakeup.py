"""Wakes those who wait for something to do."""

from __future__ import annotations

import threading


class WakeSignal:
    """Wakes one of the threads that wait for it; one that was busy when it rang looks again before it waits."""

    def __init__(self) -> None:
        self.count = 0
        self._rung = threading.Condition()

    def notify(self) -> None:
        with self._rung:
            self.count += 1
            self._rung.notify()

    def notify_all(self) -> None:
        with self._rung:
            self.count += 1
            self._rung.notify_all()

    def wait(self, seconds: float, last_count: int) -> None:
        with self._rung:
            if self.count == last_count:
                self._rung.wait(seconds)
