"""Limits connections that send requests without waiting for answers: together they get a quarter of the loop's time.

Otherwise one iteration of the loop would take as long as all of them together, and an alert needs several iterations.
The thread that stores the alert would also wait for the GIL between any two statements.
"""

from __future__ import annotations

from asyncio import AbstractEventLoop
from collections import deque
from collections.abc import Callable
from time import monotonic

_AT_ONCE = 4
_REST = 3.0  #: pause, as a multiple of the time that the last few connections took


class FairShare:
    """One per server. Call it in the loop's thread."""

    def __init__(self) -> None:
        self._waiting: deque[Callable[[], None]] = deque()
        self._busy = False

    def wait(self, go_on: Callable[[], None], loop: AbstractEventLoop) -> None:
        """Call `go_on` at its turn, first come first served, and never immediately."""
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
        # They run in the next iteration, and the tasks that they start in the one after that.
        loop.call_soon(loop.call_soon, self._rest, loop, monotonic())

    def _rest(self, loop: AbstractEventLoop, begun: float) -> None:
        loop.call_later((monotonic() - begun) * _REST, self._give, loop)
