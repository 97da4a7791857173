"""Runs that outlast the patience of whoever asked: each goes on in a thread of its own, a few at a time.

The trap: a run's lease is shorter than such a run may be. Whoever holds it renews it, as long as its thread lives; a
process that dies renews nothing, and the run is looked at by another.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from time import monotonic

from bot.store.runs import Run

#: So many at a time; more is refused before anything is written.
MAX_RUNNING = 16


class Workers:
    """Used from many threads."""

    def __init__(self) -> None:
        self._threads: dict[str, threading.Thread] = {}
        self._runs: dict[str, Run] = {}
        self._lock = threading.Lock()

    def is_full(self) -> bool:
        return len(self._runs) >= MAX_RUNNING

    def running(self) -> Sequence[Run]:
        with self._lock:
            return list(self._runs.values())

    def start(self, run: Run, work: Callable[[], object]) -> None:
        """Begin it. `work` raises nothing."""

        def act() -> None:
            try:
                work()
            finally:
                with self._lock:
                    self._runs.pop(run.id)
                    self._threads.pop(run.id)

        # A daemon: one that hangs in a call must not hold the process, and is looked at after the next start.
        thread = threading.Thread(target=act, name=f"run-{run.id[:8]}", daemon=True)
        with self._lock:
            self._runs[run.id], self._threads[run.id] = run, thread
        thread.start()

    def join(self, within_s: float) -> None:
        """Wait for all that go on; what takes longer is left behind."""
        until = monotonic() + within_s
        with self._lock:
            threads = list(self._threads.values())
        for thread in threads:
            thread.join(max(0.0, until - monotonic()))


@contextmanager
def repeat_meanwhile(work: Callable[[], object], every_s: float) -> Iterator[None]:
    """Do that again and again while the block goes on. `work` raises nothing."""
    over = threading.Event()

    def act() -> None:
        while not over.wait(every_s):
            work()

    thread = threading.Thread(target=act, name="beside", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
