"""One event loop on one thread, for a library that is asynchronous in a house that is not.

Nothing begun here outlives `end`, and whoever waits for a piece of work then gets `CancelledError`.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

Result = TypeVar("Result")


class EventLoopThread:
    """Runs from the moment it is made. `begin` may be called anywhere, `run` and `end` on any thread but its own."""

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._lock = threading.Lock()
        self._ended = False
        self._under_way: set[asyncio.Task[Any]] = set()
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
        """Cancel all that is under way, then do `last`, then let the thread go."""
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
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        task.add_done_callback(lambda done: _keep(promise, done))

    async def _cancel_then(self, last: Coroutine[Any, Any, None]) -> None:
        """Only what was begun here: a library's own tasks are ended, in the right order, by the task they serve."""
        tasks = list(self._under_way)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await last


def _keep(promise: Future[Result], done: asyncio.Task[Result]) -> None:
    if done.cancelled():
        promise.cancel()
        return
    error = done.exception()
    if error is not None:
        promise.set_exception(error)
    else:
        promise.set_result(done.result())
