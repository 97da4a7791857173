"""One writer at a time among the threads of this process, first come, first served."""

from __future__ import annotations

import sqlite3
import threading
from collections import deque
from types import TracebackType

from bot.store import timeouts


class WriterQueue:
    """A fair lock: threads get it in the order in which they asked, so that a busy intake cannot delay a page.

    Raises, when entered:
        sqlite3.OperationalError: a writer has kept the lock for too long, as SQLite reports it of other processes.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._waiting: deque[threading.Lock] = deque()
        self._taken = False

    def __enter__(self) -> None:
        with self._guard:
            if not self._taken:
                self._taken = True
                return
            turn = threading.Lock()
            turn.acquire()
            self._waiting.append(turn)
        if not turn.acquire(timeout=timeouts.TURN_S):
            self._give_up(turn)

    def _give_up(self, turn: threading.Lock) -> None:
        with self._guard:
            if turn not in self._waiting:
                return  # the lock was given at the last moment
            self._waiting.remove(turn)
        raise sqlite3.OperationalError(f"another writer has held the lock for {timeouts.TURN_S:g} s")

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        with self._guard:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._taken = False
