"""Turns for connections that send more than they wait for: a few in each turn of the loop, however many there are.

Without it a turn of the loop takes as long as all of them together, and an alert needs several.
"""

from __future__ import annotations

from asyncio import AbstractEventLoop
from collections import deque
from collections.abc import Callable

_AT_ONCE = 4


class Turns:
    """One for a server. From its loop's thread."""

    def __init__(self) -> None:
        self._waiting: deque[Callable[[], None]] = deque()

    def wait(self, go_on: Callable[[], None], loop: AbstractEventLoop) -> None:
        """Call `go_on` when its turn comes, in the order of those who wait, and never at once."""
        if not self._waiting:
            loop.call_soon(self._give, loop)
        self._waiting.append(go_on)

    def _give(self, loop: AbstractEventLoop) -> None:
        for _ in range(min(_AT_ONCE, len(self._waiting))):
            loop.call_soon(self._waiting.popleft())
        if self._waiting:
            loop.call_soon(self._give, loop)
