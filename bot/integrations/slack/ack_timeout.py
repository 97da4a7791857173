"""Slack waits 3 s for an acknowledgement. Work that takes longer goes on, and its reply is sent separately.

The trap: Slack shows its own error for a late acknowledgement, although the request is done.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TypeVar

Found = TypeVar("Found")

#: Seconds; the rest of Slack's 3 s is for the network.
ACK_TIMEOUT_S = 2.3
_AT_ONCE = 32  #: requests at the same time; more wait for one of them to end
_STOP_S = 5.0


class AckTimeout:
    """Used from many threads."""

    def __init__(self, seconds: float = ACK_TIMEOUT_S) -> None:
        self._seconds = seconds
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="slack-request")
        self._unsent: set[Future[None]] = set()

    def run(self, work: Callable[[], Found], late: Callable[[Future[Found]], object]) -> Future[Found] | None:
        """The finished future, if the work ends while Slack waits; else None, and `late` is called when it has ended.

        `late` raises nothing. Work that never began, because the bot stops, is cancelled.
        """
        future = self._threads.submit(work)
        wait([future], self._seconds)
        if future.done():
            return future
        sent: Future[None] = Future()
        self._unsent.add(sent)

        def end(ended: Future[Found]) -> None:
            late(ended)
            self._unsent.discard(sent)
            sent.set_result(None)

        future.add_done_callback(end)
        return None

    def close(self) -> None:
        """Wait a few seconds for work that has begun and for its replies; cancel work that has not."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        wait(list(self._unsent), _STOP_S)
