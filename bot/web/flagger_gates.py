"""The gates at which Flagger asks: 200 is a yes, anything else makes it wait, and what is not understood is a no.

Flagger can carry no header, so its token is in the webhook's `metadata`, and tells the cluster as well: a Flagger asks
for the canaries of its own cluster, whatever it says.
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
#: Flagger waits for ten, and a canary that waits longer than need be is held up by us.
_WITHIN_S = 1.0

_Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$")]


class _Asked(msgspec.Struct):
    """What Flagger sends, as far as it counts."""

    name: _Name
    namespace: _Name
    checksum: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9]{1,64}$")]


class _Shown(msgspec.Struct):
    """Who asks; looked at before anything else."""

    metadata: dict[str, str] = {}


@dataclass(frozen=True, kw_only=True)
class GateClients:
    """Who may ask, by cluster, and what they are told."""

    answer: Callable[[GateCheck], bool]
    tokens: Mapping[str, Sequence[SecretStr]] = field(default_factory=dict)


class FlaggerEndpoint:
    """`refused`: told of those who are not believed."""

    def __init__(self, asks: GateClients, *, threads: Executor, refused: Callable[[str, str], None]) -> None:
        self._answer = asks.answer
        self._digests = [
            (cluster, sha256(one.get_secret_value().encode()).digest())
            for cluster, several in asks.tokens.items()
            for one in several
        ]
        self._threads = threads
        self._refused = refused

    def routes(self) -> APIRouter:
        router = APIRouter(prefix="/flagger/gate", include_in_schema=False)
        router.add_api_route(f"/{GateHook.PROMOTION}", self.promotion, methods=["POST"])
        router.add_api_route(f"/{GateHook.ROLLBACK}", self.rollback, methods=["POST"])
        return router

    async def promotion(self, request: Request) -> Response:
        """May it be promoted?"""
        return await self._asked(request, GateHook.PROMOTION)

    async def rollback(self, request: Request) -> Response:
        """Is it to go back?"""
        return await self._asked(request, GateHook.ROLLBACK)

    async def _asked(self, request: Request, hook: GateHook) -> Response:
        question = self._question(await read_body(request, limit=_MOST), hook)
        try:
            async with asyncio.timeout(_WITHIN_S):
                yes = await asyncio.get_running_loop().run_in_executor(self._threads, self._answer, question)
        except (TimeoutError, Unavailable):
            raise Rejected("Nobody can look whether it is open. It is not.", code="busy", status=503) from None
        if not yes:
            message = f"The gate {hook} is shut: nobody has asked for it, for this revision."
            raise Rejected(message, code="gate_shut", status=HTTPStatus.FORBIDDEN)
        return PlainTextResponse("open\n")

    def _question(self, body: bytes, hook: GateHook) -> GateCheck:
        cluster = self._cluster_of(body)
        try:
            asked = msgspec.json.decode(body, type=_Asked)
        except msgspec.DecodeError as error:
            raise Rejected(f"This is not what Flagger sends: {error}.", code="not_valid", status=400) from None
        canary = Canary(cluster=cluster, namespace=asked.namespace, name=asked.name)
        return GateCheck(canary=canary, hook=hook, revision=asked.checksum)

    def _cluster_of(self, body: bytes) -> str:
        try:
            token = msgspec.json.decode(body, type=_Shown).metadata.get("token", "")
        except (msgspec.DecodeError, UnicodeDecodeError):
            token = ""
        digest = sha256(token.encode("utf-8", "replace")).digest()
        found = [cluster for cluster, one in self._digests if hmac.compare_digest(digest, one)]
        if not found:
            self._refused("flagger", "auth_invalid")
            message = "The token in the webhook's metadata is none of clusters.NAME.flagger.tokens. The gate is shut."
            raise Rejected(message, code="auth_invalid", status=HTTPStatus.UNAUTHORIZED)
        return found[0]
