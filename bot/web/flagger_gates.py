"""The gate webhooks of Flagger: 200 opens the gate, any other status makes Flagger wait. In doubt a gate is closed.

Flagger cannot send headers, so its token is in the webhook's `metadata`. The token identifies the cluster, so a Flagger
can only ask about canaries of its own cluster.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from hashlib import sha256
from http import HTTPStatus
from typing import Annotated

import msgspec
from fastapi import APIRouter, Request
from pydantic import SecretStr
from starlette.responses import PlainTextResponse, Response

from bot.core.errors import Rejected
from bot.core.flagger import Canary, GateCheck, GateHook
from bot.store.engine import Unavailable
from bot.web.request_body import read_body

_MOST = 64 * 1024
#: Flagger waits up to 10 s, and a slow answer delays the canary.
_WITHIN_S = 1.0

_Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$")]


class _Webhook(msgspec.Struct):
    """The used part of Flagger's webhook."""

    name: _Name
    namespace: _Name
    checksum: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9]{1,64}$")]


class _Sender(msgspec.Struct):
    """The part that authenticates the sender, decoded before the rest."""

    metadata: dict[str, str] = {}


@dataclass(frozen=True, kw_only=True)
class GateClients:
    """Who may ask, by cluster, and the function that answers."""

    answer: Callable[[GateCheck], bool]
    tokens: Mapping[str, Sequence[SecretStr]] = field(default_factory=dict)


class FlaggerEndpoint:
    """`refused`: called for each sender with an invalid token."""

    def __init__(self, asks: GateClients, *, threads: Executor, on_refused: Callable[[str, str], None]) -> None:
        self._answer = asks.answer
        self._digests = [
            (cluster, sha256(one.get_secret_value().encode()).digest())
            for cluster, several in asks.tokens.items()
            for one in several
        ]
        self._threads = threads
        self._refused = on_refused

    def routes(self) -> APIRouter:
        router = APIRouter(prefix="/flagger/gate", include_in_schema=False)
        router.add_api_route(f"/{GateHook.PROMOTION}", self.promotion, methods=["POST"])
        router.add_api_route(f"/{GateHook.ROLLBACK}", self.rollback, methods=["POST"])
        return router

    async def promotion(self, request: Request) -> Response:
        """Whether the canary may be promoted."""
        return await self._answer_gate(request, GateHook.PROMOTION)

    async def rollback(self, request: Request) -> Response:
        """Whether the canary is to be rolled back."""
        return await self._answer_gate(request, GateHook.ROLLBACK)

    async def _answer_gate(self, request: Request, hook: GateHook) -> Response:
        question = self._question(await read_body(request, limit=_MOST), hook)
        try:
            async with asyncio.timeout(_WITHIN_S):
                is_open = await asyncio.get_running_loop().run_in_executor(self._threads, self._answer, question)
        except (TimeoutError, Unavailable):
            raise Rejected(
                "The state of the gate cannot be read, so it counts as closed.", code="busy", status=503
            ) from None
        if not is_open:
            message = f"The gate {hook} is closed: nobody has requested it for this revision."
            raise Rejected(message, code="gate_shut", status=HTTPStatus.FORBIDDEN)
        return PlainTextResponse("open\n")

    def _question(self, body: bytes, hook: GateHook) -> GateCheck:
        cluster = self._cluster_of(body)
        try:
            asked = msgspec.json.decode(body, type=_Webhook)
        except msgspec.DecodeError as error:
            raise Rejected(
                f"This is not a webhook of Flagger: {error}. The gate is closed.", code="not_valid", status=400
            ) from None
        canary = Canary(cluster=cluster, namespace=asked.namespace, name=asked.name)
        return GateCheck(canary=canary, hook=hook, revision=asked.checksum)

    def _cluster_of(self, body: bytes) -> str:
        try:
            token = msgspec.json.decode(body, type=_Sender).metadata.get("token", "")
        except (msgspec.DecodeError, UnicodeDecodeError):
            token = ""
        digest = sha256(token.encode("utf-8", "replace")).digest()
        found = [cluster for cluster, one in self._digests if hmac.compare_digest(digest, one)]
        if not found:
            self._refused("flagger", "auth_invalid")
            message = "The token in the webhook's metadata is not in clusters.NAME.flagger.tokens. The gate is closed."
            raise Rejected(message, code="auth_invalid", status=HTTPStatus.UNAUTHORIZED)
        return found[0]
