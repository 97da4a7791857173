"""Slack waits three seconds for an answer. What takes longer goes on, and its answer follows by another way.

The trap: Slack shows its own error for a late answer, while what was asked is done all the same.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TypeVar

Found = TypeVar("Found")

#: Seconds: what is left of Slack's three is for the way there and back.
ACK_TIMEOUT_S = 2.3
_AT_ONCE = 32  #: more wait for one of them to end
_STOP_S = 5.0


class AckTimeout:
    """Used from many threads."""

    def __init__(self, seconds: float = ACK_TIMEOUT_S) -> None:
        self._seconds = seconds
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="slack-asked")
        self._untold: set[Future[None]] = set()

    def run(self, work: Callable[[], Found], late: Callable[[Future[Found]], object]) -> Future[Found] | None:
        """What has become of it, if it ends while Slack waits; else None, and `late` is called when it has ended.

        `late` raises nothing. What never began, because the bot stops, is cancelled.
        """
        future = self._threads.submit(work)
        wait([future], self._seconds)
        if future.done():
            return future
        told: Future[None] = Future()
        self._untold.add(told)

        def end(ended: Future[Found]) -> None:
            late(ended)
            self._untold.discard(told)
            told.set_result(None)

        future.add_done_callback(end)
        return None

    def close(self) -> None:
        """Let what has begun end and be told, for a few seconds; what has not begun never does."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        wait(list(self._untold), _STOP_S)
