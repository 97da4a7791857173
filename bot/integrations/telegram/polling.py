"""Long polling of Telegram, at least once: an update is confirmed only after it was handled.

It knows no library: it is given the functions that fetch, handle and reply. Where handling raises, the same update is
tried again before any later one. After a crash the update is still at Telegram, which keeps it for a day.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from bot.core.errors import Undelivered
from bot.integrations.telegram.updates import TelegramReply, Update, give_up

logger = logging.getLogger(__name__)

_LONG_POLL_S = 50
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.25, 30.0
_TRIES = 9  #: over about a minute, before an update is given up


class LongPolling:
    """One at a time; `run` goes on until it is cancelled."""

    def __init__(
        self,
        *,
        fetch: Callable[[int | None, int], Awaitable[Sequence[Update]]],
        handle: Callable[[Update], TelegramReply | None],
        reply: Callable[[TelegramReply], object],
    ) -> None:
        """`fetch` takes an update id and seconds to wait, returns the updates from there on, or raises Undelivered.

        `handle` blocks, on a thread of this class. `reply` does not wait until it is sent.
        """
        self._fetch = fetch
        self._handle = handle
        self._reply = reply
        self._next: int | None = None
        self._executor = ThreadPoolExecutor(1, "telegram-updates")

    async def run(self, on_answer: Callable[[], None]) -> None:
        """Calls `on_answer` whenever Telegram answered. Raises what `fetch` raises; run again, it resumes there."""
        wait_s = 0  # The first call only checks whether polling is allowed.
        while True:
            updates = await self._fetch(self._next, wait_s)
            wait_s = _LONG_POLL_S
            on_answer()
            for update in updates:
                await self._try(update)
                number = update.get("update_id")
                assert isinstance(number, int), "Telegram's updates are numbered"
                self._next = number + 1

    def close(self) -> None:
        """Waits for the update that is being handled. Call it when `run` has ended."""
        self._executor.shutdown()

    async def _try(self, update: Update) -> None:
        for tried in range(_TRIES):
            # The gateway may raise anything: the store may be down for a moment, or there is a bug. The error is a
            # value here, because polling must survive both.
            (outcome,) = await asyncio.gather(self._in_thread(update), return_exceptions=True)
            if not isinstance(outcome, BaseException):
                if outcome is not None:
                    self._reply(outcome)
                return
            logger.error("telegram update failed, tried again", exc_info=outcome)
            await asyncio.sleep(pause_s(tried))
        logger.error("telegram update given up", extra={"update_id": update.get("update_id")})
        self._reply(give_up(update))

    async def _in_thread(self, update: Update) -> TelegramReply | None:
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._handle, update)


async def retry_until_delivered(attempt: Callable[[], Awaitable[None]], on_failure: Callable[[str], None]) -> None:
    """Repeats `attempt` until it ends without Undelivered, with growing pauses or the pause that Telegram asks for."""
    failures = 0
    while True:
        began = asyncio.get_running_loop().time()
        try:
            await attempt()
        except Undelivered as error:
            on_failure(error.message)
            lasted = asyncio.get_running_loop().time() - began
            failures = 0 if lasted > _LONGEST_PAUSE_S else failures
            await asyncio.sleep(error.retry_after.total_seconds() if error.retry_after else pause_s(failures))
            failures += 1
        else:
            return


def pause_s(failures: int) -> float:
    return min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * float(2**failures))
