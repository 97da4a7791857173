"""One event loop on one thread, for an asynchronous library in a bot that is synchronous.

No work begun here outlives `end`: it is cancelled, and callers that wait for it get `CancelledError`.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

Result = TypeVar("Result")


class EventLoopThread:
    """Runs from its creation. `begin` may be called on any thread, `run` and `end` on any but its own."""

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._lock = threading.Lock()
        self._ended = False
        self._tasks: set[asyncio.Task[Any]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, name=name, daemon=True)
        self._thread.start()

    def begin(self, work: Coroutine[Any, Any, Result]) -> Future[Result]:
        promise: Future[Result] = Future()
        with self._lock:
            if not self._ended:
                self._loop.call_soon_threadsafe(self._start, work, promise)
                return promise
        work.close()
        promise.cancel()
        return promise

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return self.begin(work).result()

    def end(self, last: Coroutine[Any, Any, None]) -> None:
        """Cancel all work, run `last`, then end the thread."""
        with self._lock:
            if self._ended:
                last.close()
                return
            self._ended = True
        asyncio.run_coroutine_threadsafe(self._cancel_then(last), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _start(self, work: Coroutine[Any, Any, Result], promise: Future[Result]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda done: _copy_outcome(promise, done))

    async def _cancel_then(self, last: Coroutine[Any, Any, None]) -> None:
        """Cancels only tasks begun here: the library's own are ended, in the right order, by the task they serve."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await last


def _copy_outcome(promise: Future[Result], done: asyncio.Task[Result]) -> None:
    if done.cancelled():
        promise.cancel()
        return
    error = done.exception()
    if error is not None:
        promise.set_exception(error)
    else:
        promise.set_result(done.result())
