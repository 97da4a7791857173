"""Parses bodies that are too large for the loop, on threads of each source's own, a few at once.

The promise: large bodies of one source do not block those of another. The trap: an executor's queue keeps a task until
a thread is free, also if its sender has left. So a body waits for its turn in the loop, and is handed to a thread only
then.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from threading import Event
from typing import TypeVar

from starlette.types import Receive

from bot.web.request_body import SenderGone

_AT_ONCE = 2
#: Per source, running or waiting; each holds its whole body in memory.
_MOST = 16

_Read = TypeVar("_Read")


class TooManyBodies(Exception):
    """Too many bodies of this source wait already; this one was not parsed."""


class LargeBodies:
    """Threads are started when first needed."""

    def __init__(self, sources: Iterable[str]) -> None:
        self._threads = {name: ThreadPoolExecutor(_AT_ONCE, thread_name_prefix=f"read-{name}") for name in sources}
        self._free = {name: asyncio.Semaphore(_AT_ONCE) for name in self._threads}
        self._waiting: Counter[str] = Counter()

    async def read(self, source: str, receive: Receive, work: Callable[[Callable[[], bool]], _Read]) -> _Read:
        """Run `work` on a thread and return its result. Its argument is a function: has the sender left?

        Raises:
            SenderGone: the sender hung up first; `work` was not started, or its argument now returns true.
            TooManyBodies: too many bodies of this source wait already.
        """
        if self._waiting[source] >= _MOST:
            raise TooManyBodies
        self._waiting[source] += 1
        left = Event()
        working = asyncio.create_task(self._in_turn(source, work, left))
        leaving = asyncio.create_task(_wait_for_hang_up(receive))
        try:
            await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                raise SenderGone
            return working.result()
        finally:
            self._waiting[source] -= 1
            left.set()
            working.cancel()
            leaving.cancel()

    def stop(self) -> None:
        """Accept no more; running work is abandoned."""
        for threads in self._threads.values():
            threads.shutdown(wait=False, cancel_futures=True)

    async def _in_turn(self, source: str, work: Callable[[Callable[[], bool]], _Read], left: Event) -> _Read:
        free, loop = self._free[source], asyncio.get_running_loop()
        await free.acquire()

        def release(_: Future[_Read]) -> None:
            with suppress(RuntimeError):  # the loop has closed, and nobody waits
                loop.call_soon_threadsafe(free.release)

        running = self._threads[source].submit(work, left.is_set)
        # The slot is released when the work ends, not when the sender leaves: the thread is busy until then.
        running.add_done_callback(release)
        return await asyncio.wrap_future(running)


async def _wait_for_hang_up(receive: Receive) -> None:
    """Returns when the sender hangs up. The body must have arrived completely."""
    while (await receive())["type"] != "http.disconnect":
        pass
