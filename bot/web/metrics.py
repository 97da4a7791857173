"""`/metrics`: what the house counted, with what is owed asked of the store at every scrape.

A store that is down, or hangs, costs only those series: the scrape itself must go on, it is how people find out.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, Future

from fastapi import APIRouter
from starlette.responses import Response

from bot.lib.metrics import CONTENT_TYPE, Metrics, OutboxSize

logger = logging.getLogger(__name__)

_WITHIN_S = 2.0


class MetricsEndpoint:
    """Prints the meters."""

    def __init__(self, meters: Metrics, outbox_sizes: Callable[[], Iterable[OutboxSize]], *, threads: Executor) -> None:
        self._meters = meters
        self._owed = outbox_sizes
        self._threads = threads
        self._asking: Future[tuple[OutboxSize, ...] | None] | None = None

    def routes(self) -> APIRouter:
        router = APIRouter(include_in_schema=False)
        router.add_api_route("/metrics", self.show, methods=["GET"])
        return router

    async def show(self) -> Response:
        loop = asyncio.get_running_loop()
        text = await loop.run_in_executor(self._threads, self._meters.text, await self._ask())
        return Response(text, headers={"content-type": CONTENT_TYPE})

    async def _ask(self) -> tuple[OutboxSize, ...] | None:
        """What is owed; None when the store does not say. One that hangs costs one thread, however many scrape."""
        if self._asking is None or self._asking.done():
            self._asking = self._threads.submit(self._count)
        try:
            return await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(self._asking)), _WITHIN_S)
        except TimeoutError:
            return None

    def _count(self) -> tuple[OutboxSize, ...] | None:
        try:
            return tuple(self._owed())
        except Exception:
            logger.exception("what is owed cannot be counted")
            return None
