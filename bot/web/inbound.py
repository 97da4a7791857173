"""What chats and pagers send: raw bytes to the channel, its answer back.

The channel checks signature, freshness and sender. These requests have threads of their own, so a flood of them
takes none from the alerts. In trouble the answer is 503, which every platform takes as "send it again".
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from concurrent.futures import Executor

from fastapi import APIRouter, Request
from starlette.responses import Response

from bot.meters import Meters
from bot.ports import Channel, Heard, Rejected
from bot.web.body import read_body

logger = logging.getLogger(__name__)

_MOST = 1024 * 1024
_MOST_WAITING = 64  # platforms give up after 3 to 10 s; a longer queue would only answer the dead


class Inbound:
    """The doors under `/in/`, one for each channel that listens over HTTP."""

    def __init__(self, channels: Mapping[str, Channel], *, threads: Executor, meters: Meters) -> None:
        # The console has its own door, with its own checks of who is typing.
        self._channels = {name: channel for name, channel in channels.items() if name != "console"}
        self._threads = threads
        self._outcomes = meters.inbound_total
        self._refusals = meters.auth_failures_total
        self._waiting = 0

    def routes(self) -> APIRouter:
        router = APIRouter(include_in_schema=False)
        router.add_api_route("/in/{name}", self.hear, methods=["POST"])
        return router

    async def hear(self, request: Request, name: str) -> Response:
        """Hand one request to its channel."""
        channel = self._channels.get(name)
        if channel is None:
            raise Rejected("No such channel is set up here.", code="not_found", status=404)
        body = await read_body(request, most=_MOST)
        heard = await self._receive(channel, dict(request.headers.items()), body)
        self._outcomes.labels(name, "taken").inc()
        return answer(heard)

    async def _receive(self, channel: Channel, headers: Mapping[str, str], body: bytes) -> Heard:
        if self._waiting >= _MOST_WAITING:
            self._outcomes.labels(channel.name, "busy").inc()
            raise Rejected("Too much at once. Nothing was done; send it again.", code="busy", status=503)
        self._waiting += 1
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._threads, channel.receive, headers, body)
        except Rejected as refused:
            self._count_refusal(channel.name, refused.status)
            raise
        except Exception as broken:
            logger.exception("inbound request failed", extra={"channel": channel.name})
            self._outcomes.labels(channel.name, "failed").inc()
            raise Rejected("Nothing was done; send it again.", code="not_done", status=503) from broken
        finally:
            self._waiting -= 1

    def _count_refusal(self, name: str, status: int) -> None:
        self._outcomes.labels(name, "refused").inc()
        if status in {401, 403}:
            self._refusals.labels(name).inc()


def answer(heard: Heard) -> Response:
    # The header is set as it is: Starlette would add a charset to text types that carry none.
    return Response(heard.body, heard.status, headers={"content-type": heard.content_type})
