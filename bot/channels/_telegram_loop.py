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


class Loop:
    """Runs from the moment it is made. `begin`, `run` and `end` are called from any other thread."""

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._lock = threading.Lock()
        self._ended = False
        self._thread = threading.Thread(target=self._loop.run_forever, name=name, daemon=True)
        self._thread.start()

    def begin(self, work: Coroutine[Any, Any, Result]) -> Future[Result]:
        with self._lock:
            if not self._ended:
                return asyncio.run_coroutine_threadsafe(work, self._loop)
        work.close()
        never: Future[Result] = Future()
        never.cancel()
        return never

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return self.begin(work).result()

    def end(self, last: Coroutine[Any, Any, None]) -> None:
        """Cancel all that is under way, then do `last`, then let the thread go."""
        with self._lock:
            if self._ended:
                last.close()
                return
            self._ended = True
        asyncio.run_coroutine_threadsafe(_cancel_others(last), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _cancel_others(last: Coroutine[Any, Any, None]) -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    await last
