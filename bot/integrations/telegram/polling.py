"""The long polling of Telegram, at least once: an update is behind us only when it was taken.

It knows no library: how to fetch, take and answer is given to it. Where taking raises, the same update is offered
again and nothing behind it is touched; a crash in between leaves it with Telegram, which keeps it for a day.
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
_OFFERS = 9  #: how often, over about a minute, an update is offered before it is set aside


class LongPolling:
    """One at a time; `run` goes on until it is cancelled."""

    def __init__(
        self,
        *,
        fetch: Callable[[int | None, int], Awaitable[Sequence[Update]]],
        take: Callable[[Update], TelegramReply | None],
        answer: Callable[[TelegramReply], object],
    ) -> None:
        """`fetch` brings the updates from that id on, waiting so many seconds for the first, or raises Undelivered.

        `take` blocks, on a thread of ours. `answer` does not wait until it is sent.
        """
        self._fetch = fetch
        self._take = take
        self._answer = answer
        self._next: int | None = None
        self._hands = ThreadPoolExecutor(1, "telegram-hears")

    async def run(self, well: Callable[[], None]) -> None:
        """Calls `well` whenever Telegram answered. Raises what `fetch` raises; run again, it goes on where it was."""
        wait_s = 0  # The first one only asks whether we may listen at all.
        while True:
            updates = await self._fetch(self._next, wait_s)
            wait_s = _LONG_POLL_S
            well()
            for update in updates:
                await self._offer(update)
                number = update.get("update_id")
                assert isinstance(number, int), "Telegram's updates are numbered"
                self._next = number + 1

    def close(self) -> None:
        """Waits for what is being taken. Call it when `run` has ended."""
        self._hands.shutdown()

    async def _offer(self, update: Update) -> None:
        for offered in range(_OFFERS):
            # What the door raises is none of the channel's: it may be the store, down for a moment, or a bug. It is
            # a value here, because the thread that hears must outlive both.
            (heard,) = await asyncio.gather(self._hear(update), return_exceptions=True)
            if not isinstance(heard, BaseException):
                if heard is not None:
                    self._answer(heard)
                return
            logger.error("telegram update not taken, offered again", exc_info=heard)
            await asyncio.sleep(pause_s(offered))
        logger.error("telegram update set aside", extra={"update_id": update.get("update_id")})
        self._answer(give_up(update))

    async def _hear(self, update: Update) -> TelegramReply | None:
        return await asyncio.get_running_loop().run_in_executor(self._hands, self._take, update)


async def retry_until_delivered(attempt: Callable[[], Awaitable[None]], ill: Callable[[str], None]) -> None:
    """Until it ends without Undelivered, with growing pauses or as long as Telegram asks; `ill` is told each time."""
    failures = 0
    while True:
        began = asyncio.get_running_loop().time()
        try:
            await attempt()
        except Undelivered as trouble:
            ill(trouble.message)
            lasted = asyncio.get_running_loop().time() - began
            failures = 0 if lasted > _LONGEST_PAUSE_S else failures
            await asyncio.sleep(trouble.retry_after.total_seconds() if trouble.retry_after else pause_s(failures))
            failures += 1
        else:
            return


def pause_s(failures: int) -> float:
    return min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * float(2**failures))
