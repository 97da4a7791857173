"""Bodies too large for the loop: read on threads of each source's own, a few at once, while their sender waits.

The promise: what one source sends keeps no body of another out. The trap: an executor's queue holds what was handed to
it until a thread comes by, also what nobody waits for any more; so the turn is waited for in the loop, and only a body
whose turn has come is handed over.
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
#: Of one source, under way or waiting; each holds its whole body.
_MOST = 16

_Read = TypeVar("_Read")


class TooManyBodies(Exception):
    """Too many bodies of this source wait already; this one was not read."""


class LargeBodies:
    """Threads are made when they are first needed."""

    def __init__(self, sources: Iterable[str]) -> None:
        self._threads = {name: ThreadPoolExecutor(_AT_ONCE, thread_name_prefix=f"read-{name}") for name in sources}
        self._free = {name: asyncio.Semaphore(_AT_ONCE) for name in self._threads}
        self._there: Counter[str] = Counter()

    async def read(self, source: str, receive: Receive, work: Callable[[Callable[[], bool]], _Read]) -> _Read:
        """What `work` returns, done on a thread. `work` is given what tells whether its sender has left.

        Raises:
            Gone: the sender hung up first; the work was not begun, or is told to stop.
            Crowded: it is not this body's turn for long.
        """
        if self._there[source] >= _MOST:
            raise TooManyBodies
        self._there[source] += 1
        left = Event()
        working = asyncio.create_task(self._in_turn(source, work, left))
        leaving = asyncio.create_task(_hung_up(receive))
        try:
            await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                raise SenderGone
            return working.result()
        finally:
            self._there[source] -= 1
            left.set()
            working.cancel()
            leaving.cancel()

    def stop(self) -> None:
        """Take no more; what is being read is left behind."""
        for threads in self._threads.values():
            threads.shutdown(wait=False, cancel_futures=True)

    async def _in_turn(self, source: str, work: Callable[[Callable[[], bool]], _Read], left: Event) -> _Read:
        free, loop = self._free[source], asyncio.get_running_loop()
        await free.acquire()

        def release(_: Future[_Read]) -> None:
            with suppress(RuntimeError):  # the loop has closed: nobody waits
                loop.call_soon_threadsafe(free.release)

        running = self._threads[source].submit(work, left.is_set)
        # The turn ends with the work, not with the wait for it: a sender that leaves frees no thread.
        running.add_done_callback(release)
        return await asyncio.wrap_future(running)


async def _hung_up(receive: Receive) -> None:
    """Returns when the sender of a body that has all arrived leaves."""
    while (await receive())["type"] != "http.disconnect":
        pass
