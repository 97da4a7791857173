"""`/metrics`: what the house counted, with what is owed asked of the store at every scrape.

A store that is down costs only those series: the scrape itself must go on, it is how people find out.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from concurrent.futures import Executor

from fastapi import APIRouter
from starlette.responses import Response

from bot.meters import CONTENT_TYPE, Debt, Meters

logger = logging.getLogger(__name__)


class Scrape:
    """Prints the meters."""

    def __init__(self, meters: Meters, owed: Callable[[], Iterable[Debt]], *, threads: Executor) -> None:
        self._meters = meters
        self._owed = owed
        self._threads = threads

    def routes(self) -> APIRouter:
        router = APIRouter(include_in_schema=False)
        router.add_api_route("/metrics", self.show, methods=["GET"])
        return router

    async def show(self) -> Response:
        loop = asyncio.get_running_loop()
        text = await loop.run_in_executor(self._threads, self._print)
        return Response(text, headers={"content-type": CONTENT_TYPE})

    def _print(self) -> bytes:
        try:
            owed = tuple(self._owed())
        except Exception:
            logger.exception("what is owed cannot be counted")
            return self._meters.text(None)
        return self._meters.text(owed)
