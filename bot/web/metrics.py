"""`/metrics`: the counters of the process, and the size of the outbox, read from the database at every scrape.

If the database is down or hangs, only the outbox series are missing: the scrape must work, to show the outage.
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
    """Serves the metrics in the text format of Prometheus."""

    def __init__(self, meters: Metrics, outbox_sizes: Callable[[], Iterable[OutboxSize]], *, threads: Executor) -> None:
        self._meters = meters
        self._outbox_sizes = outbox_sizes
        self._threads = threads
        self._counting: Future[tuple[OutboxSize, ...] | None] | None = None

    def routes(self) -> APIRouter:
        router = APIRouter(include_in_schema=False)
        router.add_api_route("/metrics", self.show, methods=["GET"])
        return router

    async def show(self) -> Response:
        loop = asyncio.get_running_loop()
        text = await loop.run_in_executor(self._threads, self._meters.text, await self._outbox())
        return Response(text, headers={"content-type": CONTENT_TYPE})

    async def _outbox(self) -> tuple[OutboxSize, ...] | None:
        """The size of the outbox; None if the database does not answer. A hanging read costs one thread in all."""
        if self._counting is None or self._counting.done():
            self._counting = self._threads.submit(self._count)
        try:
            return await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(self._counting)), _WITHIN_S)
        except TimeoutError:
            return None

    def _count(self) -> tuple[OutboxSize, ...] | None:
        try:
            return tuple(self._outbox_sizes())
        except Exception:
            logger.exception("the outbox cannot be counted")
            return None
