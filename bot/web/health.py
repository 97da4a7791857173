"""Is the process alive, and can it do its work: `/livez` and `/readyz`.

Liveness asks nothing of anybody: a database that is down must not get the bot restarted again and again.
A check that hangs costs one thread, however often it is asked for. Nothing here is a plain function to FastAPI, which
would run it on threads that hanging requests share.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future

from fastapi import APIRouter
from starlette.responses import JSONResponse, PlainTextResponse

logger = logging.getLogger(__name__)

#: None: well. Text: what is wrong, shown to whoever asks, so it holds no secret.
Check = Callable[[], str | None]

_READ = ["GET", "HEAD"]


class HealthEndpoint:
    """Runs the checks side by side, each within `within_s` seconds.

    `shown` are told beside them and decide nothing: a chat that is down must not take the intake out of a balancer. No
    more do `noted`, about what is not a channel.
    """

    def __init__(
        self,
        checks: Mapping[str, Check],
        *,
        threads: Executor,
        shown: Mapping[str, Check] | None = None,
        noted: Mapping[str, Check] | None = None,
        within_s: float = 2.0,
    ) -> None:
        self._deciding = tuple(checks)
        self._shown = tuple(shown or ())
        self._noted = tuple(noted or ())
        self._checks = {**(noted or {}), **(shown or {}), **checks}
        self._threads = threads
        self._within_s = within_s
        self._running: dict[str, Future[str | None]] = {}
        self._raised: set[str] = set()

    def routes(self) -> APIRouter:
        router = APIRouter(include_in_schema=False)
        router.add_api_route("/livez", _live, methods=_READ)
        router.add_api_route("/readyz", self.ready, methods=_READ)
        return router

    async def ready(self) -> JSONResponse:
        """200 when every check is well, else 503; both name each check."""
        names = (*self._deciding, *self._shown, *self._noted)
        told = await asyncio.gather(*(self._look(name) for name in names))
        message = {name: fault or "ok" for name, fault in zip(names, told, strict=True)}
        ready = all(message[name] == "ok" for name in self._deciding)
        body: dict[str, object] = {
            "ready": ready,
            "checks": {name: message[name] for name in self._deciding},
            "channels": {name: message[name] for name in self._shown},
        }
        if self._noted:
            body["notes"] = {name: message[name] for name in self._noted}
        return JSONResponse(body, 200 if ready else 503, {"cache-control": "no-store"})

    async def _look(self, name: str) -> str | None:
        running = self._running.get(name)
        if running is None or running.done():
            running = self._threads.submit(self._checks[name])
            self._running[name] = running
        try:
            # Shielded: giving up on the answer must not cancel a check that others wait for too.
            message = await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(running)), self._within_s)
        except TimeoutError:
            # On 3.11 a check's own TimeoutError is this very class; either way there was no answer.
            return f"no answer within {self._within_s:g} s"
        except Exception:
            if name not in self._raised:  # once, not at every probe of an hour
                logger.exception("check failed", extra={"check": name})
            self._raised.add(name)
            return "failed; the log tells why"
        self._raised.discard(name)
        return message


async def _live() -> PlainTextResponse:
    return PlainTextResponse("alive\n", headers={"cache-control": "no-store"})
