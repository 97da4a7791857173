"""Turns for connections that send more than they wait for: together they get a quarter of the loop's time.

Without it a turn of the loop takes as long as all of them together, and an alert needs several; and the thread that
stores it would have to wait for Python's lock, between any two statements, until the loop lets go of it.
"""

from __future__ import annotations

from asyncio import AbstractEventLoop
from collections import deque
from collections.abc import Callable
from time import monotonic

_AT_ONCE = 4
_REST = 3.0  #: in units of the time that the last few took


class FairShare:
    """One for a server. From its loop's thread."""

    def __init__(self) -> None:
        self._waiting: deque[Callable[[], None]] = deque()
        self._busy = False

    def wait(self, go_on: Callable[[], None], loop: AbstractEventLoop) -> None:
        """Call `go_on` when its turn comes, in the order of those who wait, and never at once."""
        self._waiting.append(go_on)
        if not self._busy:
            self._busy = True
            loop.call_soon(self._give, loop)

    def _give(self, loop: AbstractEventLoop) -> None:
        if not self._waiting:
            self._busy = False
            return
        for _ in range(min(_AT_ONCE, len(self._waiting))):
            loop.call_soon(self._waiting.popleft())
        # They run in the loop's next turn, and the tasks that they start in the one after that.
        loop.call_soon(loop.call_soon, self._rest, loop, monotonic())

    def _rest(self, loop: AbstractEventLoop, begun: float) -> None:
        loop.call_later((monotonic() - begun) * _REST, self._give, loop)
