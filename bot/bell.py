"""Wakes those who wait for something to do."""

from __future__ import annotations

import threading


class Bell:
    """Wakes one of the threads that wait for it; one that was busy when it rang looks again before it waits."""

    def __init__(self) -> None:
        self.count = 0
        self._rung = threading.Condition()

    def ring(self) -> None:
        with self._rung:
            self.count += 1
            self._rung.notify()

    def ring_all(self) -> None:
        with self._rung:
            self.count += 1
            self._rung.notify_all()

    def wait(self, seconds: float, heard: int) -> None:
        with self._rung:
            if self.count == heard:
                self._rung.wait(seconds)
