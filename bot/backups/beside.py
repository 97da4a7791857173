"""Work on a thread of its own while the caller goes on looking: an engine's call may block for hours, or for ever.

The trap: a thread cannot be stopped. When the caller gives up, the thread is left behind; what it made is removed by
its label, and what it still returns is nobody's.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, wait
from datetime import timedelta
from threading import Thread
from typing import Generic, TypeVar

from bot.backups.polling import Polling
from bot.core.action import Tools

T = TypeVar("T")
#: In which work that is short is waited for, before the pace of the polls counts.
_AT_ONCE = timedelta(milliseconds=20)
#: Whether a thread has ended is asked of no engine, so it may be asked often.
_LEAST_S = 0.05


class Beside(Generic[T]):
    """One call, begun."""

    def __init__(self, work: Callable[[], T], name: str) -> None:
        self._ended: Future[T] = Future()
        self._work = work
        # A daemon: a call that hangs must not keep the process alive.
        Thread(target=self._act, name=name, daemon=True).start()

    def _act(self) -> None:
        try:
            self._ended.set_result(self._work())
        except BaseException as trouble:  # noqa: BLE001 - given to whoever waits
            self._ended.set_exception(trouble)

    def ended(self, within: timedelta = _AT_ONCE) -> bool:
        """Waits at most that long for it."""
        wait((self._ended,), timeout=within.total_seconds())
        return self._ended.done()

    def result(self) -> T:
        """Of a call that has ended. Raises what it has raised."""
        return self._ended.result(0)


def attend(work: Callable[[], T], name: str, tools: Tools, check: Callable[[], None]) -> T:
    """The result of `work`. `check` is called at every poll; what it raises ends the waiting, not the work."""
    begun, polling = Beside(work, name), Polling(tools, least_s=_LEAST_S)
    while not begun.ended():
        check()
        polling.pause()
    return begun.result()
