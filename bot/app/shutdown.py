"""Waits for the signal to stop, and sees to it that the process ends in time from then on, whatever hangs.

The trap: a signal's handler runs in the main thread, so not at all while that waits inside of a library; and it may
find it inside of whatever it waits with. Setting a `threading.Event` there waits for the Event's own lock, which the
interrupted thread holds: for ever. So Python itself writes the signal into a pipe, from whichever thread it hits.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from types import FrameType

logger = logging.getLogger(__name__)

#: The exit code where something had to be left behind (EX_TEMPFAIL): what was accepted is stored, and is gone on with.
LEFT_BEHIND = 75
#: Before the end, this long is kept for saying what hangs; where that hangs as well, it is not said.
_LAST_WORDS_S = 0.5
_PART = "stop-"
_FRAMES = 4


class StopSignal:
    """SIGTERM or SIGINT, from when this is made; in the main thread."""

    def __init__(self) -> None:
        self._told, self._tell = os.pipe()
        os.set_blocking(self._tell, False)
        signal.set_wakeup_fd(self._tell, warn_on_full_buffer=False)  # full of earlier ones is enough
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, lambda *_: None)

    def wait(self, within_s: float | None) -> bool:
        """Whether it has come, as soon as it has, else after that long. None: for as long as it takes."""
        return bool(select.select([self._told], [], [], within_s)[0])

    def come(self) -> None:
        """As if the signal had come. From any thread."""
        with suppress(BlockingIOError):  # full of earlier ones
            os.write(self._tell, b"\0")

    def end_within(self, drain: timedelta) -> None:
        """End the process that long after the signal, if it has not ended by then."""
        threading.Thread(target=self._end, args=(drain.total_seconds(),), name="deadline", daemon=True).start()

    def _end(self, drain_s: float) -> None:
        self.wait(None)
        time.sleep(max(0.0, drain_s - _LAST_WORDS_S))
        words = threading.Thread(target=_say_what_hangs, daemon=True)
        words.start()
        words.join(_LAST_WORDS_S)
        os._exit(LEFT_BEHIND)


class ShutdownSteps:
    """The parts of a stop, each on a thread of its own: one that hangs keeps no other from its turn."""

    def __init__(self, within: timedelta) -> None:
        self._until = time.monotonic() + within.total_seconds()
        self._threads: dict[str, threading.Thread] = {}

    def begin(self, name: str, act: Callable[[], object]) -> None:
        thread = threading.Thread(target=act, name=f"{_PART}{name}", daemon=True)
        self._threads[name] = thread
        thread.start()

    def join(self, name: str, within: timedelta) -> None:
        """Wait for it; what takes longer is left behind."""
        self._threads[name].join(max(0.0, min(self._until - time.monotonic(), within.total_seconds())))

    def do(self, name: str, act: Callable[[], object], within: timedelta) -> None:
        self.begin(name, act)
        self.join(name, within)

    def hanging(self) -> list[str]:
        """Those that have not ended."""
        return [name for name, thread in self._threads.items() if thread.is_alive()]


def _say_what_hangs() -> None:
    frames = sys._current_frames()  # noqa: SLF001 - documented, for this
    main = threading.main_thread()
    hanging = [one for one in threading.enumerate() if one is main or one.name.startswith(_PART)]
    at = {one.name: _where(frames[one.ident]) for one in hanging if one.ident in frames}
    logger.critical("not stopped in time; ended all the same", extra={"hanging": at})


def _where(frame: FrameType) -> str:
    """The innermost calls of a thread."""
    calls = traceback.extract_stack(frame)[-_FRAMES:]
    return " > ".join(f"{call.name} ({Path(call.filename).name}:{call.lineno})" for call in calls)
