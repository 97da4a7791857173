"""How long to wait between two looks at something that is going on.

A fiftieth of what was waited so far, so that a look that comes too late costs a fiftieth of the time; and never longer
than the interval of the tools. A fixed interval made a drill of a small database last several times its restore.
"""

from __future__ import annotations

from datetime import timedelta

from bot.core.action import Tools

_SHARE = 0.02
_LEAST_S = 0.2


class Polling:
    """The waits of one thing that is waited for, from now on. `least_s`: the shortest, for looks that cost little."""

    def __init__(self, tools: Tools, *, least_s: float = _LEAST_S) -> None:
        self._tools = tools
        self._least_s = least_s
        self._began = tools.elapsed()

    def next_pause(self) -> timedelta:
        waited = self._tools.elapsed() - self._began
        return min(self._tools.poll_interval, timedelta(seconds=max(self._least_s, waited * _SHARE)))

    def pause(self) -> None:
        self._tools.pause(self.next_pause())
