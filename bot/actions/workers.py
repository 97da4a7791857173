"""Worker threads for slow runs, one for each run, with a limit.

The trap: a run's lease is shorter than a slow run may take. The process renews it as long as the run's thread lives; a
process that dies renews nothing, and another process probes the run.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from time import monotonic

from bot.store.runs import Run

#: Runs at a time; one more is refused before anything is written.
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

        # A daemon: a run that hangs in its call must not keep the process alive; it is probed after the next start.
        thread = threading.Thread(target=act, name=f"run-{run.id[:8]}", daemon=True)
        with self._lock:
            self._runs[run.id], self._threads[run.id] = run, thread
        thread.start()

    def join(self, within_s: float) -> None:
        """Wait for all of them, at most this long; their threads are not stopped."""
        until = monotonic() + within_s
        with self._lock:
            threads = list(self._threads.values())
        for thread in threads:
            thread.join(max(0.0, until - monotonic()))


@contextmanager
def repeat_meanwhile(work: Callable[[], object], every_s: float) -> Iterator[None]:
    """Call `work` periodically while the block runs. `work` raises nothing."""
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
