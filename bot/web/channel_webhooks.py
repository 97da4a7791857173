"""Webhooks of chats and pagers: hands raw bytes to the channel, and returns its answer.

The channel checks signature, age and sender; until then anybody may have sent the request. So the number of waiting
requests is limited before a body is read. Each channel has its own threads: a flood of requests to one channel, or one
whose platform hangs, takes no thread from alerts or other channels. On an error the answer is 503, after which every
platform sends the request again.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from http import HTTPStatus

from fastapi import APIRouter, Request
from starlette.responses import Response

from bot.core.channel import Channel, WebhookResponse
from bot.core.errors import Rejected
from bot.lib.metrics import Metrics
from bot.web.request_body import read_body

logger = logging.getLogger(__name__)

_MOST = 512 * 1024
_MOST_WAITING = 64  # per channel; platforms give up after 3 to 10 s, so a longer queue would answer nobody


class ChannelWebhooks:
    """The addresses under `/in/`, one per channel that receives webhooks.

    `threads` returns a channel's own threads; `refused` is called with the channel and the code of each refusal.
    """

    def __init__(
        self,
        channels: Mapping[str, Channel],
        *,
        threads: Callable[[str], Executor],
        meters: Metrics,
        on_refused: Callable[[str, str], None],
    ) -> None:
        # The console has its own address, with its own checks of who is typing.
        self._channels = {name: channel for name, channel in channels.items() if not channel.local}
        self._threads = threads
        self._outcomes = meters.inbound_total
        self._refused = on_refused
        self._waiting: Counter[str] = Counter()

    def routes(self) -> APIRouter:
        router = APIRouter(include_in_schema=False)
        router.add_api_route("/in/{name}", self.receive, methods=["POST"])
        return router

    async def receive(self, request: Request, name: str) -> Response:
        """Hand one request to its channel."""
        channel = self._channels.get(name)
        if channel is None:
            raise Rejected("This channel is not set up.", code="not_found", status=404)
        if self._waiting[name] >= _MOST_WAITING:
            self._outcomes.labels(name, "busy").inc()
            raise Rejected("Too many requests at once. Nothing was done. Send it again.", code="busy", status=503)
        self._waiting[name] += 1
        try:
            return await self._read_and_receive(request, channel)
        finally:
            self._waiting[name] -= 1

    async def _read_and_receive(self, request: Request, channel: Channel) -> Response:
        ignored = channel.ignores_above
        try:
            body = await read_body(request, limit=ignored or _MOST)
        except Rejected as refused:
            if ignored is None or refused.status != HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
                raise
            self._outcomes.labels(channel.name, "ignored").inc()
            return Response(b"too large; ignored", 202, media_type="text/plain")
        received = await self._receive(channel, dict(request.headers.items()), body)
        self._outcomes.labels(channel.name, "taken").inc()
        return answer(received)

    async def _receive(self, channel: Channel, headers: Mapping[str, str], body: bytes) -> WebhookResponse:
        threads = self._threads(channel.name)
        try:
            return await asyncio.get_running_loop().run_in_executor(threads, channel.receive, headers, body)
        except Rejected as refused:
            self._count_refusal(channel.name, refused)
            raise
        except Exception as broken:
            logger.exception("inbound request failed", extra={"channel": channel.name})
            self._outcomes.labels(channel.name, "failed").inc()
            raise Rejected("Nothing was done. Send it again.", code="not_done", status=503) from broken

    def _count_refusal(self, name: str, refusal: Rejected) -> None:
        self._outcomes.labels(name, "refused").inc()
        if refusal.status in {401, 403}:
            self._refused(name, refusal.code)


def answer(given: WebhookResponse) -> Response:
    # The header is set directly: Starlette would add a charset to text types without one.
    return Response(given.body, given.status, headers={"content-type": given.content_type})
