"""The one processor core that the web's thread and the intake's share while a crowd waits.

Only one of them runs Python at a time, whatever the machine has. Each time the lock of the interpreter goes from one
core to another, the other core has to be woken and what it needs fetched (decision 0015). Every other thread goes
where the system likes, and so do these two on an ordinary night.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Set as AbstractSet

_CROWD = 8
#: So many commits in a row were crowded, or not, before it is believed.
_IN_A_ROW = 8


class Core:
    """`join` from each of the two threads; then `hear` of each commit how many shared it."""

    def __init__(self) -> None:
        self._wherever = _allowed()
        #: Another one for the next process.
        self._one = {sorted(self._wherever)[os.getpid() % len(self._wherever)]} if len(self._wherever) > 1 else None
        self._threads: list[int] = []
        self._shared = False
        self._in_a_row = 0

    def join(self) -> None:
        """The calling thread is one of them from now on."""
        self._threads.append(threading.get_native_id())

    def hear(self, shared_by: int) -> None:
        """Bring the two together after some crowded commits in a row, and let them go after as many others."""
        many = shared_by >= _CROWD
        if self._one is None or many == self._shared:
            self._in_a_row = 0
            return
        self._in_a_row += 1
        if self._in_a_row < _IN_A_ROW:
            return
        self._shared, self._in_a_row = many, 0
        for thread in self._threads:
            _move(thread, self._one if many else self._wherever)


def _allowed() -> AbstractSet[int]:
    return os.sched_getaffinity(0) if sys.platform == "linux" else frozenset()


def _move(thread: int, cores: AbstractSet[int]) -> None:
    if sys.platform == "linux":
        os.sched_setaffinity(thread, cores)
