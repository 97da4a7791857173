"""Waits for the signal to stop, and ends the process within the time for draining, whatever hangs.

The trap: a signal handler runs in the main thread, so not at all while that thread waits inside a library. It may also
interrupt the main thread inside `threading.Event.wait`; setting that Event in the handler would then wait for ever for
the Event's own lock. So Python writes the signal into a pipe (`set_wakeup_fd`), from whichever thread receives it.
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

#: The exit code if something was left behind (EX_TEMPFAIL). Accepted work is stored, and continues after a restart.
LEFT_BEHIND = 75
#: Reserved before the end for logging what hangs. If logging hangs too, the process ends without it.
_LAST_LOG_S = 0.5
_PART = "stop-"
_FRAMES = 4


class StopSignal:
    """Catches SIGTERM and SIGINT from its construction on. Construct it in the main thread."""

    def __init__(self) -> None:
        self._reading_end, self._writing_end = os.pipe()
        os.set_blocking(self._writing_end, False)
        signal.set_wakeup_fd(self._writing_end, warn_on_full_buffer=False)  # full: earlier signals are in it already
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, lambda *_: None)

    def wait(self, within_s: float | None) -> bool:
        """Wait until the signal has come, at most that long (None: without limit). Returns whether it has come."""
        return bool(select.select([self._reading_end], [], [], within_s)[0])

    def come(self) -> None:
        """Behave as if the signal had come. Call it from any thread."""
        with suppress(BlockingIOError):  # full: earlier signals are in it already
            os.write(self._writing_end, b"\0")

    def end_within(self, drain: timedelta) -> None:
        """End the process that long after the signal, unless it has ended by then."""
        threading.Thread(target=self._end, args=(drain.total_seconds(),), name="deadline", daemon=True).start()

    def _end(self, drain_s: float) -> None:
        self.wait(None)
        time.sleep(max(0.0, drain_s - _LAST_LOG_S))
        log = threading.Thread(target=_log_what_hangs, daemon=True)
        log.start()
        log.join(_LAST_LOG_S)
        os._exit(LEFT_BEHIND)


class ShutdownSteps:
    """The steps of a shutdown, each on its own thread, so that one that hangs does not block the others."""

    def __init__(self, within: timedelta) -> None:
        self._until = time.monotonic() + within.total_seconds()
        self._threads: dict[str, threading.Thread] = {}

    def begin(self, name: str, act: Callable[[], object]) -> None:
        thread = threading.Thread(target=act, name=f"{_PART}{name}", daemon=True)
        self._threads[name] = thread
        thread.start()

    def join(self, name: str, within: timedelta) -> None:
        """Wait for that step, at most `within`; then it is left behind."""
        self._threads[name].join(max(0.0, min(self._until - time.monotonic(), within.total_seconds())))

    def do(self, name: str, act: Callable[[], object], within: timedelta) -> None:
        self.begin(name, act)
        self.join(name, within)

    def hanging(self) -> list[str]:
        """The steps that have not ended."""
        return [name for name, thread in self._threads.items() if thread.is_alive()]


def _log_what_hangs() -> None:
    frames = sys._current_frames()  # noqa: SLF001 - documented, for this
    main = threading.main_thread()
    hanging = [one for one in threading.enumerate() if one is main or one.name.startswith(_PART)]
    at = {one.name: _where(frames[one.ident]) for one in hanging if one.ident in frames}
    logger.critical("not stopped in time; ended all the same", extra={"hanging": at})


def _where(frame: FrameType) -> str:
    """The innermost calls of a thread."""
    calls = traceback.extract_stack(frame)[-_FRAMES:]
    return " > ".join(f"{call.name} ({Path(call.filename).name}:{call.lineno})" for call in calls)
