"""Waits for the signal to stop.

The trap: a signal's handler runs in the thread that waits, and may find it inside of whatever it waits with. Setting a
`threading.Event` there waits for the Event's own lock, which the interrupted thread holds: for ever. A pipe has none.
"""

from __future__ import annotations

import os
import select
import signal
from contextlib import suppress


class Stop:
    """SIGTERM or SIGINT, from when this is made; in the main thread."""

    def __init__(self) -> None:
        self._told, self._tell = os.pipe()
        os.set_blocking(self._tell, False)
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, lambda *_: self._come())

    def wait(self, within_s: float) -> bool:
        """Whether it has come, as soon as it has, else after that long."""
        return bool(select.select([self._told], [], [], within_s)[0])

    def _come(self) -> None:
        with suppress(BlockingIOError):  # the pipe is full of earlier ones
            os.write(self._tell, b"!")
